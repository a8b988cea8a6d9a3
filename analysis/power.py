"""Power: what each measure of the predictions says of exact Bayes and of each wrong synthesizer.

As they are, most wrong synthesizers have a large Bayes gap, and any measure catches them. Whether a measure says what
the gap does not is asked at equal gap: the wrong law is mixed with exact Bayes, document by document, at the weight
where the gap is half of what P1 allows. P1 then finds nothing wrong, and what another measure refutes it refutes by
itself.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from analysis.mixture_synthesizer import MixtureSynthesizer
from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions.catalogue import judge
from analysis.predictions.finding import Finding, finding
from analysis.predictions.margins import margin
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED, decide
from analysis.synthesizers import (
    CopyingSynthesizer,
    ExactSynthesizer,
    PriorSynthesizer,
    Synthesizer,
    document_log_probs,
)
from analysis.wrong_synthesizers import WRONG, StaticMixtureSynthesizer, why_not
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.categorical import zipf_prior
from synthetic_worlds.pair_sampling import PairSampling
from synthetic_worlds.world import World

EXACT = "exact"
AS_IT_IS, EQUAL_GAP = "as it is", "equal gap"
GAP_DOCUMENTS = 4096
# At equal gap: copying at 5 % has hardly more than the gap allowed, and adaptive noise is exact Bayes mixed with the
# prior, which is there already.
STRONGER: dict[str, Callable[[World], Synthesizer]] = {"copying": lambda world: CopyingSynthesizer(world, 0.5)}
THE_SAME_AT_EQUAL_GAP = ("adaptive-noise",)


@dataclass(frozen=True)
class Case:
    """A synthesizer to be judged. setting: `AS_IT_IS`, `EQUAL_GAP`, or what its pairs were; kind: how it is wrong."""

    setting: str
    kind: str
    synthesizer: Synthesizer
    pairs: PairSampling


@dataclass(frozen=True)
class Row:
    """One quantity of one synthesizer in one world at ``n`` documents, as measured; estimate and se None if infinite.

    Margins are not part of it: they may be changed, and verdicts with them, without measuring again.
    """

    world: str
    setting: str
    kind: str
    n: int
    prediction: str
    quantity: str
    estimate: float | None
    se: float | None
    null: float
    control: bool = False


@dataclass(frozen=True)
class Cell:
    """A row with its verdict. effect: in margins, None where infinite; outcome: as `verdict.decide` gives it in the
    family of everything measured on the synthesizer at that number of documents."""

    row: Row
    effect: float | None
    outcome: str


def measure(world: World, label: str, case: Case, n: int, seed: int) -> list[Row]:
    """Everything measured on ``case`` with ``n`` documents of ``world``."""
    many = 1 if isinstance(case.synthesizer, PairLawSynthesizer | MixtureSynthesizer) else 2
    subject = known_subject(case.synthesizer, world, n, seed, case.pairs, conditioning=many)
    where = (label, case.setting, case.kind, n)
    return [
        Row(*where, f.prediction, f.quantity, _if_finite(f.estimate), _if_finite(f.se), f.null, f.control)
        for f in judge(subject)
    ]


def cells_of(rows: Iterable[Row]) -> list[Cell]:
    """Verdicts with today's margins. Raises UserError where a quantity has none any more."""
    families: dict[tuple[str, str, str, int], list[Row]] = {}
    for row in rows:
        families.setdefault((row.world, row.setting, row.kind, row.n), []).append(row)
    found = []
    for family in families.values():
        decisions = decide([_finding(row) for row in family])
        for row, decision in zip(family, decisions, strict=True):
            found.append(Cell(row, _if_finite(decision.finding.effect), decision.outcome))
    return found


def refuted_families(world: World, seeds: Iterable[int], n: int) -> list[list[str]]:
    """For each seed the quantities of exact Bayes that ``n`` documents refute, each of them falsely."""
    families = []
    for seed in seeds:
        decisions = decide(judge(known_subject(ExactSynthesizer(world), world, n, seed, conditioning=2)))
        refuted = [d.finding for d in decisions if d.outcome == REFUTED]
        families.append([f"{f.prediction} {f.quantity}" for f in refuted])
    return families


def cases_as_they_are(world: World) -> Iterator[Case]:
    """Exact Bayes and every wrong synthesizer that the world has, their pairs plain."""
    yield Case(AS_IT_IS, EXACT, ExactSynthesizer(world), PairSampling())
    for kind, make in WRONG.items():
        if why_not(kind, world) is None:
            yield Case(AS_IT_IS, kind, make(world), PairSampling())


def cases_at_equal_gap(world: World, seed: int) -> Iterator[Case]:
    """Every wrong synthesizer, mixed with exact Bayes so that P1 allows the gap."""
    for kind, make in WRONG.items():
        if why_not(kind, world) is None and kind not in THE_SAME_AT_EQUAL_GAP:
            mixed = at_gap(world, STRONGER.get(kind, make)(world), allowed_gap(world, seed) / 2, seed)
            yield Case(EQUAL_GAP, kind, mixed, PairSampling())


def cases_of_other_pairs(world: World) -> Iterator[Case]:
    """Pairs that were not plain: the synthesizer exact for them, and others that did not learn what they were."""
    noisy = PairSampling(wrong=0.3)
    copied = PairSampling(near_duplicate=0.05)
    shifted = PairSampling(prior=zipf_prior(len(world.prior), 1.0))
    for setting, pairs in (("noisy pairs", noisy), ("copied pairs", copied), ("pairs of another prior", shifted)):
        yield Case(setting, EXACT, PairLawSynthesizer(world, pairs), pairs)
        yield Case(setting, "exact, as though plain", ExactSynthesizer(world), pairs)
        yield Case(setting, "prior", PriorSynthesizer(world), pairs)
    yield Case("noisy pairs", "static-mixture", StaticMixtureSynthesizer(world), noisy)
    yield Case("copied pairs", "copying twice as often", CopyingSynthesizer(world, 0.1), copied)


def allowed_gap(world: World, seed: int) -> float:
    """Nats a document that P1 allows by both of its measures of the gap."""
    bits, share = margin("P1", "gap").margin, margin("P1", "share of information").margin
    information = exact.information(world, GAP_DOCUMENTS, generator("power", "information", seed)).I_d1_d2
    return min(bits * math.log(2) * world.L, share * information)


def at_gap(world: World, wrong: Synthesizer, nats: float, seed: int) -> Synthesizer:
    """Exact Bayes and ``wrong``, mixed so that the gap is ``nats`` a document; ``wrong`` itself if its gap is less.

    The gap is -E log(1 - w + w q/p*) over pairs of exact Bayes, which rises with the weight w.
    """
    stream = generator("power", "equal gap", seed)
    d1 = world.sample(GAP_DOCUMENTS, stream).tokens
    d2 = exact.sample_related(world, stream, d1)
    ratio = (document_log_probs(wrong, d2, d1) - exact.log_predictive(world, d2, d1)).exp()

    def gap(weight: float) -> float:
        return -float(torch.log1p(weight * (ratio - 1)).mean())

    if gap(1.0) <= nats:
        return wrong
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) < nats else (low, middle)
    return MixtureSynthesizer([ExactSynthesizer(world), wrong], [1 - low, low], f"{100 * low:.1f} % {wrong.name}")


def _finding(row: Row) -> Finding:
    estimate, se = (math.inf if value is None else value for value in (row.estimate, row.se))
    found = finding(row.prediction, row.quantity, row.kind, estimate, se, row.n, row.null)
    return dataclasses.replace(found, control=row.control)


def _if_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
