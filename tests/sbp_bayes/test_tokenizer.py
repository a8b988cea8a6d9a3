import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer, load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog"] * 5
BPE = BpeTokenizer.train(TEXTS, 280)


def test_special_ids_follow_the_symbols():
    for tokenizer in (SymbolTokenizer(32), BPE):
        specials = (tokenizer.bos, tokenizer.sep, tokenizer.eos)
        assert specials == (tokenizer.symbols, tokenizer.symbols + 1, tokenizer.symbols + 2)
        assert tokenizer.vocabulary_size == tokenizer.symbols + 3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_bpe_round_trip_keeps_every_character(texts):
    for text, ids in zip(texts, BPE.encode(texts), strict=True):
        assert BPE.decode(ids) == text
        assert ids.dtype == np.int32
        assert not ids.size or (ids.min() >= 0 and ids.max() < BPE.symbols)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 31)))
def test_symbol_round_trip(symbols):
    tokenizer = SymbolTokenizer(32)
    (ids,) = tokenizer.encode([tokenizer.decode(symbols)])
    assert ids.tolist() == symbols


def test_training_learns_merges_and_respects_the_size():
    (ids,) = BPE.encode(["the cat sat"])
    assert ids.size < len("the cat sat")
    assert 256 < BPE.symbols <= 280
    with pytest.raises(UserError, match="at least 256"):
        BpeTokenizer.train(TEXTS, 255)


def test_training_is_the_same_in_every_process():
    code = (
        "from sbp_bayes.documents.tokenizer import BpeTokenizer\n"
        "texts = [' '.join(str(i * j % 97) for j in range(30)) for i in range(200)]\n"
        "print(BpeTokenizer.train(texts, 400).fingerprint)"
    )
    prints = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(prints) == 1


def test_decoding_leaves_specials_out():
    (ids,) = BPE.encode(["the cat"])
    assert BPE.decode([BPE.bos, *ids, BPE.eos]) == "the cat"


@pytest.mark.parametrize("tokenizer", [SymbolTokenizer(7), BPE], ids=["symbols", "bpe"])
def test_saved_tokenizers_come_back(tmp_path, tokenizer):
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.kind, loaded.symbols, loaded.fingerprint) == (
        tokenizer.kind,
        tokenizer.symbols,
        tokenizer.fingerprint,
    )


def test_a_tokenizer_json_loads_by_itself(tmp_path):
    BPE.save(tmp_path)
    assert load_tokenizer(tmp_path / "tokenizer.json").fingerprint == BPE.fingerprint


def test_fingerprints_tell_contents_apart():
    assert SymbolTokenizer(7).fingerprint != SymbolTokenizer(8).fingerprint
    assert BpeTokenizer.train(TEXTS, 270).fingerprint != BPE.fingerprint


def test_bad_tokenizers_are_named(tmp_path):
    with pytest.raises(UserError, match="not found"):
        load_tokenizer(tmp_path)
    BPE.save(tmp_path)
    description = read_json(tmp_path / "vocabulary.json")
    write_json(tmp_path / "vocabulary.json", {**description, "fingerprint": "0" * 16})
    with pytest.raises(UserError, match="does not match its fingerprint"):
        load_tokenizer(tmp_path)
    write_json(tmp_path / "vocabulary.json", {**description, "kind": "runes"})
    with pytest.raises(UserError, match="unknown kind 'runes'"):
        load_tokenizer(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken\.json: not a tokenizer"):
        load_tokenizer(tmp_path / "broken.json")


def test_symbols_out_of_range_are_refused():
    with pytest.raises(UserError, match=r"outside 0\.\.3"):
        SymbolTokenizer(4).encode(["1 4"])
    with pytest.raises(UserError, match="not a list of symbol numbers"):
        SymbolTokenizer(4).encode(["one"])
