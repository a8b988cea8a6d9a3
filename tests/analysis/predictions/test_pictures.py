"""The numbers behind pictures: exact Bayes has what theory says, and a network is sampled at the temperature asked."""

from dataclasses import replace

import pytest
import torch

from analysis.pair_law_synthesizer import PairLawSynthesizer
from analysis.predictions import pictures
from analysis.predictions.subject import known_subject
from analysis.synthesizers import ExactSynthesizer, MapSynthesizer, TemperedSynthesizer, TransformerSynthesizer
from analysis.wrong_synthesizers import StaticMixtureSynthesizer
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.seeds import generator
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling


@pytest.fixture(scope="module")
def world():
    return make_world("bow", seed=0, length=6, concepts=4, vocabulary=8)


@pytest.fixture(scope="module")
def network(world) -> TransformerSynthesizer:
    tokenizer = SymbolTokenizer(world.V)
    model = Transformer(model_config("0.03M", tokenizer.vocabulary_size)).init(generator("network"))
    with torch.no_grad():
        model.embed_tokens.weight.mul_(20)  # so that it prefers some words
    return TransformerSynthesizer(model, tokenizer)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0])
def test_the_sampler_at_a_temperature_has_the_tempered_law(world, network, temperature):
    d1 = world.sample(1, generator("d1")).tokens.expand(4000, -1)
    written = network.sample(generator("written", temperature.hex()), d1, temperature=temperature)
    law = TemperedSynthesizer(network, temperature).next_token_log_probs(written[:1], d1[:1])[0, 0].exp()
    counts = torch.bincount(written[:, 0], minlength=world.V)
    spread = (4000 * law * (1 - law)).sqrt()
    assert float(((counts - 4000 * law).abs() / spread).max()) < 4.5


def test_both_orders_of_a_pair_are_equally_probable_to_exact_bayes(world):
    drawn = pictures.exchangeability(known_subject(ExactSynthesizer(world), world, 50, 0))
    assert drawn["this_order"] == pytest.approx(drawn["other_order"], rel=1e-4)


def test_the_weight_of_exact_bayes_is_its_own_and_a_static_mixture_keeps_its_share(world):
    pairs = PairSampling(wrong=0.3)
    right = pictures.adaptive_weight(known_subject(PairLawSynthesizer(world, pairs), world, 200, 0, pairs))
    assert right["unrelated"] == pytest.approx(right["unrelated_exact"], abs=1e-4)
    assert right["unrelated"][0] == pytest.approx(0.7) and right["unrelated"][-1] < 0.6 < right["related"][-1]
    static = pictures.adaptive_weight(known_subject(StaticMixtureSynthesizer(world, 0.3), world, 200, 0, pairs))
    assert static["unrelated"] == pytest.approx([0.7] * 6, abs=1e-4)


def test_a_plug_in_keeps_more_of_the_concept_than_exact_bayes(world):
    exact, plug_in = (
        pictures.drift(known_subject(synthesizer(world), world, 600, 0))
        for synthesizer in (ExactSynthesizer, MapSynthesizer)
    )
    assert exact["left"][0] == 1 and exact["left"][1] == pytest.approx(exact["exact"][1], abs=0.15)
    assert plug_in["left"][1] > exact["left"][1]


def test_coverage_and_ranks_of_exact_draws_are_near_their_levels(world):
    drawn = pictures.calibrated(known_subject(ExactSynthesizer(world), world, 600, 0))
    for quantity in ("likelihood", "coverage"):
        away = [abs(share - level) for share, level in zip(drawn[quantity], drawn["levels"], strict=True)]
        assert max(away) < 4.5 * max(drawn[f"{quantity}_exact_se"])


def test_the_prior_is_bent_by_cold_sampling(world):
    drawn = pictures.temperature(known_subject(ExactSynthesizer(world), world, 512, 0))
    cold, one, _ = drawn["synthesizer"]
    assert drawn["synthesizer"] == drawn["exact"] and abs(one) < 5 * drawn["exact_se"][1] and cold > one


def test_points_of_a_face_are_barycentric(world, network):
    subject = replace(known_subject(network, world, 300, 0), model=network)
    drawn = pictures.belief(subject)
    assert drawn["exact"] and all(sum(row) == pytest.approx(1, abs=1e-3) for row in drawn["exact"])
    assert len(drawn["exact"]) == len(drawn["probed"]) <= pictures.SHOWN and len(set(drawn["concepts"])) == 3


def test_pictures_that_do_not_apply_are_left_out(world):
    pairs = PairSampling(wrong=0.3)
    noisy = pictures.pictures_of(known_subject(PairLawSynthesizer(world, pairs), world, 64, 0, pairs))
    assert list(noisy) == ["adaptive-weight"]
