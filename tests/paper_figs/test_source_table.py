import math

import pytest

from paper_figs.run_files import Results
from paper_figs.source_table import source_table


def row(measure, subject, estimate, n, seed=None, low=None, high=None):
    own = {"measure": measure, "subject": subject, "seed": seed}
    return {**own, "estimate": estimate, "n": n, "low": low, "high": high}


@pytest.fixture
def rows():
    found = []
    for subject, shift in (("repetition", 0.0), ("sbp", -0.5)):
        for measure, loss, n in (
            ("heldout_loss best", 3.0, 150),
            ("heldout_loss of gcide best", 3.2, 100),
            ("heldout_loss of gcide final", 9.0, 100),
            ("heldout_loss of the jargon best", 2.0, 50),
        ):
            found += [row(measure, subject, loss + shift, n, seed) for seed in (0, 1)]
            found.append(row(measure, subject, loss + shift, 2, None, loss + shift - 0.1, loss + shift + 0.1))
    return found


def test_perplexity_of_each_arm_on_each_source_at_the_best_checkpoint(rows):
    table = source_table(Results(rows))
    assert table.header == ["arm", "gcide (100)", "the jargon (50)", "all (150)"]
    assert [line[0] for line in table.rows] == ["repetition", "SBP"]
    assert table.rows[1][1] == f"{math.exp(2.7):.4g} [{math.exp(2.6):.4g}, {math.exp(2.8):.4g}]"
    assert table.rows[0][2].startswith(f"{math.exp(2.0):.4g} [")


def test_a_corpus_of_one_source_has_no_table(rows):
    assert source_table(Results([r for r in rows if " of " not in r["measure"]])).rows == []
