"""The top-p kernel draws what a sort would let it draw, as often as it should."""

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sbp_bayes import kernels
from sbp_bayes.errors import UserError
from sbp_bayes.kernels import top_p as kernel
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis import sampler


def even(n: int) -> Tensor:
    """The middles of n equal parts of [0, 1)."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def expected(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    probs = (logits.double() / temperature).softmax(-1)
    return sampler.inverse_cdf(sampler.truncate(probs, top_p), uniforms)


def assert_drawn(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    found = kernel.draw(logits, uniforms, temperature, top_p)
    assert found.tolist() == expected(logits, uniforms, temperature, top_p).tolist()
    return found


@pytest.mark.interpreter
@pytest.mark.parametrize("top_p", [1.0, 0.9, 1e-6])
@pytest.mark.parametrize(("vocabulary", "dtype"), [(507, torch.float32), (7, torch.float32), (123, torch.bfloat16)])
def test_draws_are_those_of_the_sorted_definition(vocabulary, dtype, top_p):
    logits = (3 * torch.randn(5, vocabulary, generator=generator("logits", vocabulary))).to(dtype)
    logits[::3, 1::2] = -torch.inf
    uniforms = torch.rand(5, dtype=torch.float64, generator=generator("uniforms", vocabulary))
    assert_drawn(logits, uniforms, 0.6, top_p)


@pytest.mark.interpreter
@pytest.mark.parametrize("block", [4, 16])
def test_rows_longer_than_a_block(block):
    logits = torch.randn(6, 50, generator=generator("logits", block))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "BLOCK", block)
        for top_p in (1.0, 0.7):
            assert_drawn(logits, even(6), 0.8, top_p)


@pytest.mark.interpreter
@pytest.mark.parametrize("top_p", [0.2, 0.5, 0.51, 0.99])
def test_the_set_kept_is_the_nucleus_ties_included(top_p):
    """Every token kept, and no other, is drawn by uniforms spread evenly. Shares are powers of two: sums are exact."""
    shares = torch.tensor([4.0, 0, 8, 2, 2, 8, 0, 4, 4]) / 32
    found = assert_drawn(shares.log().repeat(16, 1), even(16), 1.0, top_p)
    kept = sampler.truncate(shares.double()[None], top_p)[0] > 0
    assert found.unique().tolist() == kept.nonzero()[:, 0].tolist()


@pytest.mark.interpreter
def test_rows_of_one_token_of_equals_and_of_signed_zeros():
    one = torch.full((1, 9), -torch.inf)
    one[0, 4] = -60.0
    sharp = torch.zeros(1, 9)
    sharp[0, 8] = 1e30
    for top_p in (1e-6, 0.5, 1.0):
        assert kernel.draw(one, even(1), 1.0, top_p).tolist() == [4]
        assert kernel.draw(sharp, even(1), 1.0, top_p).tolist() == [8]
        flat = torch.zeros(18, 9)
        flat[:, ::2] = -0.0
        assert kernel.draw(flat, even(18), 1.0, top_p).tolist() == [i // 2 for i in range(18)]
        assert_drawn(torch.linspace(-3e30, 3e30, 9).repeat(2, 1), even(2), 1e30, top_p)
    assert kernel.draw(torch.full((1, 9), -torch.inf), even(1), 1.0, 0.5).tolist() == [-1]


@pytest.mark.interpreter
def test_counts_follow_the_law():
    logits = torch.randn(1, 12, generator=generator("law"))
    uniforms = torch.rand(60, dtype=torch.float64, generator=generator("law", "uniforms"))
    found = kernel.draw(logits.repeat(60, 1), uniforms, 0.9, 0.8)
    law = sampler.truncate((logits.double() / 0.9).softmax(-1), 0.8)[0]
    law /= law.sum()
    counts = torch.bincount(found, minlength=12)
    assert not counts[law == 0].any() and (law == 0).any()
    assert chisquare(counts[law > 0], 60 * law[law > 0]).pvalue > 1e-3


@pytest.mark.interpreter
def test_rare_tokens_keep_their_share():
    """A thousand tokens of 1e-9 each behind one of nearly everything: float32 sums over the row would lose them."""
    logits = torch.full((40, 1001), 1e-9).log()
    logits[:, 0] = 0.0
    uniforms = 1 - 1e-6 * (1 - even(40)) / (1 + 1e-6)
    found = kernel.draw(logits, uniforms, 1.0, 1.0)
    assert (found - expected(logits, uniforms, 1.0, 1.0)).abs().max() <= 1
    assert len(found.unique()) == 40


@pytest.mark.interpreter
def test_strided_rows_an_empty_batch_and_registration():
    logits = torch.randn(12, 6, generator=generator("strided"))
    assert kernel.draw(logits.T, even(6), 1.0, 0.8).tolist() == expected(logits.T, even(6), 1.0, 0.8).tolist()
    assert (
        kernel.draw(logits[:, 1:5], even(12), 1.0, 0.8).tolist()
        == expected(logits[:, 1:5], even(12), 1.0, 0.8).tolist()
    )
    assert kernel.draw(logits[:0], even(0), 1.0, 0.8).shape == (0,)
    torch.library.opcheck(kernel.draw, (logits[:3], even(3), 1.0, 0.8))


@pytest.mark.interpreter
def test_the_sampler_draws_by_the_kernel():
    logits = torch.randn(8, 30, dtype=torch.float64, generator=generator("sampler")).float().double()
    assert sampler.draw(logits, 0.7, 0.9, even(8)).tolist() == expected(logits, even(8), 0.7, 0.9).tolist()


both = pytest.mark.parametrize("mode", ["on", "off"])


@pytest.mark.interpreter
@both
@pytest.mark.parametrize(
    ("temperature", "top_p", "named"),
    [(1e-40, 0.9, "temperature"), (1e-320, 1.0, "temperature"), (torch.inf, 0.9, "temperature"), (1.0, 0.0, "top_p")],
)
def test_settings_that_nothing_can_be_drawn_at_are_refused(mode, temperature, top_p, named):
    with kernels.forced(mode), pytest.raises(UserError, match=f"^sampling.{named}: expected"):
        sampler.draw(torch.randn(2, 9, generator=generator("refused")), temperature, top_p, even(2))


@pytest.mark.interpreter
@both
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [[-torch.inf] * 3, [0.0, torch.nan, 1.0], [0.0, torch.inf, 1.0]])
def test_rows_that_hold_no_law_are_refused(mode, temperature, row):
    for top_p in (0.5, 1.0):
        with kernels.forced(mode), pytest.raises(UserError, match="a row of logits holds NaN or infinity"):
            sampler.draw(torch.tensor([[0.0, 1.0, 2.0], row]), temperature, top_p, even(2))


@pytest.mark.interpreter
@both
def test_the_least_temperature_draws_the_most_likely_token(mode):
    logits = torch.randn(6, 50, generator=generator("least"), dtype=torch.float64).float()
    logits[:, 7] = -torch.inf
    with kernels.forced(mode):
        for top_p in (0.5, 1.0):
            found = sampler.draw(logits, sampler.LEAST_TEMPERATURE, top_p, even(6))
            assert torch.equal(found, logits.argmax(1))
            assert torch.equal(sampler.draw(logits, 0, top_p, even(6)), found)
