import math

import pytest
import torch

from analysis.predictions import mechanism
from analysis.predictions.activations import (
    ablated_log_probs,
    changed,
    patched_log_probs,
    prompt_states,
    separator_place,
    separator_states,
    writing_states,
)
from analysis.predictions.probes import one_hot_ceiling, probe, random_subspace, subspace, word_counts
from analysis.predictions.subject import Subject, known_subject
from analysis.predictions.verdict import REFUTED, decide
from analysis.synthesizers import ExactSynthesizer, TransformerSynthesizer
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world


@pytest.fixture(scope="module")
def world():
    return make_world("bow", concepts=4, vocabulary=8, length=6, overlap=0.4, seed=3)


def network(world, *path) -> TransformerSynthesizer:
    tokenizer = SymbolTokenizer(world.V)
    config = ModelConfig(tokenizer.vocabulary_size, 16, 2, 2, 2, 8, 32)
    return TransformerSynthesizer(Transformer(config).init(generator("network", *path)), tokenizer, batch=50)


@pytest.fixture(scope="module")
def untrained(world) -> TransformerSynthesizer:
    return network(world)


@pytest.fixture(scope="module")
def trained(world) -> TransformerSynthesizer:
    """Three hundred small steps on fresh pairs: enough to use d1, far from exact Bayes."""
    synthesizer, random = network(world, "to train"), generator("pairs to train on")
    model, tokenizer = synthesizer.model, synthesizer.tokenizer
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for _ in range(300):
        concepts = world.sample_concepts(64, random)
        d1, d2 = (world.sample_given_concepts(concepts, random).tokens for _ in range(2))
        tokens = torch.cat([torch.full((64, 1), tokenizer.bos), d1, torch.full((64, 1), tokenizer.sep), d2], 1)
        loss = model.token_losses(tokens[:, :-1], tokens[:, 1:])[:, world.L + 1 :].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return TransformerSynthesizer(model, tokenizer)


def documents(world, n: int, *path) -> torch.Tensor:
    return world.sample(n, generator("documents", *path)).tokens


def judged(world, synthesizer, n: int) -> Subject:
    known = known_subject(synthesizer, world, n, 0)
    return Subject(synthesizer, world, known.d1, 0, known.alone, model=synthesizer)


def test_states_are_the_residual_stream_and_hooks_go(world, untrained):
    d1 = documents(world, 120)
    states = prompt_states(untrained, d1)
    assert states.shape == (2, 120, world.L + 2, 16)
    prompt = untrained._prompt([d1], 120)
    final = untrained.model.norm(states[-1])
    assert torch.allclose(final, untrained.model.hidden(prompt), atol=1e-5)
    assert torch.equal(separator_states(untrained, d1), states[:, :, separator_place(d1)])
    assert not any(block._forward_hooks for block in untrained.model.layers)


def test_a_change_that_fails_leaves_no_hook(world, untrained):
    def fail(layer: int, states: torch.Tensor) -> torch.Tensor:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), changed(untrained, fail):
        untrained.next_token_log_probs(documents(world, 2), documents(world, 2))
    assert not any(block._forward_hooks for block in untrained.model.layers)


def test_the_whole_prompt_patched_is_the_other_document(world, untrained):
    d2, d1, other = (documents(world, 120, i) for i in range(3))
    everything = range(separator_place(d1) + 1)
    patched = patched_log_probs(untrained, d2, d1, other, everything)
    # The first block still reads d1 where d2 attends to it: its keys come from the embedding, before any hook.
    law, target = (untrained.next_token_log_probs(d2, d) for d in (d1, other))
    itself = patched_log_probs(untrained, d2, d1, d1, everything)
    assert torch.allclose(itself, law, atol=1e-5)
    assert float((patched - target).abs().mean()) < float((law - target).abs().mean())
    first = patched_log_probs(untrained, d2, d1, other)[:, 0]
    assert torch.allclose(first, target[:, 0], atol=1e-5)  # written from the separator itself


def test_a_patch_of_the_first_token_changes_nothing(world, untrained):
    d2, d1, other = (documents(world, 20, i) for i in range(3))
    patched = patched_log_probs(untrained, d2, d1, other, [0])
    assert torch.allclose(patched, untrained.next_token_log_probs(d2, d1), atol=1e-5)


def test_ablation_of_nothing_and_of_everything(world, untrained):
    d2, d1 = (documents(world, 20, i) for i in range(2))
    states = writing_states(untrained, d2, d1)
    assert torch.allclose(states[:, :, 0], separator_states(untrained, d1), atol=1e-4)
    nothing, everything = torch.zeros(16, 0), torch.eye(16)
    law = untrained.next_token_log_probs(d2, d1)
    assert torch.allclose(ablated_log_probs(untrained, d2, d1, [nothing] * 2, states.mean(1)), law, atol=1e-5)
    gone = ablated_log_probs(untrained, d2, d1, [everything] * 2, states.mean(1))
    assert torch.allclose(gone, gone[:1].expand(20, -1, -1), atol=1e-5)  # nothing of any document is left


def test_a_probe_finds_what_is_linear_and_no_more():
    random = generator("probe")
    features = torch.randn(600, 6, generator=random, dtype=torch.float64) * torch.tensor([1, 10, 0.1, 1, 1, 1])
    slope = torch.randn(6, 3, generator=random, dtype=torch.float64)
    noise = torch.randn(600, 3, generator=random, dtype=torch.float64)
    assert probe(features, features @ slope + 2).r2 == pytest.approx(1, abs=1e-5)
    unrelated = probe(torch.randn(600, 200, generator=random), noise)
    assert -0.1 < unrelated.r2 < 0.005
    signal = (features @ slope) / (features @ slope).std(0)
    half = probe(features, signal + noise)
    assert half.r2 == pytest.approx(0.5, abs=4 * half.se + 0.02)
    constant = torch.cat([features, torch.ones(600, 1, dtype=torch.float64)], 1)
    assert probe(constant, features @ slope).r2 == pytest.approx(1, abs=1e-5)
    assert math.isnan(probe(features, torch.ones(600, 2)).r2)


def test_a_subspace_projected_out_takes_what_probes_read_and_a_random_one_leaves_it():
    random = generator("subspace")
    mixing = torch.randn(8, 8, generator=random, dtype=torch.float64)
    features = torch.randn(800, 8, generator=random, dtype=torch.float64) @ mixing
    features -= features.mean(0)
    target = features @ torch.randn(8, 2, generator=random, dtype=torch.float64)
    own, other = subspace(features, target, 2), random_subspace(8, 2, random)
    for basis in (own, other):
        assert torch.allclose(basis.T @ basis, torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert probe(features - features @ own @ own.T, target).r2 < 0.01
    assert probe(features - features @ other @ other.T, target).r2 > 0.3


def test_the_ceiling_of_a_one_hot_is_what_the_posterior_explains(world):
    subject = known_subject(ExactSynthesizer(world), world, 20000, 0)
    drawn = torch.multinomial(subject.posterior, 1, generator=generator("concepts"))[:, 0]
    one_hot = torch.nn.functional.one_hot(drawn, world.C).double()
    explained = (
        1 - (one_hot - subject.posterior).square().sum(1).mean() / (one_hot - one_hot.mean(0)).square().sum(1).mean()
    )
    assert one_hot_ceiling(subject.posterior, world.prior) == pytest.approx(float(explained), abs=0.01)


def test_word_counts_are_counts():
    assert word_counts(torch.tensor([[1, 1, 0], [2, 2, 2]]), 3).tolist() == [[1, 2, 0], [0, 0, 3]]


def test_a_trained_network_holds_more_of_the_posterior_than_an_untrained_one(world, trained, untrained):
    found = [mechanism.measure(judged(world, model, 600)) for model in (trained, untrained)]
    yes, no = ({f.quantity: f for f in findings} for findings in found)
    assert yes["posterior explained"].estimate > 0.85 > no["posterior explained"].estimate
    ratio = "unexplained, of a random network's"
    assert yes[ratio].estimate < 0.6 < no[ratio].estimate
    assert yes["concept explained"].estimate < yes["concept explained"].null + 4 * yes["concept explained"].se
    lost, random = (yes[f"gain lost without {what}"].estimate for what in ("the posterior", "random directions"))
    assert lost > random
    assert 0 < yes["law moved by the separator"].estimate < 1.2
    verdicts = {d.finding.quantity: d.outcome for d in decide(found[1])}
    assert verdicts["posterior explained"] == REFUTED


def test_all_of_the_law_moves_where_the_separator_is_all_there_is_to_write_from():
    world = make_world("bow", concepts=4, vocabulary=8, length=1, overlap=0.2, seed=3)
    findings = mechanism.measure(judged(world, network(world), 100))
    moved = next(f for f in findings if f.quantity == "law moved by the separator")
    assert moved.estimate == pytest.approx(1, abs=1e-4)


def test_the_table_of_probes_has_every_layer_source_and_target(world, untrained):
    rows = mechanism.probe_table(judged(world, untrained, 150))
    assert len(rows) == 3 * (2 + 2 + 1)
    # A bag-of-words world's log posterior is linear in the counts: decodable without any training.
    counts = next(r for r in rows if r["source"] == "word counts" and r["target"] == "log posterior")
    assert counts["r2"] > 0.8


def test_where_it_does_not_apply(world, untrained):
    assert "no network" in mechanism.applies(known_subject(ExactSynthesizer(world), world, 8, 0))
    wide = make_world("bow", concepts=40, vocabulary=8, length=6)
    assert "narrower" in mechanism.applies(judged(wide, untrained, 8))
    assert mechanism.applies(judged(world, untrained, 70)) is None
