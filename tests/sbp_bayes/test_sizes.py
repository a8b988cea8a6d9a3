"""The size dial: names promise parameters."""

import pytest
import torch

from sbp_bayes.errors import UserError
from sbp_bayes.model.sizes import SIZES, model_config, size_named
from sbp_bayes.model.transformer import Transformer

MILLIONS = {
    "0.03M": (35, 0.03),
    "0.1M": (35, 0.1),
    "1M": (2048, 1.06),
    "10M": (8192, 10),
    "125M": (49152, 125),
    "350M": (49152, 350),
    "1B": (49152, 1000),
    "3B": (49152, 3000),
    "6B": (49152, 6000),
}


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_near_the_name(name):
    vocabulary, millions = MILLIONS[name]
    with torch.device("meta"):
        model = Transformer(model_config(name, vocabulary))
    assert model.parameters_count / 1e6 == pytest.approx(millions, rel=0.1)


def test_the_papers_shapes():
    three, six = model_config("3B", 49152), model_config("6B", 49152)
    assert (three.layers, three.width, three.heads, three.kv_heads, three.hidden) == (26, 3072, 24, 8, 8064)
    assert (six.layers, six.width, six.heads, six.kv_heads) == (32, 4096, 32, 8)
    assert three.rope_theta == 5e5 and not three.tied


def test_learning_rates_and_batches_follow_the_size():
    sizes = list(SIZES.values())
    rates, batches = [size.learning_rate for size in sizes], [size.batch_tokens for size in sizes]
    assert rates == sorted(rates, reverse=True) and batches == sorted(batches)
    for name, rate in zip(SIZES, rates, strict=True):
        assert rate == pytest.approx(6e-4 * (125 / MILLIONS[name][1]) ** 0.226, rel=0.25), name


def test_matrix_parameters_leave_out_the_look_up_table_only():
    untied = Transformer(model_config("0.1M", 35))
    gains = sum(w.numel() for w in untied.parameters() if w.dim() == 1)
    assert untied.matrix_parameters == untied.parameters_count - gains
    with torch.device("meta"):
        large = Transformer(model_config("3B", 1000))
    gains = sum(w.numel() for w in large.parameters() if w.dim() == 1)
    assert large.matrix_parameters == large.parameters_count - gains - 1000 * 3072


def test_an_unknown_size_lists_the_known():
    with pytest.raises(UserError, match=r"'2B'.*0\.1M.*6B"):
        size_named("2B")
