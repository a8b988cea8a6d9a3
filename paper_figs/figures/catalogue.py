"""Every figure of `sbp figures`, in order: what draws it, what it shows, and the experiment that makes its results."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from paper_figs.figures import (
    ambiguity,
    architecture,
    dynamics,
    factuality,
    frontier,
    gain_and_gap,
    larger_model,
    mixture,
    phase_diagram,
    rounds,
    table1,
    table2,
    two_epochs,
    variations,
    where_gain_goes,
    workflow,
)
from paper_figs.figures.dial import Dial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER, WORLD, SWEEP = "Figures of the paper", "Figures that a known world allows", "One key at a time"


class Drawing(Protocol):
    """What draws a figure: a module or an object.

    tables: a folder of result tables, one folder an experiment; None where the tables that it needs are missing.
    """

    def draw(self, tables: Path) -> "Figure | None": ...

    def caption(self, tables: Path) -> str | None: ...


@dataclass(frozen=True)
class Entry:
    """section: its place; title: what it shows; experiment: the file under experiments/ that makes its results, None
    where it needs none."""

    section: str
    title: str
    drawing: Drawing
    experiment: str | None


FIGURES: dict[str, Entry] = {
    "workflow": Entry(PAPER, "Workflow (Figure 1)", workflow, None),
    "training-dynamics": Entry(PAPER, "Training dynamics", dynamics, dynamics.EXPERIMENT),
    "seed-and-variations": Entry(PAPER, "A seed document and what was made of it", variations, "narration"),
    "mixture-sweeps": Entry(PAPER, "Mixture sweeps (Figures 6 and 7)", mixture, mixture.EXPERIMENT),
    "two-epoch-check": Entry(PAPER, "Two-epoch check of the oracle", two_epochs, two_epochs.EXPERIMENT),
    "larger-model": Entry(PAPER, "A larger model at equal compute", larger_model, larger_model.EXPERIMENT),
    "table-1": Entry(PAPER, "Table 1", table1, "demo"),
    "table-2": Entry(PAPER, "Table 2: quality of synthetic text", table2, "lexicon"),
    "factuality": Entry(PAPER, "Factuality of synthetic text", factuality, factuality.EXPERIMENT),
    "architecture": Entry(PAPER, "Architecture", architecture, None),
    "phase-diagram": Entry(WORLD, "Phase diagram of the gain", phase_diagram, phase_diagram.EXPERIMENT),
    "gain-against-ambiguity": Entry(WORLD, "Gain against H(c|d1)", ambiguity, "sweep-ambiguity"),
    "gain-against-gap": Entry(WORLD, "Gain against the Bayes gap", gain_and_gap, "sweep-synthesizer"),
    "frontier": Entry(WORLD, "Loss against compute from end to end", frontier, "arms"),
    "where-gain-goes": Entry(WORLD, "Rare and frequent concepts", where_gain_goes, where_gain_goes.EXPERIMENT),
    "rounds": Entry(WORLD, "Rounds of SBP and predicted drift", rounds, rounds.EXPERIMENT),
}
DIALS = (
    ("alpha", Dial("sweep-alpha", "pairing.alpha", "alpha")),
    ("pair-noise", Dial("sweep-noise", "pairing.wrong", "share of wrong pairs")),
    ("embedder", Dial("sweep-embedder", "pairing.embedder", "embedder")),
    ("concepts", Dial("sweep-concepts", "corpus.world.concepts", "concepts", "corpus.world.zipf", log=True)),
    ("tuning", Dial("sweep-synthesizer", "synthesizer.steps", "steps of synthesizer-tuning", log=True)),
    ("samples", Dial("sweep-samples", "synthesis.per_document", "samples of a seed document", log=True)),
    ("temperature", Dial("sweep-temperature", "synthesis.temperature", "temperature")),
    ("seed-documents", Dial("sweep-group", "arms.several", "documents of a sequence, the last one written", log=True)),
)
FIGURES |= {name: Entry(SWEEP, dial.label.capitalize(), dial, dial.experiment) for name, dial in DIALS}
