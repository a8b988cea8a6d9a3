"""Findings of several seeds as one: means, errors and degrees of freedom; verdicts, their files and their order."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.predictions.finding import Finding
from analysis.predictions.over_seeds import (
    Place,
    deciding,
    family,
    pooled,
    read_verdicts,
    refuted_first,
    verdicts,
    write_verdicts,
)
from analysis.predictions.stored import Measured, read_findings, write_findings
from analysis.predictions.verdict import CONTROL, INCONCLUSIVE, REFUTED, SUPPORTED
from sbp_bayes.errors import UserError


def found(estimate, se=0.1, null=0.0, quantity="gap", n=100, test="equal"):
    return Finding("P1", quantity, "synthesizer", estimate, se, n, "nats", null, 1.0, test)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 2), st.floats(-1, 1)), min_size=2, max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_error_is_the_larger_of_two_and_freedom_lies_between(rows):
    one = pooled([found(estimate, se, null) for estimate, se, null in rows])
    differences = np.array([estimate - null for estimate, _, null in rows])
    within = math.sqrt(sum(se**2 for _, se, _ in rows)) / len(rows)
    between = differences.std(ddof=1) / math.sqrt(len(rows))
    assert one.estimate - one.null == pytest.approx(differences.mean())
    assert one.se == pytest.approx(max(within, between))
    assert one.n == 100 * len(rows)
    assert len(rows) - 1 <= one.df * (1 + 1e-9) and (one.df == math.inf) == (between <= within)


def test_seeds_that_differ_for_certain_leave_one_degree_less_than_there_are():
    assert pooled([found(0.1, 0.0), found(0.2, 0.0), found(0.3, 0.0)]).df == pytest.approx(2)
    assert pooled([found(0.1, 0.0), found(0.3, 0.1)]).df > 1


def test_one_seed_is_left_as_it_is_and_an_infinity_stays_one():
    assert pooled([found(0.3, 0.2)]) == found(0.3, 0.2)
    infinite = pooled([found(0.1), found(math.inf, math.inf)])
    assert infinite.estimate == math.inf and infinite.se == math.inf


def test_margins_that_differ_by_seed_are_averaged_and_equal_ones_kept():
    assert pooled([replace(found(0.1), margin=m) for m in (0.1, 0.1, 0.1)]).margin == 0.1
    assert pooled([replace(found(0.1), margin=m) for m in (0.1, 0.3)]).margin == pytest.approx(0.2)


def test_false_refutations_over_three_seeds_that_truly_vary():
    """The mean over seeds lies on the border of the margin: one family in twenty may be refuted, where errors are most
    frequent; with the documents' own error alone it would be one in three."""
    random = np.random.default_rng(0)
    means = 1 + 0.5 * random.standard_normal((2000, 3))
    wrong = [family([pooled([found(float(m), 0.01) for m in row])], [Place(["w"], [0])])[0].verdict for row in means]
    assert 0.02 < wrong.count(REFUTED) / 2000 < 0.07


def seeds_of(estimates, se=0.01):
    return [Measured(found(value, se), "w", seed) for seed, value in enumerate(estimates)]


def test_what_every_seed_says_by_itself_is_not_undecided():
    """Two seeds twenty margins away that differ by one would take a t of 12 with one degree of freedom."""
    assert [verdicts(seeds_of(values))[0].verdict for values in ([20.0, 24.0], [0.2, 0.4], [0.5, 1.5])] == [
        REFUTED,
        SUPPORTED,
        INCONCLUSIVE,
    ]


@pytest.mark.parametrize("border, wrong_outcome", [(1.0, REFUTED), (1.0001, SUPPORTED)])
def test_false_outcomes_of_a_family_over_seeds_stay_below_five_percent(border, wrong_outcome):
    """Eight quantities, three seeds, all at the border of their margins and varying by their documents alone."""
    random = np.random.default_rng(2)
    wrong = 0
    for _ in range(600):
        estimates = border + 0.2 * random.standard_normal((8, 3))
        rows = [
            Measured(found(float(value), 0.2, quantity=str(i)), "w", seed)
            for i, row in enumerate(estimates)
            for seed, value in enumerate(row)
        ]
        wrong += any(row.verdict == wrong_outcome for row in verdicts(rows))
    assert wrong / 600 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def rows():
    quantities = {"gap": (0.0, 0.01), "share": (3.0, 0.1), "way": (1.0, 0.5)}
    return [
        Measured(found(value + 0.01 * seed, se, quantity=name), f"world{seed}", seed)
        for name, (value, se) in quantities.items()
        for seed in (0, 1)
    ]


def test_verdicts_say_which_seeds_worlds_and_documents():
    gap, share, way = verdicts(rows(), cell="a")
    assert (gap.verdict, share.verdict, way.verdict) == (SUPPORTED, REFUTED, INCONCLUSIVE)
    assert {row.prediction_verdict for row in (gap, share, way)} == {REFUTED}
    assert (gap.seeds, gap.world, gap.n, gap.cell, gap.title) == ([0, 1], "world0, world1", 200, "a", "Bayes gap")
    assert gap.low < gap.estimate < gap.high
    assert share.sentence == "3.0 margins above exact Bayes."
    assert [row.quantity for row in refuted_first([gap, share, way])] == ["share", "way", "gap"]
    assert deciding([gap, share, way]) == [share]


def test_controls_and_what_ignoring_d1_gets_right_are_told_in_words():
    gap, order = found(3.0), replace(found(0.0), prediction="P3", quantity="asymmetry")
    control = replace(found(0.0), prediction="P8", quantity="copies", control=True)
    told = family([gap, order, control], [Place(["w"], [0])] * 3)
    assert [row.verdict for row in told] == [REFUTED, INCONCLUSIVE, CONTROL]
    assert [row.verdict for row in told] == [row.prediction_verdict for row in told]
    assert told[1].sentence == "Within 1, but so is what ignores d1: P1 is refuted."
    assert told[2].sentence.startswith("A control: ")
    assert [row.verdict for row in refuted_first(told[::-1])] == [REFUTED, INCONCLUSIVE, CONTROL]


def test_a_family_is_one_subject():
    """Twenty unsure quantities of another synthesizer do not make this one's any less sure."""
    ours = Measured(found(1.25, 0.1, test="at most"), "w", 0)
    others = [
        Measured(replace(found(1.0, 0.5, quantity=str(i)), subject="synthesizer random-pairs"), "w", 0)
        for i in range(20)
    ]
    assert verdicts([ours, *others])[0].verdict == REFUTED
    crowded = [Measured(replace(other.finding, subject="synthesizer"), "w", 0) for other in others]
    assert verdicts([ours, *crowded])[0].verdict == INCONCLUSIVE


def test_files_are_read_back_as_they_were_written(tmp_path):
    for seed in (0, 1):
        own = [replace(row, finding=replace(row.finding, control=seed == 1)) for row in rows() if row.seed == seed]
        own.append(Measured(found(math.inf, math.inf, quantity="infinite"), f"world{seed}", seed))
        own.append(Measured(found(math.nan, 1.0, quantity="undefined"), f"world{seed}", seed))
        write_findings(tmp_path / "seeds" / str(seed), own)
    back = read_findings(tmp_path / "seeds" / "1")
    assert [row.finding.quantity for row in back[:3]] == ["gap", "share", "way"]
    assert all(row.finding.control for row in back[:3])
    assert [replace(row.finding, control=False) for row in back[:3]] == [r.finding for r in rows() if r.seed == 1]
    assert back[3].finding.estimate == math.inf and math.isnan(back[4].finding.estimate)
    write_verdicts(tmp_path)
    once = (tmp_path / "verdicts.json").read_text()
    write_verdicts(tmp_path)
    assert (tmp_path / "verdicts.json").read_text() == once
    found_verdicts = {row.quantity: row for row in read_verdicts(tmp_path)}
    assert found_verdicts["infinite"].estimate is None and found_verdicts["infinite"].verdict == REFUTED
    assert found_verdicts["undefined"].verdict == INCONCLUSIVE
    assert len(read_findings(tmp_path)) == 10


def test_nothing_is_written_without_findings(tmp_path):
    (tmp_path / "seeds" / "0").mkdir(parents=True)
    write_verdicts(tmp_path)
    assert not (tmp_path / "verdicts.json").exists()


@pytest.mark.parametrize("content", ["[3]", '[{"quantity": "gap"}]', "{"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "findings.json").write_text(content)
    (tmp_path / "verdicts.json").write_text(content)
    with pytest.raises(UserError, match=r"findings.json"):
        read_findings(tmp_path)
    with pytest.raises(UserError, match=r"verdicts.json"):
        read_verdicts(tmp_path)
