"""Sequences, packing into rows, and the order of batches."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.packing import WINDOW, DocumentSequences, Mixture, Packed, PairSequences
from sbp_bayes.errors import UserError


class LengthSequences:
    """Sequence i is the token i repeated; enough to follow each one through packing."""

    def __init__(self, lengths):
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.fingerprint = "repeated tokens"

    def __len__(self):
        return len(self.lengths)

    def sequence(self, i):
        return np.full(self.lengths[i] + 1, i), np.ones(self.lengths[i], dtype=np.float32)

    def name(self, i):
        return f"sequence {i}"


def test_documents_become_bos_document_eos(make_corpus, tokenizer):
    sequences = DocumentSequences(make_corpus([[3, 1, 4], [5]]), tokenizer)
    tokens, weights = sequences.sequence(0)
    assert tokens.tolist() == [tokenizer.bos, 3, 1, 4, tokenizer.eos]
    assert weights.tolist() == [1, 1, 1, 1]
    assert sequences.lengths.tolist() == [4, 2]


def test_pairs_count_the_second_document_and_its_end_only(make_corpus, tokenizer):
    sequences = PairSequences(make_corpus([[3, 1, 4], [5, 9]]), np.array([[0, 1], [1, 0]]), tokenizer)
    tokens, weights = sequences.sequence(0)
    assert tokens.tolist() == [tokenizer.bos, 3, 1, 4, tokenizer.sep, 5, 9, tokenizer.eos]
    counted = tokens[1:][weights == 1]
    assert counted.tolist() == [5, 9, tokenizer.eos]
    assert set(weights) == {0.0, 1.0}
    assert sequences.lengths.tolist() == [7, 7]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 5))
def test_packing_keeps_every_target_exactly_once(lengths, seed):
    packed = Packed(LengthSequences(lengths), 12, seed)
    batch = packed.batch(np.arange(len(packed)))
    real = batch.document_ids > 0
    assert Counter(batch.targets[real].tolist()) == Counter({i: n for i, n in enumerate(lengths)})
    assert (batch.weights == real.float()).all()
    assert batch.tokens == sum(lengths) == packed.tokens and batch.weight == sum(lengths)
    assert packed.density == pytest.approx(sum(lengths) / (len(packed) * 12))
    for row in range(len(packed)):
        for number, member in enumerate(packed.members(row), start=1):
            mine = batch.document_ids[row] == number
            assert (batch.inputs[row][mine] == member).all()
            assert batch.positions[row][mine].tolist() == list(range(lengths[member]))
    assert packed.alone == (len(packed) == len(lengths))


def test_packing_is_dense_and_follows_its_seed():
    lengths = np.random.default_rng(0).integers(5, 60, 3000)
    packed = Packed(LengthSequences(lengths), 64, 0)
    assert packed.density > 0.97
    assert np.array_equal(packed._members, Packed(LengthSequences(lengths), 64, 0)._members)
    assert not np.array_equal(packed._members, Packed(LengthSequences(lengths), 64, 1)._members)


def test_windows_keep_the_shuffle_when_there_are_many_sequences():
    packed = Packed(LengthSequences(np.full(WINDOW + 100, 4)), 4, 0)
    assert sorted(packed._members) == list(range(WINDOW + 100))


def test_rows_are_the_same_with_and_without_the_cache(monkeypatch):
    lengths = [3, 5, 2, 7, 7, 1]
    cached = Packed(LengthSequences(lengths), 8, 0)
    monkeypatch.setattr("sbp_bayes.documents.packing.CACHED_SLOTS", 0)
    built = Packed(LengthSequences(lengths), 8, 0)
    assert built._table is None and cached._table is not None
    for a, b in zip(cached.arrays(np.array([1, 0])), built.arrays(np.array([1, 0])), strict=True):
        assert np.array_equal(a, b)


def test_a_document_longer_than_the_context_is_named_with_both_lengths(make_corpus, tokenizer):
    corpus = make_corpus([[1, 2], [1] * 9])
    with pytest.raises(UserError, match=r"document d1: 10 tokens .* 8"):
        Packed(DocumentSequences(corpus, tokenizer), 8, 0)
    with pytest.raises(UserError, match=r"pair 0 .*d0.*d1"):
        Packed(PairSequences(corpus, np.array([[0, 1]]), tokenizer), 8, 0)


def test_nothing_to_pack_is_an_error():
    with pytest.raises(UserError, match="no documents"):
        Packed(LengthSequences([]), 8, 0)


def test_a_negative_weight_is_refused_and_named(monkeypatch):
    sequences = LengthSequences([4, 3, 2])
    whole = sequences.sequence
    monkeypatch.setattr(sequences, "sequence", lambda i: (whole(i)[0], whole(i)[1] - 1.5 * (i == 1)))
    with pytest.raises(UserError, match=r"sequence 1: a target has the weight -0\.5, expected zero or more"):
        Packed(sequences, 8, 0)


def one_row_each(n: int) -> Packed:
    return Packed(LengthSequences(np.full(n, 4)), 4, 0)


def test_an_epoch_reads_every_row_once_and_epochs_differ():
    mixture = Mixture([(one_row_each(30), 1.0)], seed=3)
    rows = np.concatenate([mixture.rows_at(step, 8)[1] for step in range(15)])
    epochs = [rows[i : i + 30] for i in range(0, 120, 30)]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert mixture.epochs(15, 8) == [4.0]


def test_rows_are_a_pure_function_of_seed_and_step():
    def order(seed, steps):
        mixture = Mixture([(one_row_each(30), 1.0), (one_row_each(7), 0.6)], seed)
        return {step: mixture.rows_at(step, 8) for step in steps}

    forward, backward = order(0, range(20)), order(0, reversed(range(20)))
    for step in range(20):
        assert all(np.array_equal(a, b) for a, b in zip(forward[step], backward[step], strict=True))
    assert any(not np.array_equal(forward[s][1], order(1, [s])[s][1]) for s in range(20))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4), st.integers(1, 9))
def test_shares_hold_on_every_stretch_and_no_row_is_skipped(shares, batch_rows):
    packed = [one_row_each(5 + k) for k in range(len(shares))]
    mixture = Mixture(list(zip(packed, shares, strict=True)), seed=0)
    steps = 60
    drawn = [mixture.rows_at(step, batch_rows) for step in range(steps)]
    source, rows = (np.concatenate([d[i] for d in drawn]) for i in (0, 1))
    for k, share in enumerate(mixture.shares):
        counts = np.cumsum(source == k)
        assert np.abs(counts - share * np.arange(1, len(source) + 1)).max() < len(shares)
        mine = rows[source == k]
        n = len(packed[k])
        for start in range(0, len(mine) - n + 1, n):
            assert sorted(mine[start : start + n]) == list(range(n))


def test_a_mixture_of_two_halves_alternates():
    mixture = Mixture([(one_row_each(8), 0.5), (one_row_each(8), 0.5)], seed=0)
    assert mixture.rows_at(0, 6)[0].tolist() == [0, 1, 0, 1, 0, 1]


def test_the_batch_of_a_mixture_holds_the_rows_in_slot_order():
    first, second = Packed(LengthSequences([4, 3, 2]), 8, 0), Packed(LengthSequences([5, 6]), 8, 0)
    mixture = Mixture([(first, 0.5), (second, 0.5)], seed=0)
    batch = mixture.batch(1, 4)
    for slot, (source, row) in enumerate(zip(*mixture.rows_at(1, 4), strict=True)):
        expected = mixture.sources[source].batch(np.array([row]))
        for name in ("inputs", "targets", "weights", "document_ids", "positions"):
            assert torch.equal(getattr(batch, name)[slot], getattr(expected, name)[0])
    assert not batch.alone and set(batch.attention) == {"positions", "document_ids"}


def test_parts_of_a_batch_hold_its_rows_and_weights():
    batch = Packed(LengthSequences([4, 3, 2, 5, 8, 8]), 8, 0).batch(np.array([0, 1, 2, 3]))
    parts = batch.split(2)
    assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)
    assert sum(part.weight for part in parts) == batch.weight and sum(part.tokens for part in parts) == batch.tokens


@pytest.mark.parametrize("shares", [[], [0.0], [1.0, -0.5]])
def test_a_mixture_needs_positive_shares(shares):
    with pytest.raises(UserError, match="mixture"):
        Mixture([(one_row_each(3), share) for share in shares], 0)


def test_sources_packed_for_other_contexts_do_not_mix():
    with pytest.raises(UserError, match="different contexts"):
        Mixture([(one_row_each(3), 1.0), (Packed(LengthSequences([3]), 5, 0), 1.0)], 0)


def test_a_group_is_one_sequence_and_all_but_its_first_document_count(make_corpus, tokenizer):
    sequences = PairSequences(make_corpus([[3, 1, 4], [5, 9], [2]]), np.array([[0, 1, 2]]), tokenizer)
    tokens, weights = sequences.sequence(0)
    t = tokenizer
    assert tokens.tolist() == [t.bos, 3, 1, 4, t.sep, 5, 9, t.sep, 2, t.eos]
    assert weights.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert sequences.lengths.tolist() == [9]
