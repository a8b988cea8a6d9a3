from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_text import cleaned

from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.text_source import TextSource
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import load_pairs, make_pairs, save_pairs
from sbp_bayes.pairing.rules import same_concept, uniform
from sbp_bayes.pairing.split import in_groups, split_pairs
from sbp_bayes.pairing.statistics import chance_precision

CONCEPTS = np.repeat(np.arange(4), 15)
WORDNET = Path(__file__).parents[2] / "data" / "wordnet"


def documents(concepts, seed=0):
    """Documents of 8 symbols, those of concept c from the four symbols 3c..3c+3, so that neighbours share some."""
    rng = np.random.default_rng(seed)
    return [(3 * c + rng.integers(0, 4, 8)).tolist() for c in concepts]


@pytest.fixture
def corpus(tmp_path):
    tokens = pa.array(documents(CONCEPTS), pa.list_(pa.int32()))
    table = pa.table({"doc_id": [str(i) for i in range(CONCEPTS.size)], "tokens": tokens})
    return write_corpus(tmp_path / "c", [table], SymbolTokenizer(20), [pa.table({"concept": CONCEPTS})])


@pytest.fixture
def text_corpus(tmp_path):
    options = {"path": str(WORDNET), "concept_column": "headword", "id_column": "id"}
    real = cleaned(TextSource.from_options(options, 0), SplitSizes(200, 2, 2, 200)).splits["real"]
    tokenizer = BpeTokenizer.train(real["text"].to_pylist(), 300)
    return write_corpus(tmp_path / "text", [real], tokenizer, [real.select(["concept"])])


def config(rule, **changes):
    return PairingConfig(**{"rule": rule, "shingle": 0, "pairs_per_document": 4, **changes})


def test_truth_pairs_documents_of_one_concept(corpus):
    pairs = make_pairs(corpus, config("truth"), 0)
    kept = pairs.kept
    assert (CONCEPTS[kept[:, 0]] == CONCEPTS[kept[:, 1]]).all()
    assert (kept[:, 0] != kept[:, 1]).all()
    assert np.bincount(kept[:, 0]).tolist() == [4] * 60
    assert len(np.unique(kept, axis=0)) == len(kept)
    assert pairs.statistics["precision"] == 1.0
    assert pairs.table["score"].null_count == len(kept)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 9))
def test_same_concept_gives_each_document_as_many_partners_as_it_can(concepts, per_document, seed):
    concepts = np.array(concepts)
    found = same_concept(concepts, per_document, np.random.default_rng(seed))
    assert (np.diff(found.d1) >= 0).all()
    pairs = set(zip(found.d1.tolist(), found.d2.tolist(), strict=True))
    assert len(pairs) == found.d1.size
    for i, concept in enumerate(concepts):
        others = [j for j in np.flatnonzero(concepts == concept) if j != i and concept >= 0]
        partners = [d2 for d1, d2 in pairs if d1 == i]
        assert set(partners) <= set(others)
        assert len(partners) == min(per_document, len(others))


def test_every_partner_is_equally_likely():
    # 3000 draws of 2 of 4 partners: each count is binomial(3000, 1/2), sd 27.
    rng = np.random.default_rng(0)
    counts = sum(np.bincount(same_concept(np.zeros(5, int), 2, rng).d2[:2], minlength=5) for _ in range(3000))
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1500).max() < 5 * 27


def test_random_pairs_are_uniform_and_never_of_a_document_with_itself():
    rng = np.random.default_rng(0)
    found = uniform(6, np.array([5, 0, 2, 2, 9, 1]), rng)
    assert np.bincount(found.d1, minlength=6).tolist() == [5, 0, 2, 2, 5, 1]
    assert (found.d1 != found.d2).all()
    draws = np.concatenate([uniform(4, np.ones(4, int), rng).d2[:1] for _ in range(3000)])
    assert np.abs(np.bincount(draws, minlength=4) - [0, 1000, 1000, 1000]).max() < 5 * 26


def test_random_pairs_give_each_document_as_many_partners_as_the_related_ones(corpus):
    related = make_pairs(corpus, config("similarity", alpha=0.8), 0)
    random = make_pairs(corpus, config("random"), 0, like=related)
    assert (np.bincount(random.kept[:, 0], minlength=60) == np.bincount(related.kept[:, 0], minlength=60)).all()
    assert abs(random.statistics["precision"] - random.statistics["chance_precision"]) < 0.2
    assert make_pairs(corpus, config("random"), 0).statistics["pairs_per_document"] == 4


def test_similar_documents_have_one_concept_more_often_than_chance(corpus):
    statistics = make_pairs(corpus, config("similarity", alpha=0.5), 0).statistics
    assert statistics["precision"] > 0.8 > statistics["chance_precision"] == pytest.approx(14 / 59)


def test_reasons_add_up_and_the_cap_keeps_the_most_similar(corpus):
    pairs = make_pairs(corpus, config("similarity", alpha=0.7, top_k=10, pairs_per_document=2, shingle=4), 0)
    rows = pairs.table.to_pylist()
    reasons = {row["reason"] for row in rows}
    assert reasons == {"kept", "below alpha", "near-duplicate", "over the cap"}
    for row in rows:
        assert row["kept"] == (row["reason"] == "kept")
        assert (row["score"] <= 0.7) == (row["reason"] == "below alpha")
    for d1 in range(60):
        mine = [row for row in rows if row["d1"] == d1]
        kept = [row["score"] for row in mine if row["kept"]]
        capped = [row["score"] for row in mine if row["reason"] == "over the cap"]
        assert len(kept) <= 2
        assert not capped or min(kept) >= max(capped)
    statistics = pairs.statistics
    counted = sum(statistics[key] for key in ("kept_pairs", "near_duplicates", "below_alpha", "over_cap"))
    assert counted == statistics["candidate_pairs"] == len(rows)
    without = 1 - len({row["d1"] for row in rows if row["kept"]}) / 60
    assert statistics["share_without_partner"] == pytest.approx(without)


def test_headwords_are_found_by_tfidf_in_real_text(text_corpus):
    statistics = make_pairs(text_corpus, config("similarity", alpha=0.2, top_k=1, shingle=13), 0).statistics
    assert statistics["precision"] > 0.5
    assert statistics["chance_precision"] == pytest.approx(1 / 199)
    assert make_pairs(text_corpus, config("truth"), 0).statistics["pairs_per_document"] == 1


def test_pairs_are_a_function_of_the_seed(corpus):
    for rule in ("truth", "random"):
        first, again, other = (make_pairs(corpus, config(rule), seed).table for seed in (0, 0, 1))
        assert first.equals(again)
        assert not first.equals(other)


def test_only_truth_reads_the_latents(corpus, tmp_path):
    seen = {rule: make_pairs(corpus, config(rule), 0) for rule in ("similarity", "random")}
    (corpus.folder / "latents").rename(tmp_path / "hidden")
    for rule, pairs in seen.items():
        blind = make_pairs(corpus, config(rule), 0)
        assert blind.table.equals(pairs.table)
        assert blind.statistics["precision"] is None
    with pytest.raises(UserError, match="'truth' needs latents"):
        make_pairs(corpus, config("truth"), 0)


def test_thresholds_that_leave_nothing_say_why(corpus):
    with pytest.raises(UserError, match=r"alpha = 1 leaves no pair: the largest similarity is (1\.0000|0\.9\d+)$"):
        make_pairs(corpus, config("similarity", alpha=1), 0)
    with pytest.raises(UserError, match=r"shingle = 1 leaves no pair: all .* near-duplicates"):
        make_pairs(corpus, config("similarity", shingle=1), 0)
    with pytest.raises(UserError, match="'auto': a source settles it; expected truth, similarity"):
        make_pairs(corpus, PairingConfig(embedder="tfidf"), 0)
    with pytest.raises(UserError, match="base model and its tokenizer"):
        make_pairs(corpus, config("similarity", embedder="base-model"), 0)


def test_one_document_has_no_partner(tmp_path):
    table = pa.table({"doc_id": ["a"], "tokens": pa.array([[1]], pa.list_(pa.int32()))})
    lonely = write_corpus(tmp_path / "c", [table], SymbolTokenizer(2))
    with pytest.raises(UserError, match="at least two documents"):
        make_pairs(lonely, config("random"), 0)


def test_concepts_that_never_repeat_cannot_be_paired(tmp_path):
    table = pa.table({"doc_id": ["a", "b"], "tokens": pa.array([[1], [1]], pa.list_(pa.int32()))})
    corpus = write_corpus(tmp_path / "c", [table], SymbolTokenizer(2), [pa.table({"concept": ["x", "y"]})])
    with pytest.raises(UserError, match="no two documents could be paired by the rule truth"):
        make_pairs(corpus, config("truth"), 0)


def test_saved_pairs_come_back(corpus, tmp_path):
    pairs = make_pairs(corpus, config("similarity", alpha=0.5), 0)
    save_pairs(tmp_path / "p", pairs)
    loaded = load_pairs(tmp_path / "p")
    assert loaded.table.equals(pairs.table)
    assert loaded.statistics == pairs.statistics
    (tmp_path / "p" / "pairs.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pairs\.parquet: corrupt"):
        load_pairs(tmp_path / "p")


def test_chance_precision_is_the_share_of_ordered_pairs_that_agree():
    concepts = np.array([0, 0, 1, 2, 2, 2, -1])
    agreeing = [a == b >= 0 for i, a in enumerate(concepts) for j, b in enumerate(concepts) if i != j]
    assert chance_precision(concepts) == pytest.approx(np.mean(agreeing))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(1, 200), st.integers(0, 9), st.sampled_from([0.1, 0.125, 0.3]))
def test_held_out_pairs_share_no_document_with_training_pairs(n, m, seed, share):
    pairs = np.random.default_rng(seed).integers(0, n, size=(m, 2))
    try:
        train, validation = split_pairs(pairs, seed, share)
    except UserError:
        return
    assert not set(train.ravel()) & set(validation.ravel())
    both = np.concatenate([train, validation])
    known = {tuple(pair) for pair in pairs.tolist()}
    assert {tuple(pair) for pair in both.tolist()} <= known
    assert len(train)
    assert len(validation)


def test_small_groups_are_held_out_whole():
    headwords = np.array([(2 * i, 2 * i + 1) for i in range(400)])
    pairs = np.concatenate([headwords, headwords[:, ::-1]])
    train, validation = split_pairs(pairs, 0)
    assert (len(train), len(validation)) == (700, 100)


def test_large_groups_are_divided():
    pairs = np.array([(i, j) for i in range(40) for j in range(40) if i != j])
    train, validation = split_pairs(pairs, 0)
    assert (len(train), len(validation)) == (35 * 34, 5 * 4)


def test_too_few_pairs_to_hold_any_out():
    with pytest.raises(UserError, match="1 pairs of 2 documents are too few"):
        split_pairs(np.array([[0, 1]]), 0)


def test_wrong_pairs_and_copies_come_at_their_rates(corpus):
    clean = make_pairs(corpus, config("truth", pairs_per_document=10), 0).kept
    spoilt = make_pairs(corpus, config("truth", pairs_per_document=10, wrong=0.4, near_duplicate=0.25), 0).kept
    assert (spoilt[:, 0] == clean[:, 0]).all()
    copies = spoilt[:, 0] == spoilt[:, 1]
    changed = ~copies & (spoilt[:, 1] != clean[:, 1])
    assert abs(copies.mean() - 0.25) < 4 * (0.25 * 0.75 / 600) ** 0.5
    assert abs(changed[~copies].mean() - 0.4) < 4 * (0.4 * 0.6 / 450) ** 0.5
    other = CONCEPTS[spoilt[changed, 0]] != CONCEPTS[spoilt[changed, 1]]
    assert abs(other.mean() - 45 / 59) < 0.1


def test_pairs_of_rarer_concepts_are_kept_by_their_zipf_weights(corpus):
    pairs = make_pairs(corpus, config("truth", pairs_per_document=10, concept_zipf=1.0), 0)
    counts = np.bincount(CONCEPTS[pairs.kept[:, 0]])
    assert counts[0] == 150
    expected = 150 / np.arange(1, 5)
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()
    assert (pairs.table["reason"].to_numpy(zero_copy_only=False) == "concept made rarer").sum() == 600 - counts.sum()


def test_truth_asks_for_all_latents_named(tmp_path):
    style = np.arange(CONCEPTS.size) % 3
    table = pa.table({"doc_id": [str(i) for i in range(CONCEPTS.size)], "tokens": documents(CONCEPTS)})
    latents = pa.table({"concept": CONCEPTS, "style": style})
    corpus = write_corpus(tmp_path / "styled", [table], SymbolTokenizer(20), [latents])
    kept = make_pairs(corpus, config("truth", latents=["concept", "style"]), 0).kept
    assert (style[kept[:, 0]] == style[kept[:, 1]]).all()
    assert (CONCEPTS[kept[:, 0]] == CONCEPTS[kept[:, 1]]).all()
    with pytest.raises(UserError, match="latents with the columns concept, mood"):
        make_pairs(corpus, config("truth", latents=["concept", "mood"]), 0)


def test_vectors_of_a_registered_embedder_find_the_nearest(corpus):
    vectors = np.eye(4)[CONCEPTS] + np.linspace(0, 0.1, CONCEPTS.size)[:, None]
    pairs = make_pairs(corpus, config("similarity", embedder="mine", alpha=0.5), 0, vectors=vectors)
    assert pairs.statistics["precision"] == 1.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(2, 5))
def test_groups_use_each_partner_at_most_once(first, size):
    pairs = np.column_stack([first, np.arange(len(first)) + 100])
    counts = np.bincount(first) // (size - 1)
    if not counts.any():
        with pytest.raises(UserError, match=r"raise pairing\.pairs_per_document"):
            in_groups(pairs, size)
        return
    groups = in_groups(pairs, size)
    assert groups.shape == (counts.sum(), size)
    partners = groups[:, 1:].ravel()
    assert len(np.unique(partners)) == partners.size
    owner = dict(zip(pairs[:, 1].tolist(), pairs[:, 0].tolist(), strict=True))
    assert all(owner[p] == row[0] for row in groups.tolist() for p in row[1:])
    if size == 2:
        assert sorted(map(tuple, groups)) == sorted(map(tuple, pairs))


def test_copies_have_the_same_share_in_both_parts_of_the_split():
    rng = np.random.default_rng(0)
    first = np.repeat(np.arange(4000), 2)
    second = (first + 1 + rng.integers(0, 3999, first.size)) % 4000
    copies = rng.random(first.size) < 0.1
    pairs = np.column_stack([first, np.where(copies, first, second)])
    for part in split_pairs(pairs, 0):
        share = (part[:, 0] == part[:, 1]).mean()
        assert abs(share - 0.1) < 4 * (0.09 / len(part)) ** 0.5


def test_the_table_by_alpha_agrees_with_pairing_at_each_alpha(corpus):
    wide = dict(top_k=59, pairs_per_document=59, shingle=3)
    rows = make_pairs(corpus, config("similarity", alpha=0.2, **wide), 0).statistics["by_alpha"]
    assert [row["alpha"] for row in rows] == [round(-1 + 0.05 * i, 6) for i in range(41)]
    for row in (row for row in rows if row["alpha"] in (0.05, 0.5, 0.8)):
        pairs = make_pairs(corpus, config("similarity", alpha=row["alpha"], **wide), 0)
        statistics, kept = pairs.statistics, pairs.kept
        assert row["pairs"] == statistics["kept_pairs"] > 0
        assert row["near_duplicates"] == statistics["near_duplicates"]
        assert row["share_with_partner"] == pytest.approx(1 - statistics["share_without_partner"])
        assert row["precision"] == pytest.approx(statistics["precision"])
        best = kept[np.unique(kept[:, 0], return_index=True)[1]]
        assert row["top1_precision"] == pytest.approx((CONCEPTS[best[:, 0]] == CONCEPTS[best[:, 1]]).mean())
    assert (rows[-1]["pairs"], rows[-1]["precision"]) == (0, None)


def test_pairs_say_where_they_come_from(corpus):
    pairs = make_pairs(corpus, config("similarity", alpha=0.5, cap=3, mutual=True, jaccard=0.9), 0)
    statistics = pairs.statistics
    assert statistics["corpus"] == corpus.fingerprint
    assert statistics["tokenizer"] == corpus.tokenizer_fingerprint
    assert statistics["embedder"] == {"embedder": "tfidf"}
    assert statistics["search"] == {"method": "exact", "k": 20}
    assert sum(statistics["reasons"].values()) == statistics["candidate_pairs"]
    assert statistics["most_as_d2"] == np.bincount(pairs.kept[:, 1]).max() <= 3
    assert statistics["share_related"] == 1.0
    row = pairs.table.slice(5, 1).to_pylist()[0]
    assert (row["d1_id"], row["d2_id"]) == (str(row["d1"]), str(row["d2"]))


def test_pairs_that_no_filter_alone_took_away_are_counted(corpus):
    with pytest.raises(UserError, match=r"pairing leaves no pair \(\d+ below alpha, \d+ near-duplicate by Jaccard\)$"):
        make_pairs(corpus, config("similarity", alpha=0.3, jaccard=0.01, overlap_shingle=1), 0)
