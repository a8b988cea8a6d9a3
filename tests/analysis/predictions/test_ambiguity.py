"""P2: implied log-odds are those of the belief acted on; overconfidence, shrinkage and position are told apart."""

import pytest
import torch

from analysis.predictions.ambiguity import Ambiguous, ambiguous_documents, applies, measure, odds_difference
from analysis.predictions.line import fit_line
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import REFUTED
from analysis.synthesizers import BeliefSynthesizer, ExactSynthesizer, MapSynthesizer, PriorSynthesizer
from analysis.wrong_synthesizers import UnconditionalSynthesizer
from sbp_bayes.seeds import generator
from synthetic_worlds import exact
from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", preset="medium", seed=0)


class SecondHalfOnly(BeliefSynthesizer):
    """Believes the end of d1 and forgets its beginning."""

    name = "second half only"

    def belief(self, *given):
        return exact.concept_log_posterior(self.world, given[0][:, given[0].shape[1] // 2 :])


class Powered(BeliefSynthesizer):
    """The exact posterior to a power, renormalised."""

    name = "powered"

    def __init__(self, world, power):
        super().__init__(world)
        self.power = power

    def belief(self, *given):
        return torch.log_softmax(self.power * exact.concept_log_posterior(self.world, *given), 1)


def test_exact_bayes_is_at_the_null_exactly(world):
    found = {f.quantity: f for f in measure(known_subject(ExactSynthesizer(world), world, 300, 0))}
    assert set(found) == {"rise of the gap", "slope of log-odds", "preferred half", "gap on mixed documents"}
    assert all(f.estimate == pytest.approx(f.null, abs=1e-9) and f.se < 1e-9 for f in found.values())


def test_implied_log_odds_are_log_odds_where_documents_leave_no_doubt():
    """Each concept has words of its own beside one that all share, and hardly ever uses that one: d2 tells it."""
    words = torch.full((3, 4), 0.0, dtype=torch.float64)
    words[:, 3], words[range(3), range(3)] = 0.25, 0.75
    world = BagOfWords(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), words, 12)
    a, b = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    beliefs = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]], dtype=torch.float64).log()

    class ByFirstWord(BeliefSynthesizer):
        name = "by the first word"

        def belief(self, *given):
            return beliefs[given[0][:, 0]]

    made = ambiguous_documents(world, 64, generator("none"))
    assert len(made.d1) < 64  # a document of two concepts' own words is impossible
    of_a, of_b = (torch.full((3, 12), 3).index_fill(1, torch.tensor([0]), 0) for _ in range(2))
    of_a[:, 0], of_b[:, 0] = a, b
    d1, turned = torch.zeros(3, 12, dtype=torch.int64), torch.ones(3, 12, dtype=torch.int64)
    found = odds_difference(ByFirstWord(world), Ambiguous(d1, turned, a, b, of_a, of_b))
    odds = beliefs[:, a] - beliefs[:, b]
    assert torch.allclose(found, odds[0] - odds[1], atol=1e-9)


def test_constructed_documents_are_half_of_each_concept(world):
    made = ambiguous_documents(world, 4000, generator("halves"))
    assert (made.a != made.b).all()
    halves = ((made.a, made.d1[:, :8]), (made.b, made.d1[:, 8:]), (made.b, made.turned[:, :8]))
    for concepts, half in (*halves, (made.a, made.turned[:, 8:])):
        own = exact.concept_log_posterior(world, half).exp().gather(1, concepts[:, None]).mean()
        assert own > 0.3  # chance is 1/16


@pytest.mark.parametrize(
    "wrong, refuted",
    [
        (MapSynthesizer, "rise of the gap"),
        (MapSynthesizer, "slope of log-odds"),
        (PriorSynthesizer, "slope of log-odds"),
        (SecondHalfOnly, "preferred half"),
        (lambda world: Powered(world, 1.5), "slope of log-odds"),
        (lambda world: Powered(world, 0.7), "slope of log-odds"),
    ],
)
def test_what_it_refutes(world, outcomes, wrong, refuted):
    assert outcomes(measure(known_subject(wrong(world), world, 1024, 0)))[refuted] == REFUTED


def test_the_slope_is_above_one_for_overconfidence_and_below_for_shrinkage(world):
    slopes = [measure(known_subject(Powered(world, power), world, 512, 0))[1].estimate for power in (0.7, 1.0, 1.5)]
    assert slopes[0] < 1 - 1e-3 < slopes[1] < 1 + 1e-3 < slopes[2]


@pytest.mark.parametrize("preset", ["medium", "hard"])
@pytest.mark.parametrize("ignoring", [PriorSynthesizer, UnconditionalSynthesizer])
def test_who_ignores_d1_has_slope_zero_however_hard_the_world_and_bad_the_law(preset, ignoring):
    world = make_world("bow", preset=preset, seed=0)
    found = {f.quantity: f.estimate for f in measure(known_subject(ignoring(world), world, 300, 0))}
    assert found["slope of log-odds"] == pytest.approx(0, abs=1e-12)
    assert found["preferred half"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("preset", ["medium", "hard"])
def test_the_slope_follows_the_power_of_the_evidence(preset):
    """Between the power and 1, as d2 leaves some doubt, and never on the other side."""
    world = make_world("bow", preset=preset, seed=0)
    shrunk, overdone = (
        measure(known_subject(Powered(world, power), world, 1024, 0))[1].estimate for power in (0.5, 2.0)
    )
    assert 0.4 < shrunk < 0.75 and 1.3 < overdone < 2.2


def test_a_null_world_is_no_place_for_it():
    world = make_world("bow", preset="null", seed=0)
    assert "null world" in applies(known_subject(ExactSynthesizer(world), world, 100, 0))


def test_lines_have_the_scatter_of_repetition():
    """Standard errors against the spread over repetitions, the scatter growing along the line."""
    stream = generator("lines")
    x = torch.randn(400, 200, dtype=torch.float64, generator=stream)
    y = 2 + 3 * x + x.abs() * torch.randn(400, 200, dtype=torch.float64, generator=stream)
    lines = [fit_line(*rows) for rows in zip(x, y, strict=True)]
    for value, se in (("slope", "slope_se"), ("intercept", "intercept_se")):
        estimates = torch.tensor([getattr(line, value) for line in lines])
        stated = torch.tensor([getattr(line, se) for line in lines]).mean()
        assert float(stated / estimates.std()) == pytest.approx(1, abs=0.12)
    assert sum(line.slope for line in lines) / 400 == pytest.approx(3, abs=0.03)
