import numpy as np
import pytest

from sbp_bayes.documents.copies import Digests, first_of
from sbp_bayes.documents.languages import language_of
from sbp_bayes.documents.near_copies import FOUND, bands_for, near_copies


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
def test_bands_find_what_is_as_similar_as_the_threshold(threshold):
    b, r = bands_for(threshold)
    assert b * r <= 128
    assert 1 - (1 - threshold**r) ** b >= FOUND or (b, r) == (128, 1)
    longer = 128 // (r + 1)
    assert r == 16 or 1 - (1 - threshold ** (r + 1)) ** longer < FOUND


def test_pairs_at_the_threshold_are_found_as_often_as_promised(tmp_path):
    """400 pairs that share 20 of 30 words (n = 1): Jaccard 1/2, the threshold itself."""
    rng = np.random.default_rng(1)
    texts = []
    for _ in range(400):
        found = [f"w{k}" for k in rng.choice(10**9, 40, replace=False)]
        texts += [" ".join(found[:30]), " ".join(found[10:])]
    twins, similarity = near_copies([texts[:300], texts[300:]], len(texts), 0.5, 1, tmp_path)
    near = np.flatnonzero(twins != np.arange(len(texts)))
    assert (twins[near] == near - 1).all()
    assert (similarity[near] == 0.5).all()
    # At least 0.98 of 400: below 380 has a chance under 1e-4.
    assert near.size >= 380


def test_a_chain_of_edits_ends_at_what_each_shares_with_the_kept_one(tmp_path):
    """Each text has two more words replaced than the one before; the kept twin is always similar enough itself."""
    texts = [" ".join(f"x{i}" if i < 2 * k else f"w{i}" for i in range(60)) for k in range(16)]
    twins, similarity = near_copies([texts], len(texts), 0.7, 1, tmp_path)
    for j, i in enumerate(twins):
        common = 60 - 2 * (j - i)
        assert twins[i] == i
        assert similarity[j] == pytest.approx(common / (120 - common))
        assert similarity[j] >= 0.7
    assert (twins == 0).sum() == 6  # 2 * 5 words replaced: 50 / 70 in common


def test_of_several_kept_documents_the_most_similar_is_the_twin(tmp_path):
    texts = [" ".join(f"w{i}" for i in range(first, first + 20)) for first in (0, 6, 4)]
    twins, similarity = near_copies([texts], 3, 0.6, 1, tmp_path)
    assert twins.tolist() == [0, 1, 1]
    assert similarity[2] == pytest.approx(18 / 22)


def test_documents_without_words_and_short_ones(tmp_path):
    texts = ["...", "!!!", "", "one two", "one two", "one three"]
    twins, _ = near_copies([texts], len(texts), 0.5, 13, tmp_path)
    assert twins.tolist() == [0, 1, 2, 3, 3, 5]
    assert near_copies([], 0, 0.5, 13, tmp_path)[0].size == 0


def test_the_first_of_equals():
    assert first_of(np.array([3, 1, 3, 1, 2, 3])).tolist() == [0, 1, 0, 1, 4, 0]
    assert first_of(np.array([3, 3, 3]), np.array([1, 2, 1])).tolist() == [0, 1, 0]
    digests = Digests()
    for text in ["a", "b", "a", "c", "b"]:
        digests.add(text)
    assert digests.first().tolist() == [0, 1, 0, 3, 1]
    assert Digests().first().size == 0


TOLD = {
    "en": "The history of the town is not as old as it was said to be by those who had been in the church at the time.",
    "de": "Die Geschichte der Stadt ist nicht so alt, wie es von denen gesagt wird, die da mit in der Kirche sind.",
    "fr": "L'histoire de la ville n'est pas aussi vieille que ce qui est dit par les gens qui sont dans une église.",
    "es": "La historia de la ciudad no es tan antigua como se ha dicho por los que en la época vivían con él.",
    "nl": "De geschiedenis van de stad is niet zo oud als het is gezegd door hen die er in die tijd in een kerk waren.",
    "it": "La storia della città non è così antica come si dice nel libro di uno che era con gli altri alla chiesa.",
    "pt": "A história da cidade não é tão antiga como se diz no livro de um homem que foi com os outros à igreja.",
    "sv": "Stadens historia är inte så gammal som det har sagts av de män som var i en kyrka på den tiden, men att.",
    "da": "Byens historie er ikke så gammel som det er blevet sagt af de mænd der var i en kirke på den tid, men.",
}


def test_languages_are_told_by_their_function_words():
    assert {language: language_of(text) for language, text in TOLD.items()} == {name: name for name in TOLD}
    assert language_of("the cat") is None
    assert language_of(" ".join(f"name{chr(97 + i)}" for i in range(26))) == "unknown"
    assert language_of("кошка сидела на окне и смотрела на улицу где шёл снег " * 3) == "unknown"
