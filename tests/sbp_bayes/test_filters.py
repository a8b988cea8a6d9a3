"""The post-filter keeps good documents and gives each other one its reason."""

import numpy as np
import pytest

from sbp_bayes.synthesis.filters import post_filter, shingles
from sbp_bayes.synthesis.sampler import Samples

SEED = np.arange(100, 140)
FRESH = np.arange(40)


def judge(documents, finished=None, **settings):
    finished = np.ones(len(documents), bool) if finished is None else np.array(finished)
    documents = [np.asarray(d, dtype=np.int64) for d in documents]
    samples = Samples(documents, [np.zeros(len(d)) for d in documents], finished, 0, 0, 0.0, 0.0)
    return post_filter(samples, [SEED] * len(documents), **settings)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (FRESH, ""),
        (FRESH[:5], ""),
        ([], "empty"),
        (np.concatenate((FRESH[:13], [50], FRESH[:13])), "repeats itself"),
        (np.concatenate((FRESH[:12], [50], FRESH[:12])), ""),
        (np.full(14, 7), "repeats itself"),
        (np.full(13, 7), ""),
        (np.concatenate((FRESH, SEED[10:23])), "copies the seed document"),
        (np.concatenate((FRESH, SEED[10:22])), ""),
        (SEED, "copies the seed document"),
    ],
)
def test_each_rule_at_its_edge(document, reason):
    result = judge([document])
    assert result.reasons.tolist() == [reason] and result.kept.tolist() == [reason == ""]


def test_unfinished_comes_before_any_other_reason():
    result = judge([FRESH, [], SEED], [False, False, True], min_tokens=50)
    assert result.reasons.tolist() == ["unfinished", "unfinished", "too short"]


def test_rules_can_be_switched_off_and_shingles_resized():
    copy, loop = SEED, np.full(20, 7)
    assert judge([copy], copied_shingle=0).kept.all()
    assert judge([loop], repeated_shingle=0).kept.all()
    assert judge([SEED[:4]], copied_shingle=4).reasons.tolist() == ["copies the seed document"]
    assert judge([[1, 2, 1, 2]], repeated_shingle=2).reasons.tolist() == ["repeats itself"]


def test_counts_add_up():
    result = judge([FRESH, [], SEED, FRESH], [True, True, True, False])
    kept, reasons = result
    assert kept.tolist() == [True, False, False, False] and len(reasons) == 4
    assert result.counts == {
        "kept": 1,
        "unfinished": 1,
        "empty": 1,
        "too short": 0,
        "repeats itself": 0,
        "copies the seed document": 1,
    }


def test_shingles_are_the_runs_of_tokens():
    assert len(shingles(np.array([1, 2, 3, 1, 2]), 2)) == 3
    assert shingles(np.array([1, 2], dtype=np.int32), 2) == shingles(np.array([1, 2], dtype=np.int64), 2)
    assert shingles(np.array([1]), 2) == set()
