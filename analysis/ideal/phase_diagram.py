"""The phase diagram of gain over H(c|d1) and data size for ideal learners of W1, and W9's law beside it.

    python -m analysis.ideal.phase_diagram OUT.json [--small]

Writes rows of the one results format: the excess held-out loss of each arm and the parts of the gain, ``at`` =
documents of D, with smoothing tuned in every arm (``ideal:sbp``, ...) and with little of it in all
(``ideal-untuned:sbp``, ...); the worlds' own figures; and W9's closed form (``law:sbp``, ...), ``at`` = ambiguity.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from analysis import measures
from analysis.ideal.arms import ARMS, Setting, excess_losses, learn_arms
from analysis.ideal.gaussian_law import MANY_DIMENSIONS_ARMS, ambiguity, many_dimensions_excess
from analysis.ideal.learner import Learner, TunedLearner, ideal_learner
from analysis.ideal.parts import INFORMATION, SHRINKAGE, gain_parts, standard_error
from analysis.ideal.replicates import sample_groups
from sbp_bayes.errors import UserError
from sbp_bayes.files import write_json
from sbp_bayes.results import Result
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.world import Process

IDEAL, UNTUNED, LAW = "ideal:", "ideal-untuned:", "law:"  # before the name of an arm
GAIN_FROM = "gain from"  # nats/document; the part follows
LAW_RATIO = 0.25  # width / documents of the law


@dataclass(frozen=True)
class Grid:
    """overlaps: of W1, each a place along H(c|d1); documents: sizes of D; worlds: seeds of worlds at each overlap;
    setting: of the arms, but for the documents; information: pairs of documents that a world's figures average over;
    law: points along W9's ambiguity."""

    overlaps: tuple[float, ...] = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    documents: tuple[int, ...] = (64, 256, 1024)
    worlds: int = 4
    setting: Setting = Setting(2, samples=4, oracle=4, heldout=2048)
    information: int = 2048
    law: int = 24


SMALL = Grid((0.0, 0.6, 1.0), (32, 128), 3, Setting(2, samples=2, oracle=4, heldout=1024), 512, 12)


def phase_diagram(grid: Grid) -> list[Result]:
    """All rows; cells are independent, and a cell does not depend on which others there are."""
    rows = []
    for overlap in grid.overlaps:
        worlds = [make_world("bow", seed=seed, overlap=overlap) for seed in range(grid.worlds)]
        label = f"bow(overlap={overlap:g})"
        rows += _figures(worlds, label, grid.information)
        for documents in grid.documents:
            setting = dataclasses.replace(grid.setting, documents=documents)
            for prefix, learner in _learners(worlds, setting).items():
                excess = excess_losses(worlds, learn_arms(worlds, learner, setting), setting)
                measured = [(measures.EXCESS_LOSS_PER_DOCUMENT, arm, excess[arm]) for arm in ARMS]
                parts = gain_parts(excess)
                measured += [(f"{GAIN_FROM} {part}", measures.SBP, parts[part]) for part in (INFORMATION, SHRINKAGE)]
                rows += [_row(name, prefix + arm, label, values, float(documents)) for name, arm, values in measured]
    return rows + list(_law(grid.law))


def _learners(worlds: Sequence[Process], setting: Setting) -> dict[str, Learner]:
    """Smoothing is tuned in every fit of every arm, on documents of its own; beside it, one and the same in all."""
    others = sample_groups(worlds, setting.heldout, 1, generator("ideal", "validation", setting.seed)).flatten(1, 2)
    learner = ideal_learner(worlds)
    return {IDEAL: TunedLearner(learner, others), UNTUNED: learner}


def _figures(worlds: Sequence[Process], label: str, n: int) -> list[Result]:
    """The worlds' own figures, means over them."""
    figures = [exact.information(world, n, generator("ideal", "information", i)) for i, world in enumerate(worlds)]
    names = {
        measures.CONCEPT_ENTROPY: "H_c_given_d1",
        measures.PAIR_INFORMATION: "I_d1_d2",
        measures.LOG_CONCEPTS: "log_C",
    }
    return [
        _row(name, measures.WORLD, label, torch.tensor([getattr(each, field) for each in figures]).double(), None)
        for name, field in names.items()
    ]


def _row(measure: str, subject: str, label: str, values: torch.Tensor, at: float | None) -> Result:
    return Result(
        measure,
        subject,
        label,
        None,
        float(values.mean()),
        standard_error(values),
        len(values),
        0.0,
        "nats/document",
        at,
    )


def _law(points: int) -> Iterator[Result]:
    """One axis of W9, from nothing told to everything."""
    signal = torch.logspace(-2, 3, points, dtype=torch.float64)
    label = f"gaussian(one axis, width/documents={LAW_RATIO:g})"
    for arm in MANY_DIMENSIONS_ARMS:
        for at, value in zip(ambiguity(signal), many_dimensions_excess(arm, signal, LAW_RATIO), strict=True):
            name = measures.EXCESS_LOSS_PER_DOCUMENT
            yield Result(name, LAW + arm, label, None, float(value), None, 1, 0.0, "nats/document", float(at))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.ideal.phase_diagram", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    parser.add_argument("--small", action="store_true", help="some seconds instead of some minutes")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.out.suffix != ".json":
            raise UserError(f"{chosen.out}: expected a name that ends in .json")
        rows = phase_diagram(SMALL if chosen.small else Grid())
        write_json(chosen.out, [dataclasses.asdict(row) for row in rows])
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(rows)} rows in {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
