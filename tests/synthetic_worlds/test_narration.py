"""The law of narrations: all documents of tiny worlds by plain loops, Pyro, identities, samplers, numbers to keep."""

import functools
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_posterior import attribute_log_posterior, collision_probability, hallucination_floor
from synthetic_worlds.narration_templates import ASIDES

CLOSE = {"rtol": 0, "atol": 1e-10}
QUICK = settings(deadline=None, max_examples=25)
TINY = {"attributes": 3, "values": 2, "sentences": 3, "templates": 1, "asides": 0.3, "misreport": 0.2, "zipf": 1.0}


def narration(seed=0, preset=None, **dials) -> Narration:
    return make_world("narration", preset, seed, **dials)


@functools.cache
def tiny() -> tuple[Narration, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A world of 8 persons, all its 5,832 documents, log p(d | person) (documents, persons) and p(person), by loops."""
    world = narration(3, **TINY)
    documents = torch.cartesian_prod(*[torch.arange(world.V)] * world.L)
    persons = list(itertools.product(range(2), repeat=3))
    prior = [float(world.transition[0, 0, a]) for a in range(2)]
    p_person = [prior[a] * float(world.transition[1, a, b] * world.transition[2, b, c]) for a, b, c in persons]
    table = torch.zeros(len(documents), len(persons), dtype=torch.float64)
    for row, document in enumerate(documents.tolist()):
        for column, person in enumerate(persons):
            p, mentioned, remarks = 1.0, set(), set()
            for symbol in document:
                attribute, value = divmod(symbol, 2)
                if symbol >= 6:
                    p *= 0.3 / (len(ASIDES) - len(remarks)) * (symbol not in remarks)
                    remarks.add(symbol)
                else:
                    p *= 0.7 / (3 - len(mentioned)) * (attribute not in mentioned)
                    p *= 0.8 * (person[attribute] == value) + 0.1
                    mentioned.add(attribute)
            table[row, column] = p
    return world, documents, table.log(), torch.tensor(p_person, dtype=torch.float64)


def test_evidence_is_the_sum_over_all_persons():
    world, documents, by_person, prior = tiny()
    torch.testing.assert_close(world.prior, prior, **CLOSE)
    evidence = exact.log_evidence(world, documents)
    torch.testing.assert_close(evidence, (by_person + prior.log()).logsumexp(1), **CLOSE)
    assert evidence.exp().sum() == pytest.approx(1, abs=1e-12)
    for person in range(8):
        concepts = torch.full((len(documents),), person)
        torch.testing.assert_close(world.log_prob_given_concepts(concepts, documents), by_person[:, person], **CLOSE)


def test_predictive_posterior_and_information_by_the_list_of_persons():
    world, documents, by_person, prior = tiny()
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(documents), (40,), generator=generator)
    rows = rows[(by_person[rows] > -torch.inf).all(1)][:12]
    given = [documents[rows], documents[rows.roll(1)], documents[rows.roll(2)]]
    log_weights = (by_person[rows] + by_person[rows.roll(1)] + by_person[rows.roll(2)] + prior.log())[:, None]
    posterior = torch.softmax(log_weights[:, 0], 1)
    every = documents.expand(len(rows), -1, -1)
    expected = (log_weights + by_person).logsumexp(2) - log_weights.logsumexp(2)
    for row in range(len(rows)):
        same = [document[row].expand(len(documents), -1) for document in given]
        torch.testing.assert_close(exact.log_predictive(world, every[row], *same), expected[row], **CLOSE)
    attributes = world.attributes_of(torch.arange(8))
    marginals = torch.stack([posterior @ (attributes == k).double() for k in range(2)], 2)
    torch.testing.assert_close(attribute_log_posterior(world, *given).exp(), marginals, **CLOSE)
    each, overall = collision_probability(world, *given)
    torch.testing.assert_close(each, marginals.square().sum(2), **CLOSE)
    torch.testing.assert_close(overall, posterior.square().sum(1), **CLOSE)
    belief = exact.map_beliefs(world, lambda belief: belief, *given)
    torch.testing.assert_close(world.belief_entropy(belief), torch.special.entr(posterior).sum(1), **CLOSE)
    certain = world.forest.log_marginals(world.most_probable(belief)).exp()
    assert torch.equal(certain.argmax(2), attributes[posterior.argmax(1)]) and ((certain == 0) | (certain == 1)).all()


def test_next_sentence_by_the_list_of_documents():
    """p(x_t = v | d1, x_<t) from sums over all documents with that beginning."""
    world, documents, by_person, prior = tiny()
    d1 = next(row for row in range(100, len(documents)) if by_person[row, 0] > -torch.inf)
    posterior = torch.softmax(by_person[d1] + prior.log(), 0)
    p_next = (by_person.exp() @ posterior).view(world.V, world.V, world.V)
    d2 = torch.tensor([[4, 9, 0], [7, 7, 1], [1, 0, 8]])
    computed = exact.next_token_log_probs(world, d2, documents[d1].expand(3, -1))
    for row, (x0, x1, _) in enumerate(d2.tolist()):
        expected = [p_next.sum((1, 2)), p_next[x0].sum(1) / p_next[x0].sum(), p_next[x0, x1] / p_next[x0, x1].sum()]
        torch.testing.assert_close(computed[row], torch.stack(expected).nan_to_num(0.0).log(), **CLOSE)


def test_against_pyro():
    from synthetic_worlds.pyro_spec import enumerated_log_evidence, enumerated_log_posterior

    world = narration(1, attributes=4, values=2, sentences=3, templates=2)
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(4, generator)
    d1, d2 = (world.sample_given_concepts(concepts, generator).tokens for _ in range(2))
    persons = enumerated_log_posterior(world, d1, d2).exp()
    attributes = world.attributes_of(torch.arange(world.C))
    marginals = torch.stack([persons @ (attributes == k).double() for k in range(2)], 2)
    torch.testing.assert_close(attribute_log_posterior(world, d1, d2).exp(), marginals, rtol=0, atol=1e-6)
    evidence, together = enumerated_log_evidence(world, d1), enumerated_log_evidence(world, d1, d2)
    torch.testing.assert_close(exact.log_evidence(world, d1), evidence, rtol=0, atol=1e-6)
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), together - evidence, rtol=0, atol=1e-6)


def test_pyro_generates_documents_of_the_world():
    import pyro

    from synthetic_worlds.pyro_spec import pyro_model

    world = narration(1, attributes=3, values=2, sentences=2, templates=2)
    pyro.set_rng_seed(0)
    trace = pyro.poutine.trace(pyro_model(world, n=1500)).get_trace()
    theirs = exact.log_evidence(world, torch.stack([trace.nodes[f"d0_token{t}"]["value"] for t in range(2)], 1))
    ours = exact.log_evidence(world, world.sample(1500, torch.Generator().manual_seed(0)).tokens)
    assert abs(theirs.mean() - ours.mean()) < 4 * ours.std() * (2 / 1500) ** 0.5


@st.composite
def worlds(draw):
    attributes = draw(st.integers(1, 8))
    return narration(
        draw(st.integers(0, 10_000)),
        misreport=draw(st.sampled_from([0.0, 0.2, 1.0])),
        attributes=attributes,
        values=draw(st.integers(2, 5)),
        sentences=draw(st.integers(1, attributes)),
        asides=draw(st.sampled_from([0.0, 0.3])),
        templates=draw(st.integers(1, 3)),
        correlation=draw(st.sampled_from([0.0, 0.7, 1.0])),
    )


@QUICK
@given(worlds(), st.integers(0, 1000))
def test_identities(world, seed):
    """Chain rule, normalisation, exchangeability; the order of sentences says nothing of the person. Some documents
    belong to other persons, and row 0 is random symbols: impossible ones among them."""
    generator = torch.Generator().manual_seed(seed)
    d1, d2, d3 = (world.sample(6, generator).tokens for _ in range(3))
    d2[0] = torch.randint(world.V, (world.L,), generator=generator)
    close = {"rtol": 1e-11, "atol": 1e-11}
    laws = exact.next_token_log_probs(world, d2, d1)
    predictive = exact.log_predictive(world, d2, d1)
    torch.testing.assert_close(laws.gather(2, d2[..., None])[..., 0].sum(1), predictive, **close)
    total = laws.logsumexp(2)
    torch.testing.assert_close(total.masked_fill(total == -torch.inf, 0.0), torch.zeros_like(total), **close)
    one, two = exact.log_evidence(world, d1), exact.log_evidence(world, d2)
    forth, back = one + predictive, two + exact.log_predictive(world, d1, d2)
    torch.testing.assert_close(forth, back, **close)
    posterior = attribute_log_posterior(world, d1, d2, d3).exp()
    torch.testing.assert_close(attribute_log_posterior(world, d3.flip(1), d1, d2).exp(), posterior, **close)
    assert not any(values.isnan().any() for values in (laws, predictive, one, two, posterior))


def goodness_of_fit(tokens, probabilities, V) -> float:
    """p-value of Pearson's chi-square for documents of three tokens against (V ** 3,) probabilities."""
    counts = torch.bincount((tokens * torch.tensor([V * V, V, 1])).sum(1), minlength=V**3).double()
    assert (counts[probabilities == 0] == 0).all(), "an impossible document was drawn"
    expected = len(tokens) * probabilities
    common = expected >= 5
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    expected = torch.cat([expected[common], expected[~common].sum()[None]])
    return float(chi2.sf(float(((observed - expected) ** 2 / expected).sum()), len(observed) - 1))


@pytest.mark.parametrize("wrong", [None, "report", "order", "persons"])
def test_documents_follow_the_evidence_and_a_perturbed_sampler_does_not(wrong):
    world, _, by_person, prior = tiny()
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(60_000, generator)
    if wrong == "persons":
        concepts[:4000] = 0
    tokens = world.sample_given_concepts(concepts, generator).tokens
    if wrong == "report":
        tokens[:5000, 0] = torch.where(tokens[:5000, 0] < 6, tokens[:5000, 0] // 2 * 2, tokens[:5000, 0])
    if wrong == "order":
        tokens[:9000] = tokens[:9000].sort(1).values
    p = goodness_of_fit(tokens, (by_person + prior.log()).logsumexp(1).exp(), world.V)
    assert (p > 1e-4) if wrong is None else (p < 1e-4)


def test_related_documents_follow_the_predictive():
    world, documents, by_person, prior = tiny()
    generator = torch.Generator().manual_seed(1)
    d1 = world.sample(1, generator).tokens
    row = int((documents == d1).all(1).nonzero())
    d2 = exact.sample_related(world, generator, d1.expand(60_000, -1))
    predictive = by_person.exp() @ torch.softmax(by_person[row] + prior.log(), 0)
    assert goodness_of_fit(d2, predictive, world.V) > 1e-4
    assert goodness_of_fit(d2, by_person.exp() @ prior, world.V) < 1e-4


def test_log_prob_is_that_of_person_symbols_and_naming():
    """The first sentence has one of 24 names, the second a pronoun, the third the name again with chance 1/4."""
    world, _, by_person, prior = tiny()
    drawn = world.sample(300, torch.Generator().manual_seed(2))
    rows = (drawn.tokens * torch.tensor([world.V**2, world.V, 1])).sum(1)
    concept, named = drawn.latents["concept"], drawn.latents["named"]
    assert (named[:, :2] == torch.tensor([1, 0])).all()
    naming = (torch.tensor([0.75, 0.25], dtype=torch.float64) / 24).log()[named[:, 2]]
    torch.testing.assert_close(drawn.log_prob, prior.log()[concept] + by_person[rows, concept] + naming, **CLOSE)


def test_a_shifted_belief_is_sure_of_somebody_else():
    world = narration(2, "easy")
    generator = torch.Generator().manual_seed(0)
    concepts = world.sample_concepts(200, generator)
    d1, d2 = (world.sample_given_concepts(concepts, generator).tokens for _ in range(2))
    predictive = world.update_belief(exact.map_beliefs(world, world.shifted, d1), d2)[1]
    assert predictive.mean() < exact.log_evidence(world, d2).mean() - 3 < exact.log_predictive(world, d2, d1).mean() - 6


def test_null_preset_has_nothing_to_gain():
    world = narration(5, "null")
    generator = torch.Generator().manual_seed(0)
    d1, d2 = (world.sample(200, generator).tokens for _ in range(2))
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), exact.log_evidence(world, d2), rtol=0, atol=1e-12)
    figures = exact.information(world, 500, generator)
    assert abs(figures.I_d1_d2) < 1e-12 and abs(figures.I_c_d1) < 1e-12 and abs(figures.ambiguity - 1) < 1e-12


@pytest.mark.parametrize("preset, low, high", [("easy", 0.1, 0.2), ("medium", 0.3, 0.45), ("hard", 0.6, 0.8)])
def test_presets_are_as_hard_as_they_say(preset, low, high):
    figures = exact.information(narration(11, preset), 1000, torch.Generator().manual_seed(0))
    assert low < figures.ambiguity < high
    assert figures.I_d1_d2 < figures.I_c_d1 <= figures.H_c < figures.log_C


def test_persons_and_their_numbers():
    world = narration(values=12, attributes=8, sentences=8)
    concepts = torch.tensor([0, 1, 12, world.C - 1])
    assert world.attributes_of(concepts)[:, -2:].tolist() == [[0, 0], [0, 1], [1, 0], [11, 11]]
    assert torch.equal(world.concepts_of(world.attributes_of(concepts)), concepts)
    with pytest.raises(WorldError, match="429981696 persons are too many to list"):
        _ = world.prior
    assert torch.isfinite(exact.log_evidence(world, world.sample(5, torch.Generator().manual_seed(0)).tokens)).all()


def test_impossible_documents_and_wrong_dials():
    world = narration(misreport=0.0, correlation=0.0, values=2, attributes=2, sentences=2, templates=1)
    d1, repeated, fine = torch.tensor([[[0, 2]], [[0, 1]], [[2, 0]]])
    contradicting = torch.tensor([[1, 2]])
    assert exact.log_evidence(world, repeated) == -torch.inf  # the same attribute twice
    assert exact.log_predictive(world, contradicting, d1) == -torch.inf < exact.log_evidence(world, contradicting)
    assert (exact.next_token_log_probs(world, fine, repeated) == -torch.inf).all()
    assert (attribute_log_posterior(world, d1, contradicting) == -torch.inf).all()
    with pytest.raises(WorldError, match="never produces"):
        exact.sample_related(world, torch.Generator(), d1, contradicting)
    with pytest.raises(WorldError, match="sentences=6: expected at most attributes=3"):
        narration(attributes=3)


def test_the_floor_is_how_often_a_resampled_person_differs():
    world = narration(2, "medium")
    generator = torch.Generator().manual_seed(0)
    floor = hallucination_floor(world, 4000, generator)
    concepts = world.sample_concepts(4000, generator)
    d1 = world.sample_given_concepts(concepts, generator).tokens
    belief = exact.map_beliefs(world, lambda belief: belief, d1)
    differs = world.attributes_of(concepts) != world.forest.sample(belief, generator)
    se = (floor.attributes[:, 1] ** 2 + 0.25 / 4000).sqrt()
    assert ((differs.double().mean(0) - floor.attributes[:, 0]).abs() < 4 * se).all()
    assert abs(differs.any(1).double().mean() - floor.overall[0]) < 4 * (floor.overall[1] ** 2 + 0.25 / 4000) ** 0.5
    assert hallucination_floor(world, 1000, generator, documents=4).overall[0] < floor.overall[0] / 2
