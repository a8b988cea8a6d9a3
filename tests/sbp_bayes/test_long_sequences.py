"""Sequences longer than the context: refused with their share, left out, or cut without losing a target."""

import numpy as np
import pytest

from sbp_bayes.documents.long_sequences import fitted
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.errors import UserError

CONTEXT = 8


@pytest.fixture
def sequences(make_corpus, tokenizer) -> DocumentSequences:
    """Of 5, 8, 9, 17 and 25 targets."""
    documents = [np.arange(n) % 11 for n in (4, 7, 8, 16, 24)]
    return DocumentSequences(make_corpus(documents), tokenizer)


def test_they_are_refused_with_their_number_and_share(sequences):
    with pytest.raises(UserError) as error:
        fitted(sequences, CONTEXT, "refuse")
    assert str(error.value) == (
        "document d4: 25 tokens do not fit the context of 8; 3 of 5 (60 %) are longer than the context: "
        "raise --context, or --long drop or split"
    )


def test_the_short_ones_are_left(sequences):
    found, line = fitted(sequences, CONTEXT, "drop")
    assert found.lengths.tolist() == [5, 8]
    assert [found.name(i) for i in range(len(found))] == ["document d0", "document d1"]
    assert line == "3 of 5 (60 %) are longer than the context of 8 tokens and are left out"
    assert found.fingerprint != sequences.fingerprint


def test_parts_hold_every_target_once_with_the_token_before_it(sequences):
    found, line = fitted(sequences, CONTEXT, "split")
    assert found.lengths.tolist() == [5, 8, 8, 1, 8, 8, 1, 8, 8, 8, 1]
    assert line == "3 of 5 (60 %) are longer than the context of 8 tokens and are cut into 9 parts"
    steps = [(a, b) for i in range(len(found)) for a, b in zip(*_shifted(found.sequence(i)[0]), strict=True)]
    whole = [(a, b) for i in range(len(sequences)) for a, b in zip(*_shifted(sequences.sequence(i)[0]), strict=True)]
    assert steps == whole
    assert all(found.sequence(i)[1].size == found.lengths[i] for i in range(len(found)))
    assert found.name(3) == "document d2, part 2"
    assert Packed(found, CONTEXT, 0).tokens == sequences.lengths.sum()


def test_what_fits_stays_as_it_is(sequences):
    assert fitted(sequences, 25, "refuse") == (sequences, "")


def test_nothing_left_is_an_error(sequences):
    with pytest.raises(UserError, match=r"5 of 5 \(100 %\) are longer than the context: raise --context"):
        fitted(sequences, 4, "drop")


def _shifted(tokens: np.ndarray) -> tuple[list[int], list[int]]:
    return tokens[:-1].tolist(), tokens[1:].tolist()
