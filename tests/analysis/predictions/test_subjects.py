"""How a seed of an experiment becomes a subject: the law its pairs should have taught, its pool, its models."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis.predictions.evaluation_pairs import add_alarm, heldout_pairs, tuning_pairs
from analysis.predictions.subjects import pairs_of, subjects_of, why_none
from analysis.rows import Rows
from analysis.synthesizers import ExactSynthesizer
from analysis.world_source import WorldSource
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import make_pairs, save_pairs
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import save_model
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.pair_sampling import PairSampling


@pytest.fixture(scope="module")
def world():
    return make_world("style", seed=0, concepts=4, zipf=0.5)


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        (PairingConfig(rule="truth"), PairSampling()),
        (PairingConfig(wrong=0.3), PairSampling(wrong=0.3)),
        (PairingConfig(near_duplicate=0.05), PairSampling(near_duplicate=0.05)),
        (PairingConfig(latents=["concept", "style"]), PairSampling(shared_style=1.0)),
        (PairingConfig(rule="random", latents=["style"]), PairSampling(wrong=1.0)),
    ],
)
def test_each_key_of_pairing_has_its_law(world, pairing, expected):
    assert pairs_of(pairing, world) == expected


def test_rarer_concepts_are_another_prior(world):
    prior = pairs_of(PairingConfig(concept_zipf=2.0), world).prior
    weights = world.prior * torch.tensor([1, 1 / 4, 1 / 9, 1 / 16])
    assert torch.allclose(prior, weights / weights.sum())


def test_pairs_of_one_style_only_are_not_pairs_of_one_concept(world):
    """Pairs that share the style and not the concept have a concept of their own each."""
    assert pairs_of(PairingConfig(rule="truth", latents=["style"]), world) == PairSampling(wrong=1.0, shared_style=1.0)


def context(folder: Path, name: str, pairing: dict, **synthesizer) -> SeedContext:
    """A seed whose corpus, pairs and (untrained) models are as the pipeline writes them."""
    options = {"name": name, "length": 6, "vocabulary": 8}
    source = WorldSource.from_options(options, 0)
    tokenizer = SymbolTokenizer(source.symbols)
    tokenizer.save(folder / "tokenizer")
    for split, tables in source.splits(SplitSizes(64, 8, 40, 64)).items():
        write_corpus(folder / split, [tables.documents], tokenizer, [tables.latents])
    config = experiment_from(
        {
            "name": "x",
            "corpus": {"world": options},
            "pairing": {"rule": "truth", "shingle": 0, **pairing},
            "synthesizer": synthesizer,
            "evaluation": {"documents": 30},
        }
    )
    save_pairs(folder / "related", make_pairs(Corpus.open(folder / "real", tokenizer), config.pairing, 0))
    models = {}
    for subject in ("base", "synthesizer", "synthesizer random-pairs"):
        model = Transformer(model_config("0.03M", tokenizer.vocabulary_size)).init(generator(subject))
        models[subject] = folder / subject
        save_model(model, folder / subject / "best.safetensors", tokenizer.fingerprint)
    corpus = {split: folder / split for split in ("real", "validation", "heldout", "oracle")}
    source = source.describe()
    pairs = {"related": folder / "related"}
    return SeedContext(0, config, source, folder, corpus, folder / "tokenizer", models, pairs, {})


def test_both_synthesizers_are_judged_on_unseen_documents(tmp_path):
    seed = context(tmp_path, "bow", {"wrong": 0.25}, group=3)
    ours, random = subjects_of(seed)
    assert (ours.name, random.name) == ("synthesizer", "synthesizer random-pairs")
    assert ours.pairs == PairSampling(wrong=0.25) and random.pairs == PairSampling(wrong=1.0)
    assert ours.alone.name == "base" and ours.model is ours.synthesizer and ours.conditioning == 2
    heldout = Corpus.open(seed.corpus["heldout"], SymbolTokenizer(8))
    assert torch.equal(ours.d1, torch.from_numpy(heldout.tokens[:].astype("int64")).view(-1, 6)[:30])
    assert ours.pool is None and ours.tilted is None


def test_a_continuum_of_concepts_was_seen_as_a_pool(tmp_path):
    (ours, _) = subjects_of(context(tmp_path, "polya", {}))
    assert ours.pool.shape == (8, 8)  # 64 documents, eight of each concept
    assert torch.allclose(ours.pool.sum(1), torch.ones(8, dtype=torch.float64)) and not ours.plain


def test_pairs_found_by_words_have_a_law_of_their_own_judged_by_pairs_that_tuning_did_not_see(tmp_path):
    by_words = {"rule": "similarity", "alpha": -1.0, "pairs_per_document": 8}
    seed = context(tmp_path, "bow", by_words, heldout_share=0.4)
    ours, random = subjects_of(seed)
    assert ours.tilted is not None and not ours.plain and random.tilted is None and random.unseen is None
    d1, d2 = ours.unseen
    assert d1.shape == d2.shape and len(d1) > 8 and len(d1.unique(dim=0)) > 8
    real = Corpus.open(seed.corpus["real"], SymbolTokenizer(8)).tokens[:].astype("int64").reshape(-1, 6)
    seen = {tuple(real[document]) for document in tuning_pairs(seed).flatten().tolist()}
    assert not [document for document in torch.cat([d1, d2]).tolist() if tuple(document) in seen]


def test_what_cannot_be_judged_is_said(tmp_path):
    by_words = context(tmp_path, "polya", {"rule": "similarity", "alpha": -1.0})
    assert "finitely many concepts only" in why_none(by_words) and subjects_of(by_words) == []
    plain = context(tmp_path / "plain", "bow", {})
    assert why_none(plain) is None
    plain.models.clear()
    assert why_none(plain) == "no synthesizer was trained"
    plain.source.clear()
    plain.source["label"] = "my texts"
    assert "my texts is no world" in why_none(plain)


@pytest.mark.parametrize(("pairing", "fires"), [({}, False), ({"near_duplicate": 1.0}, True)])
def test_the_alarm_hears_copies_among_held_out_pairs(tmp_path, pairing, fires):
    seed = context(tmp_path, "bow", {"pairs_per_document": 1, **pairing}, heldout_share=0.4)
    d1, d2 = heldout_pairs(seed)
    assert len(d1) > 8 and (d1 == d2).all(1).any() == fires
    ours = subjects_of(seed)[0]
    rows = Rows("bow", 0)
    add_alarm(rows, seed, replace(ours, synthesizer=ExactSynthesizer(ours.world)))
    (row,) = rows.results
    assert (row.measure, row.n) == ("information on held-out pairs", len(d1))
    assert (row.estimate - row.null > 3 * row.se) == fires
