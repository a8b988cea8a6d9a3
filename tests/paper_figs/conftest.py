"""A small finished run, written through the real writers from exact Bayes and from losses chosen by hand."""

import json
from pathlib import Path

import pytest
import torch

from analysis import measures
from analysis.bayes_gap import bayes_gaps
from analysis.evaluate import Rows
from analysis.examples import world_examples
from analysis.excess_loss import MeanLoss
from analysis.summary import summarise_run
from analysis.synthesizers import ExactSynthesizer, TemperedSynthesizer, wrong_synthesizers
from sbp_bayes.files import write_json, write_text
from sbp_bayes.results import write_results
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world

# Excess nats/token at the end of the budget, by seed; in seed 2 random pairs win.
EXCESS = {
    "repetition": [0.047, 0.061, 0.055],
    "sbp": [0.025, 0.034, 0.036],
    "random-pairs": [0.030, 0.045, 0.033],
    "exact": [0.022, 0.028, 0.026],
    "oracle": [0.019, 0.024, 0.021],
}
FLOOR = 3.1  # nats/token of exact Bayes
STEPS = 17


class AlmostExact(TemperedSynthesizer):
    """Stands for a trained synthesizer: exact Bayes, a little too sure of itself."""

    def __init__(self, world, name: str, temperature: float):
        super().__init__(ExactSynthesizer(world), temperature)
        self.name = name


def write_seed(run: Path, seed: int) -> None:
    world = make_world("bow", "medium", seed=seed, length=8)
    rows = Rows("bow-medium(length=8)", seed)
    for measure, value in ((measures.CONCEPT_ENTROPY, 0.9), (measures.PAIR_INFORMATION, 1.3)):
        rows.add(measure, measures.WORLD, value, 0.01, 4096, None, "nats/document")
    rows.add(measures.PAIRS, "truth", 4000, None, 500, None, "pairs")
    rows.add(measures.PAIRING_PRECISION, "truth", 1.0, 0.0, 4000, 0.06, "share")
    rows.add(measures.EXACT_VALIDATION_LOSS, measures.EXACT, 2.9, 0.01, 256, None, "nats/token")
    for arm, excess in EXCESS.items():
        for checkpoint, better in ((measures.FINAL, 0.0), (measures.BEST, 0.004 if arm == "repetition" else 0.0)):
            loss = excess[seed] - better
            rows.add_loss(
                measures.HELDOUT_LOSS, arm, checkpoint, MeanLoss(FLOOR + loss, 0.01, 8 * loss, 0.08, 256), FLOOR
            )
            rows.add_loss(measures.EXCESS_LOSS, arm, checkpoint, MeanLoss(loss, 0.001, 8 * loss, 0.01, 256), 0.0)
    d1 = world.sample(64, generator("test", seed)).tokens
    trained = AlmostExact(world, measures.SYNTHESIZER, 0.9)
    compared = [trained, ExactSynthesizer(world), *wrong_synthesizers(world)]
    for gap in bayes_gaps(compared, world, d1, generator=generator("test gap", seed)):
        rows.add_gap(gap)
    folder = run / "seeds" / str(seed)
    write_results(folder, rows.results)
    concepts = world.sample(64, generator("test", seed)).latents["concept"].tolist()
    write_json(folder / "examples.json", world_examples(world, trained, d1, concepts, 4, seed))
    for arm, excess in EXCESS.items():
        lines = [metrics_line(step, arm, excess[seed]) for step in range(STEPS)]
        write_text(run / "metrics" / str(seed) / f"arm {arm}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def metrics_line(step: int, arm: str, end: float) -> dict:
    """A falling curve that ends at ``end``; repetition turns up again."""
    share = step / (STEPS - 1)
    loss = end + 1.5 * (1 - share) ** 3 * (1.0 if arm == "repetition" else 1.3) ** 2 / (1 + 60 * share)
    loss -= 0.02 * share * (1 - share) * 4 if arm == "repetition" else 0.0
    return {"step": 40 * step, "tokens": 40_000 * step, "train_loss": 2.0, "validation_loss": 2.9 + loss}


def write_run(run: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> Path:
    torch.set_num_threads(1)
    for seed in seeds:
        write_seed(run, seed)
    examples = [e for seed in seeds for e in json.loads((run / "seeds" / str(seed) / "examples.json").read_text())]
    examples[0]["d1"] = "<script>alert('not escaped')</script> & 3"
    write_json(run / "examples.json", examples)
    write_json(run / "experiment.json", {"name": run.name, "seeds": list(seeds), "corpus": {"real": 500}})
    entry = {"stage": "seed 0: arm sbp", "kind": "training", "tokens": 1_000_000, "flops": 6e11, "seconds": 12.0}
    write_json(run / "provenance.json", {"commit": None, "version": "0", "ledger": [entry, entry]})
    summarise_run(run)
    return run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Three seeds, five arms, one trained synthesizer."""
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")
