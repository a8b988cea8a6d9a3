"""The power table: stored verdicts come out again, the page is made from them, and its claims are in the record."""

import math
from pathlib import Path

import pytest

from analysis.power import (
    AS_IT_IS,
    EQUAL_GAP,
    EXACT,
    Case,
    Cell,
    Row,
    allowed_gap,
    at_gap,
    cases_as_they_are,
    cases_of_other_pairs,
    cells_of,
    measure,
    refuted_families,
)
from analysis.power_page import GAP_ITSELF, catches_beyond_gap, power_page
from analysis.predictions.catalogue import PREDICTIONS
from analysis.predictions.subject import known_subject
from analysis.predictions.verdict import CONTROL, REFUTED, SUPPORTED
from analysis.synthesizers import CopyingSynthesizer, ExactSynthesizer, PriorSynthesizer
from analysis.wrong_synthesizers import WRONG, why_not
from sbp_bayes.files import read_json
from synthetic_worlds.catalogue import make_world

ROOT = Path(__file__).parents[2]
SMALL = 512


@pytest.fixture(scope="module")
def record():
    return read_json(ROOT / "benchmarks" / "results" / "power.json")


@pytest.fixture(scope="module")
def stored(record):
    return cells_of(Row(**row) for row in record["rows"])


@pytest.fixture(scope="module")
def bow():
    return make_world("bow", "medium", 0)


def worlds_of(record):
    return {label: make_world(label.split("-")[0], "medium", 0) for label in record["provenance"]["worlds"]}


def test_the_record_is_of_these_worlds_and_wrong_synthesizers(record, stored):
    for label, world in worlds_of(record).items():
        assert world.spec() == record["provenance"]["worlds"][label]
        kinds = {cell.row.kind for cell in stored if (cell.row.world, cell.row.setting) == (label, AS_IT_IS)}
        assert kinds == {EXACT, *(kind for kind in WRONG if why_not(kind, world) is None)}


@pytest.mark.parametrize("kind", [EXACT, "MAP", "copying", "static-mixture"])
def test_stored_findings_and_verdicts_come_out_again(stored, bow, kind):
    case = next(case for case in cases_as_they_are(bow) if case.kind == kind)
    again = cells_of(measure(bow, "bow-medium", case, SMALL, 0))
    where = ("bow-medium", AS_IT_IS, kind, SMALL)
    there = [c for c in stored if (c.row.world, c.row.setting, c.row.kind, c.row.n) == where]
    expected = {(c.row.prediction, c.row.quantity): c for c in there}
    assert {(c.row.prediction, c.row.quantity): c.outcome for c in again} == {k: c.outcome for k, c in expected.items()}
    for cell in again:
        effect = expected[cell.row.prediction, cell.row.quantity].effect
        assert cell.effect == (effect if effect is None else pytest.approx(effect, rel=1e-3, abs=1e-3))


def test_exact_bayes_is_refuted_nowhere_and_supported_almost_everywhere(stored):
    cells = [cell for cell in stored if cell.row.kind == EXACT]
    assert not any(cell.outcome == REFUTED for cell in cells)
    large = [cell for cell in cells if cell.row.n >= 4096 and cell.outcome != CONTROL]
    assert sum(cell.outcome == SUPPORTED for cell in large) >= 0.9 * len(large)


def test_every_wrong_synthesizer_is_refuted_in_every_world(stored):
    as_they_are = [cell for cell in stored if cell.row.setting == AS_IT_IS and cell.row.kind != EXACT]
    pairs = {(cell.row.world, cell.row.kind) for cell in as_they_are}
    refuted = {(cell.row.world, cell.row.kind) for cell in as_they_are if cell.outcome == REFUTED}
    assert len(pairs) > 20 and refuted == pairs


def test_at_equal_gap_the_gap_refutes_nothing(stored):
    equal = [cell for cell in stored if cell.row.setting == EQUAL_GAP]
    gaps = [cell for cell in equal if (cell.row.prediction, cell.row.quantity) in GAP_ITSELF]
    assert gaps and all(cell.outcome == SUPPORTED for cell in gaps)


@pytest.mark.parametrize(
    "prediction, quantity, kind",
    [
        ("P1", "way to plug-in", "MAP"),
        ("P2", "slope of log-odds", "prior"),
        ("P4", "posterior direction", "MAP"),
        ("P5", "concept kept", "label-swapped"),
        ("P6", "leak", "style-leaking"),
        ("P13", "claimed information", "copying"),
        ("P15", "surprise", "tempered-1.3"),
        ("P16", "coverage 90 %", "prior"),
    ],
)
def test_what_these_measures_add_to_the_gap(stored, prediction, quantity, kind):
    assert kind in catches_beyond_gap(stored, prediction, quantity)


def test_a_private_style_leaks_only_where_it_is_copied(stored):
    """At 8,192 documents no law that fits badly, with d1 or without, is taken for a leak."""
    found = {
        cell.row.kind: cell.outcome
        for cell in stored
        if (cell.row.world, cell.row.setting, cell.row.n, cell.row.prediction) == ("style-medium", AS_IT_IS, 8192, "P6")
    }
    assert found.pop("style-leaking") == REFUTED
    assert found.pop("copying") != SUPPORTED
    assert len(found) == 9 and set(found.values()) == {SUPPORTED}


@pytest.mark.parametrize("kind", ["prior", "unconditional"])
def test_who_ignores_d1_has_no_odds_and_no_claim(stored, kind):
    quantities = {("P2", "slope of log-odds"), ("P13", "claimed information")}
    found = [
        cell.row
        for cell in stored
        if (cell.row.prediction, cell.row.quantity) in quantities
        and (cell.row.kind, cell.row.setting) == (kind, AS_IT_IS)
    ]
    assert len(found) > 8 and all(abs(row.estimate) < 1e-9 for row in found)


def test_controls_support_nothing(stored):
    assert {cell.outcome for cell in stored if cell.row.control} == {CONTROL, REFUTED}
    information = [cell for cell in stored if cell.row.quantity == "information on real pairs"]
    assert len(information) > 50 and {cell.outcome for cell in information} == {CONTROL}


def test_a_catch_counts_only_where_the_gap_is_silent():
    def cell(quantity, outcome, prediction="P4", kind="MAP"):
        return Cell(Row("w", AS_IT_IS, kind, 8, prediction, quantity, 0.0, 0.0, 0.0), 0.0, outcome)

    caught, silent, loud = cell("x", REFUTED), cell("gap", SUPPORTED, "P1"), cell("gap", REFUTED, "P1")
    assert catches_beyond_gap([caught, silent], "P4", "x") == {"MAP": {"w"}}
    assert catches_beyond_gap([caught, loud], "P4", "x") == {}
    assert catches_beyond_gap([cell("x", REFUTED, kind=EXACT)], "P4", "x") == {}


def test_the_page_is_made_from_the_record(record):
    assert (ROOT / "docs" / "power.md").read_text(encoding="utf-8") == power_page(record)


def test_mixed_to_a_gap_it_has_that_gap(bow):
    nats = allowed_gap(bow, 0) / 2
    mixed = at_gap(bow, PriorSynthesizer(bow), nats, 0)
    gap = PREDICTIONS["P1"].measure(known_subject(mixed, bow, 2048, 0))[0]
    assert gap.estimate == pytest.approx(nats / (bow.L * math.log(2)), abs=4.5 * gap.se)
    harmless = CopyingSynthesizer(bow, 0.01)
    assert at_gap(bow, harmless, nats, 0) is harmless


@pytest.mark.parametrize("setting", ["noisy pairs", "copied pairs", "pairs of another prior"])
def test_other_pairs_refute_who_did_not_learn_them(bow, setting):
    for case in cases_of_other_pairs(bow):
        if case.setting == setting and case.kind in (EXACT, "exact, as though plain"):
            outcomes = {cell.outcome for cell in cells_of(measure(bow, "bow", case, 256, 1))}
            assert (REFUTED in outcomes) == (case.kind != EXACT)


def test_families_of_exact_bayes_are_hardly_ever_refuted(record, bow):
    assert refuted_families(bow, range(100, 104), 256) == [[]] * 4
    for row in record["false_refutations"].values():
        assert len(row["refuted"]) == 40 and sum(map(bool, row["refuted"])) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bow", "hmm", "style"])
def test_false_refutations_of_forty_families(name):
    world = make_world(name, "medium", 0)
    assert sum(map(bool, refuted_families(world, range(40, 80), SMALL))) <= 2


def test_nulls_are_those_of_exact_bayes_on_average(bow):
    """Over seeds, each sampled quantity's distance from its null in standard errors averages to 0."""
    scores: dict[tuple[str, str], list[float]] = {}
    for seed in range(8):
        subject = known_subject(ExactSynthesizer(bow), bow, 512, seed)
        for prediction in ("P4", "P5", "P13", "P15", "P16"):
            for f in PREDICTIONS[prediction].measure(subject):
                if f.se > 1e-9:
                    scores.setdefault((f.prediction, f.quantity), []).append((f.estimate - f.null) / f.se)
    assert len(scores) == 14
    for quantity, found in scores.items():
        assert abs(sum(found)) / math.sqrt(len(found)) < 4, quantity
        assert 0.2 < sum(z * z for z in found) / len(found) < 3, quantity


def test_a_case_that_takes_one_document_is_given_one(bow):
    """Mixtures and laws of pairs are conditioned on one document, as their parts may be."""
    case = next(case for case in cases_as_they_are(bow) if case.kind == EXACT)
    mixed = Case(EQUAL_GAP, "prior", at_gap(bow, PriorSynthesizer(bow), 0.02, 0), case.pairs)
    assert "order" not in {row.quantity for row in measure(bow, "bow", mixed, 64, 0)}
    assert "order" in {row.quantity for row in measure(bow, "bow", case, 64, 0)}


def test_what_is_infinite_stays_so_in_the_record():
    row = Row("w", AS_IT_IS, "MAP", 8, "P1", "gap", None, None, 0.0)
    (cell,) = cells_of([row])
    assert cell.effect is None and cell.outcome == REFUTED
