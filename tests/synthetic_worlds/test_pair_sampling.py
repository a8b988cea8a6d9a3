"""Pairs with noise: what the sampler makes follows the exact law, which is summed out by brute force here."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.pair_law import outcome_log_posterior, pair_log_prob, pair_next_token_log_probs
from synthetic_worlds.pair_sampling import NEAR_DUPLICATE, OUTCOMES, RELATED, WRONG, PairSampling, edited, sample_pairs

DRAWS = 60_000
PRIOR = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
TINY = {
    "bow": lambda: make_world("bow", seed=3, concepts=3, vocabulary=3, length=3, overlap=0.2),
    "hmm": lambda: make_world("hmm", seed=3, concepts=3, states=2, vocabulary=3, length=3, overlap=0.1),
    "style": lambda: make_world(
        "style", seed=3, concepts=3, styles=2, vocabulary=3, length=3, strength=1.5, overlap=0.2
    ),
    "style order 1": lambda: make_world(
        "style", seed=3, concepts=3, styles=2, vocabulary=3, length=3, strength=1.5, overlap=0.2, order=1
    ),
    "polya": lambda: make_world("polya", seed=3, components=2, vocabulary=3, length=3, overlap=0.5),
}
OPTIONS = {
    "clean": {},
    "wrong": {"wrong": 0.3},
    "all wrong": {"wrong": 1.0},
    "copies": {"near_duplicate": 0.2},
    "edited copies": {"near_duplicate": 0.4, "edit_rate": 0.3},
    "all together": {"wrong": 0.3, "near_duplicate": 0.2, "edit_rate": 0.1},
    "prior": {"prior": PRIOR, "wrong": 0.2},
    "style": {"shared_style": 0.5},
    "style alone": {"shared_style": 1.0, "wrong": 1.0},
    "everything": {"wrong": 0.3, "near_duplicate": 0.1, "edit_rate": 0.2, "shared_style": 0.6, "prior": PRIOR},
}
CASES = [
    (name, option)
    for name in TINY
    for option in OPTIONS
    if (name.startswith("style") or "shared_style" not in OPTIONS[option])
    and (name != "polya" or "prior" not in OPTIONS[option])
]


def all_documents(world):
    return torch.cartesian_prod(*[torch.arange(world.V)] * world.L)


def likelihoods(world, documents) -> np.ndarray:
    """(N, C, Z) p(d | c, z), Z = 1 where there is no style, from the parameters alone."""
    if not world.name.startswith("style"):
        return world.log_likelihood(documents).exp().numpy()[:, :, None]
    words, result = world.words.numpy(), np.ones((len(documents), world.C, world.Z))
    for n, document in enumerate(documents.tolist()):
        for t, token in enumerate(document):
            row = 0 if words.shape[2] == 1 else (document[t - 1] if t else world.V)
            result[n] *= words[:, :, row, token]
    return result


def pair_table(world, options: PairSampling) -> np.ndarray:
    """(N, N) p(d1, d2) of every pair of documents, one outcome after the other."""
    documents = all_documents(world)
    N, eps, rho = len(documents), options.wrong, options.shared_style
    if world.name == "polya":
        evidence = exact.log_evidence(world, documents).exp().numpy()
        given = [exact.log_predictive(world, documents, d.expand(N, -1)).exp().numpy() for d in documents]
        related, wrong = evidence[:, None] * np.stack(given), np.outer(evidence, evidence)
        fresh = (1 - eps) * related + eps * wrong
    else:
        p = likelihoods(world, documents)
        prior = (world.prior if options.prior is None else options.prior).numpy()
        style = world.style_prior.numpy() if world.name.startswith("style") else np.ones(1)
        by_concept, by_style = np.einsum("ncz,z->nc", p, style), np.einsum("ncz,c->nz", p, prior)
        evidence = by_concept @ prior
        fresh = (1 - eps) * (1 - rho) * np.einsum("nc,mc,c->nm", by_concept, by_concept, prior)
        fresh += (1 - eps) * rho * np.einsum("ncz,mcz,c,z->nm", p, p, prior, style)
        fresh += eps * rho * np.einsum("nz,mz,z->nm", by_style, by_style, style)
        fresh += eps * (1 - rho) * np.outer(evidence, evidence)
    copies = np.zeros((N, N))
    for i, d1 in enumerate(documents.tolist()):
        for j, d2 in enumerate(documents.tolist()):
            edits = sum(a != b for a, b in zip(d1, d2, strict=True))
            keep, change = 1 - options.edit_rate, options.edit_rate / (world.V - 1)
            copies[i, j] = evidence[i] * keep ** (world.L - edits) * change**edits
    return (1 - options.near_duplicate) * fresh + options.near_duplicate * copies


@pytest.mark.parametrize("name, option", CASES)
def test_law_is_brute_forces(name, option):
    world, options = TINY[name](), PairSampling(**OPTIONS[option])
    documents, table = all_documents(world), pair_table(world, options)
    assert abs(table.sum() - 1) < 1e-12
    conditional = table / table.sum(1, keepdims=True)
    N = len(documents)
    first, second = (index.flatten() for index in torch.meshgrid(*[torch.arange(N)] * 2, indexing="ij"))
    d1, d2 = documents[first], documents[second]
    np.testing.assert_allclose(pair_log_prob(world, d2, d1, options).exp().view(N, N), conditional, atol=1e-12)
    tokens = pair_next_token_log_probs(world, d2, d1, options)
    for t in range(world.L):
        width = world.V ** (world.L - t - 1)
        prefix = conditional.reshape(N, -1, world.V, width).sum(3)  # (N, prefixes of t tokens, V)
        total = prefix.sum(2, keepdims=True)
        share = np.divide(prefix, total, out=np.zeros_like(prefix), where=total > 0)
        expected = np.repeat(share, width * world.V, 1)
        np.testing.assert_allclose(tokens[:, t].exp().view(N, N, -1), expected, atol=1e-11)


@pytest.mark.parametrize("name, option", [("bow", "all together"), ("hmm", "prior"), ("style", "everything")])
def test_sampler_follows_the_law_and_a_wrong_rate_is_caught(name, option):
    world, options = TINY[name](), PairSampling(**OPTIONS[option])
    pairs = sample_pairs(world, DRAWS, torch.Generator().manual_seed(0), options)
    place = world.V ** torch.arange(world.L - 1, -1, -1)
    cells = (pairs.d1 * place).sum(1) * world.V**world.L + (pairs.d2 * place).sum(1)

    def p_value(options) -> float:
        expected = DRAWS * torch.from_numpy(pair_table(world, options)).flatten()
        counts = torch.bincount(cells, minlength=len(expected)).double()
        common = expected >= 5
        observed, expected = (torch.cat([x[common], x[~common].sum()[None]]) for x in (counts, expected))
        expected = expected.clamp_min(1e-9)
        return float(chi2.sf(float(((observed - expected).square() / expected).sum()), len(observed) - 1))

    assert p_value(options) > 1e-4
    for wrong in ({"wrong": 0.6}, {"near_duplicate": 0.05}, {"shared_style": 0.0}, {"edit_rate": 0.35}):
        (key,) = wrong
        if OPTIONS[option].get(key):
            assert p_value(PairSampling(**{**OPTIONS[option], **wrong})) < 1e-4, key


def test_what_happened_is_recorded():
    world = TINY["style"]()
    options = PairSampling(**OPTIONS["everything"])
    pairs = sample_pairs(world, DRAWS, torch.Generator().manual_seed(1), options)
    shares = torch.bincount(pairs.outcome, minlength=len(OUTCOMES)) / DRAWS
    expected = options.outcome_probabilities()
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / DRAWS).sqrt()).all()
    same_concept = pairs.latents1["concept"] == pairs.latents2["concept"]
    same_style = pairs.latents1["style"] == pairs.latents2["style"]
    chance = float((PRIOR**2).sum())
    for outcome, name in enumerate(OUTCOMES):
        rows = pairs.outcome == outcome
        right, alike = (float(same[rows].double().mean()) for same in (same_concept, same_style))
        assert right == pytest.approx(chance, abs=0.03) if name.startswith("wrong") else right == 1
        assert (
            alike == 1 if "same style" in name or outcome == NEAR_DUPLICATE else alike == pytest.approx(0.5, abs=0.03)
        )
    changed = (pairs.d1 != pairs.d2).sum(1)
    copied = pairs.outcome == NEAR_DUPLICATE
    assert torch.equal(pairs.edits[copied], changed[copied]) and (pairs.edits[~copied] == 0).all()
    concepts = torch.bincount(pairs.latents1["concept"], minlength=3) / DRAWS
    torch.testing.assert_close(concepts.double(), PRIOR, rtol=0, atol=0.02)


def test_wrong_pairs_are_the_adaptive_mixture():
    """P7: w_t is the sigmoid of the prior log-odds and the log Bayes factor of the tokens so far."""
    world, options = make_world("bow", "medium"), PairSampling(wrong=0.3)
    pairs = sample_pairs(world, 50, torch.Generator().manual_seed(0), options)
    given, alone = (exact.next_token_log_probs(world, pairs.d2, *some) for some in ((pairs.d1,), ()))
    steps = [law.gather(2, pairs.d2[..., None])[..., 0] for law in (given, alone)]
    bayes_factor = (steps[0] - steps[1]).cumsum(1) - (steps[0] - steps[1])
    w = torch.sigmoid(math.log(0.7 / 0.3) + bayes_factor)[..., None]
    found = pair_next_token_log_probs(world, pairs.d2, pairs.d1, options)
    torch.testing.assert_close(found.exp(), w * given.exp() + (1 - w) * alone.exp(), rtol=1e-11, atol=1e-13)
    for t in (1, 7, 16):
        posterior = outcome_log_posterior(world, pairs.d2[:, :t], pairs.d1, options).exp()
        if t < 16:
            torch.testing.assert_close(posterior[:, RELATED], w[:, t, 0])
        torch.testing.assert_close(posterior[:, [RELATED, WRONG]].sum(1), torch.ones(50).double())


def test_copies_take_over():
    """P8: after k matching tokens the odds of a copy are delta / (1 - delta) * prod 1 / p*(x_t)."""
    world, options = make_world("bow", "medium"), PairSampling(near_duplicate=0.01)
    d1 = world.sample(20, torch.Generator().manual_seed(0)).tokens
    fresh = exact.next_token_log_probs(world, d1, d1).gather(2, d1[..., None])[..., 0].cumsum(1)
    for k in (1, 2, 16):
        posterior = outcome_log_posterior(world, d1[:, :k], d1, options)
        odds = posterior[:, NEAR_DUPLICATE] - posterior[:, RELATED]
        torch.testing.assert_close(odds, math.log(0.01 / 0.99) - fresh[:, k - 1])
    other = d1.clone()
    other[:, 3] = (other[:, 3] + 1) % world.V
    assert (outcome_log_posterior(world, other[:, :4], d1, options)[:, NEAR_DUPLICATE] == -torch.inf).all()


def test_vectors_have_wrong_pairs_too():
    world, options = make_world("gaussian"), PairSampling(wrong=0.25)
    pairs = sample_pairs(world, 200, torch.Generator().manual_seed(0), options)
    related, alone = exact.log_predictive(world, pairs.d2, pairs.d1), exact.log_evidence(world, pairs.d2)
    expected = torch.logaddexp(math.log(0.75) + related, math.log(0.25) + alone)
    torch.testing.assert_close(pair_log_prob(world, pairs.d2, pairs.d1, options), expected)
    assert (pairs.latents1["concept"] == pairs.latents2["concept"]).all(1)[pairs.outcome == RELATED].all()
    with pytest.raises(WorldError, match="no next token"):
        pair_next_token_log_probs(world, pairs.d2, pairs.d1, options)


def test_an_impossible_d1_leaves_minus_infinity_everywhere():
    from synthetic_worlds.bow import BagOfWords

    values = {"dtype": torch.float64}
    words = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]], **values)
    world = BagOfWords(torch.tensor([0.5, 0.5], **values), words, 2)
    options = PairSampling(wrong=0.2, near_duplicate=0.1)
    d1, d2 = torch.tensor([[0, 2], [0, 1], [0, 1]]), torch.tensor([[0, 1], [0, 3], [0, 1]])
    log_probs, tokens = pair_log_prob(world, d2, d1, options), pair_next_token_log_probs(world, d2, d1, options)
    assert log_probs[:2].tolist() == [-torch.inf] * 2 and math.isfinite(log_probs[2])
    assert (tokens[0] == -torch.inf).all() and not tokens.isnan().any()
    assert (outcome_log_posterior(world, d2, d1, options)[:2] == -torch.inf).all()


def test_edit_rate_is_the_share_of_tokens_changed():
    tokens = torch.randint(5, (500, 40), generator=torch.Generator().manual_seed(0))
    changed, count = edited(tokens, 0.2, 5, torch.Generator().manual_seed(1))
    assert float((changed != tokens).double().mean()) == pytest.approx(0.2, abs=0.01)
    assert torch.equal(count, (changed != tokens).sum(1)) and changed.max() < 5
    others = torch.bincount((changed - tokens)[changed != tokens] % 5, minlength=5)
    assert others[0] == 0 and (others[1:] / count.sum() - 0.25).abs().max() < 0.03


def test_chunks_change_nothing(monkeypatch):
    world, options = TINY["style"](), PairSampling(**OPTIONS["everything"])
    pairs = sample_pairs(world, 30, torch.Generator().manual_seed(0), options)
    whole = pair_next_token_log_probs(world, pairs.d2, pairs.d1, options)
    monkeypatch.setattr("synthetic_worlds.world.CHUNK_ELEMENTS", 60)
    assert world.chunk < 10
    parts = pair_next_token_log_probs(world, pairs.d2, pairs.d1, options)
    torch.testing.assert_close(parts, whole, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("bow", {"shared_style": 0.1}, "world bow: shared_style=0.1, but its documents have no style"),
        ("gaussian", {"near_duplicate": 0.1}, "copies tokens; its documents are vectors"),
        ("polya", {"prior": PRIOR}, "no finite set of concepts"),
        ("bow", {"prior": PRIOR}, r"prior \(3,\); expected \(16,\)"),
        ("bow", {"prior": torch.ones(16).double()}, "expected float64 rows that sum to one"),
    ],
)
def test_options_that_do_not_apply_are_one_line(name, options, message):
    world = make_world(name)
    with pytest.raises(WorldError, match=message):
        sample_pairs(world, 3, torch.Generator(), PairSampling(**options))
    with pytest.raises(WorldError, match=message):
        d1 = world.sample(2, torch.Generator()).tokens
        pair_log_prob(world, d1, d1, PairSampling(**options))


@pytest.mark.parametrize("name", ["wrong", "near_duplicate", "edit_rate", "shared_style"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_rates_are_probabilities(name, value):
    with pytest.raises(WorldError, match=f"pair sampling: {name}=.*; expected a probability"):
        PairSampling(**{name: value})


def test_a_copy_cannot_be_longer_than_its_original():
    world = TINY["bow"]()
    d = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(WorldError, match="d2 of 3 tokens; expected at most d1's 2"):
        pair_log_prob(world, d, d[:, :2], PairSampling(near_duplicate=0.1))
