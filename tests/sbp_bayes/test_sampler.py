"""Sampled documents, their log-probabilities, and what the settings promise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_bayes.errors import UserError
from sbp_bayes.ledger import forward_flops
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.synthesis.sampler import SamplingConfig, inverse_cdf, sample, truncate
from sbp_bayes.synthesis.scoring import score

BOS, SEP, EOS = 11, 12, 13


@pytest.fixture
def prompts(random_documents) -> list[np.ndarray]:
    """``[bos] d1 [sep]`` for documents of 1 to 9 tokens."""
    return [np.concatenate(([BOS], d, [SEP])) for d in random_documents(30, 1, 9)]


def draw(model, prompts, tokenizer, seed=0, **changes):
    config = SamplingConfig(**{**dict(max_tokens=6, batch_size=8), **changes})
    return sample(model, prompts, config, tokenizer, generator("sampling", seed))


def whole(prompt, tokens, finished) -> np.ndarray:
    return np.concatenate((prompt, tokens, [EOS] if finished else [])).astype(np.int64)


def test_log_probs_equal_those_of_the_uncached_model(make_model, prompts, tokenizer):
    model = make_model(tied=False)
    samples = draw(model, prompts, tokenizer, temperature=0.7, top_p=0.8)
    assert 0 < samples.finished.sum() < len(prompts)
    for prompt, tokens, log_probs, finished in zip(
        prompts, samples.tokens, samples.log_probs, samples.finished, strict=True
    ):
        written = whole(prompt, tokens, finished)
        expected = model(torch.from_numpy(written)[None])[0].detach().double().log_softmax(-1).numpy()
        at = np.arange(len(prompt) - 1, len(written) - 1)
        np.testing.assert_allclose(log_probs, expected[at, written[at + 1]], atol=1e-5)


def test_different_prompt_lengths_in_a_batch_change_nothing(make_model, prompts, tokenizer):
    together = draw(make_model(tied=False), prompts, tokenizer, batch_size=30)
    one_by_one = draw(make_model(tied=False), prompts, tokenizer, batch_size=1)
    for a, b in zip(together.tokens, one_by_one.tokens, strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(together.log_probs, one_by_one.log_probs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_same_seed_gives_the_same_documents_and_another_does_not(make_model, prompts, tokenizer):
    first, again, other = (draw(make_model(tied=False), prompts, tokenizer, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first.tokens, again.tokens, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first.log_probs, again.log_probs, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first.tokens, other.tokens, strict=True))


def test_windows_of_prompts_are_written_in_input_order(make_model, prompts, tokenizer, monkeypatch):
    monkeypatch.setattr("sbp_bayes.synthesis.sampler.WINDOW", 7)
    model = make_model(tied=False)
    samples = draw(model, prompts, tokenizer)
    for prompt, tokens, log_probs, finished in zip(
        prompts, samples.tokens, samples.log_probs, samples.finished, strict=True
    ):
        scored = score(model, [whole(prompt, tokens, finished)])[0]
        np.testing.assert_allclose(scored[len(prompt) - 1 :], log_probs, atol=1e-5)


def test_a_given_length_is_met_exactly(make_model, prompts, tokenizer):
    samples = draw(make_model(tied=False), prompts, tokenizer, min_tokens=5, max_tokens=5)
    assert samples.finished.all()
    assert {len(tokens) for tokens in samples.tokens} == {5}
    assert {len(log_probs) for log_probs in samples.log_probs} == {6}
    assert max(tokens.max() for tokens in samples.tokens) < tokenizer.symbols


@pytest.mark.parametrize("tempted", ["eos", "bos", "sep"])
def test_specials_appear_only_where_they_may(make_model, prompts, tokenizer, tempted):
    model = make_model(tied=False)
    with torch.no_grad():
        # The head now prefers one special to everything else, whatever the document.
        model.norm.weight.abs_()
        model.lm_head.weight[getattr(tokenizer, tempted)] = 0
        model.lm_head.weight.sub_(0.01)
        model.embed_tokens.weight.abs_()
        for block in model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        model.lm_head.weight[getattr(tokenizer, tempted)] = 5.0
    samples = draw(model, prompts, tokenizer, min_tokens=3, max_tokens=6)
    assert max(tokens.max() for tokens in samples.tokens) < tokenizer.symbols
    lengths = {len(tokens) for tokens in samples.tokens}
    assert lengths == {3} if tempted == "eos" else min(lengths) >= 3


def test_a_document_ends_at_its_first_end_though_others_of_its_batch_go_on(make_model, tokenizer):
    samples = draw(make_model(), [np.array([BOS])] * 64, tokenizer, max_tokens=60, batch_size=64)
    lengths = np.array([len(tokens) for tokens in samples.tokens])
    assert len(np.unique(lengths)) > 5
    assert not any((tokens >= BOS).any() for tokens in samples.tokens)
    counted = [len(log_probs) for log_probs in samples.log_probs]
    assert counted == (lengths + samples.finished).tolist()


def test_unfinished_documents_are_cut_and_say_so(make_model, prompts, tokenizer):
    samples = draw(make_model(tied=False), prompts, tokenizer, max_tokens=3)
    assert 0 < samples.finished.sum() < len(prompts)
    for tokens, log_probs, finished in zip(samples.tokens, samples.log_probs, samples.finished, strict=True):
        assert len(tokens) <= 3 and len(log_probs) == len(tokens) + finished
        assert finished or len(tokens) == 3


def test_temperature_zero_takes_the_most_likely_token(make_model, prompts, tokenizer):
    model = make_model(tied=False)
    samples = draw(model, prompts, tokenizer, temperature=0, min_tokens=4, max_tokens=4)
    nearly = draw(model, prompts, tokenizer, temperature=1e-4, min_tokens=4, max_tokens=4)
    for prompt, tokens, close in zip(prompts, samples.tokens, nearly.tokens, strict=True):
        assert np.array_equal(tokens, close)
        written = list(prompt)
        for token in tokens:
            logits = model(torch.tensor([written]))[0, -1]
            assert token == logits[: tokenizer.symbols].argmax()
            written.append(token)


def test_draws_follow_the_models_probabilities(make_model, tokenizer):
    model, prompt, n = make_model(tied=False), np.array([BOS, 3, SEP]), 4000
    samples = draw(model, [prompt] * n, tokenizer, temperature=0.8, min_tokens=0, max_tokens=2, batch_size=1000)
    logits = model(torch.from_numpy(prompt)[None])[0, -1].detach().double() / 0.8
    logits[[BOS, SEP]] = -math.inf
    expected = logits.softmax(-1).numpy()
    first = np.array([tokens[0] if len(tokens) else EOS for tokens in samples.tokens])
    counts = np.bincount(first, minlength=tokenizer.vocabulary_size)
    error = np.sqrt(expected * (1 - expected) / n) + 1e-9
    assert (np.abs(counts / n - expected) < 4.5 * error).all()
    assert (counts[[BOS, SEP]] == 0).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(seed, top_p):
    probs = torch.from_numpy(numpy_generator(seed).dirichlet(np.full(9, 0.4), 3))
    kept = truncate(probs, top_p)
    for p, k in zip(probs, kept, strict=True):
        inside = k > 0
        assert torch.equal(k[inside], p[inside])
        assert inside.any() and p[inside].sum() >= top_p - 1e-9
        assert p[inside].min() >= p[~inside].max() if (~inside).any() else True
        if inside.sum() > 1:
            assert p[inside].sum() - p[inside].min() < top_p + 1e-12


def test_top_p_limits_what_is_drawn(make_model, tokenizer):
    model, prompt = make_model(tied=False), np.array([BOS, 3, SEP])
    samples = draw(model, [prompt] * 500, tokenizer, top_p=0.5, min_tokens=1, max_tokens=1, batch_size=500)
    logits = model(torch.from_numpy(prompt)[None])[0, -1].detach().double()
    logits[[BOS, SEP, EOS]] = -math.inf
    nucleus = set((truncate(logits.softmax(-1)[None], 0.5)[0] > 0).nonzero()[:, 0].tolist())
    assert {int(tokens[0]) for tokens in samples.tokens} == nucleus
    assert len(nucleus) < tokenizer.symbols


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 1 - 2**-53]))
def test_weight_zero_is_never_drawn(seed, uniform):
    rng = numpy_generator(seed)
    weights = torch.from_numpy(rng.random((5, 6)) * (rng.random((5, 6)) < 0.5) + np.eye(5, 6))
    drawn = inverse_cdf(weights, torch.full((5,), uniform, dtype=torch.float64))
    assert (weights[range(5), drawn] > 0).all()


def test_inverse_cdf_picks_the_interval_that_holds_the_uniform():
    weights = torch.tensor([[0.2, 0.0, 0.6, 1.2]], dtype=torch.float64).expand(4, 4)
    uniforms = torch.tensor([0.05, 0.11, 0.39, 0.41], dtype=torch.float64)
    assert inverse_cdf(weights, uniforms).tolist() == [0, 2, 2, 3]


def test_spent_tokens_and_flops_are_counted(make_model, tokenizer):
    model = make_model(tied=False)
    prompts = [np.array([BOS, 1, SEP]), np.array([BOS, 1, 2, 3, SEP])]
    samples = draw(model, prompts, tokenizer, min_tokens=4, max_tokens=4)
    assert samples.prefill_tokens == 8 and samples.decoded_tokens == 2 * 4
    c = model.config
    shape = (model.matrix_parameters, c.layers, c.heads * c.head_dim)
    assert samples.prefill_flops == pytest.approx(forward_flops(*shape, 8, (1 + 2 + 3 + 1 + 2 + 3 + 4 + 5) / 8))
    attended = [4, 5, 6, 7, 6, 7, 8, 9]
    assert samples.decoding_flops == pytest.approx(forward_flops(*shape, 8, sum(attended) / 8))


def test_no_prompts_give_no_documents(make_model, tokenizer):
    samples = draw(make_model(tied=False), [], tokenizer)
    assert samples.tokens == [] and len(samples.finished) == 0 and samples.decoding_flops == 0


def test_an_empty_prompt_is_refused(make_model, tokenizer):
    with pytest.raises(UserError, match="a prompt is empty"):
        draw(make_model(tied=False), [np.array([], dtype=np.int64)], tokenizer)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"temperature": -1.0}, "temperature: expected 0 or at least 1e-06"),
        ({"temperature": 1e-7}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"min_tokens": 7}, "min_tokens"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_settings_are_named(change, key):
    with pytest.raises(UserError, match=key):
        SamplingConfig(**{**dict(max_tokens=6), **change})


def test_scores_are_in_input_order_whatever_the_lengths(make_model, monkeypatch):
    monkeypatch.setattr("sbp_bayes.synthesis.scoring.SLOTS", 20)
    model = make_model(tied=False)
    sequences = [np.array([BOS, *range(n)]) for n in (3, 9, 0, 1, 5)]
    scores = score(model, sequences)
    for tokens, scored in zip(sequences, scores, strict=True):
        expected = model(torch.from_numpy(tokens)[None])[0].detach().double().log_softmax(-1).numpy()
        np.testing.assert_allclose(scored, expected[np.arange(len(tokens) - 1), tokens[1:]], atol=1e-5)
