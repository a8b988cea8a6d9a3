"""Every world of tokens goes the way of `sbp run` by its name alone: source, corpus, pairs, exact synthesis, gaps."""

import json

import numpy as np
import pytest
import torch

from analysis.bayes_gap import bayes_gaps
from analysis.examples import world_examples
from analysis.synthesizers import ExactSynthesizer, exact_synthesis, wrong_synthesizers
from analysis.world_source import DOCUMENTS_PER_CONCEPT, WorldSource, world_of
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import make_pairs
from synthetic_worlds.catalogue import WORLDS, make_world
from synthetic_worlds.world import ConceptWorld, World

TOKEN_WORLDS = [name for name, world in WORLDS.items() if issubclass(world, World)]
GROUPED = [name for name in TOKEN_WORLDS if not issubclass(WORLDS[name], ConceptWorld)]
SHORT = {"lda": {"length": 4}, "grammar": {"length": 4}}
SIZES = SplitSizes(60, 20, 20, 90)


def source_of(name: str, **options) -> WorldSource:
    return WorldSource.from_options({"name": name, "preset": "medium", **SHORT.get(name, {}), **options}, 0)


def test_which_worlds_there_are():
    assert set(WORLDS) - set(TOKEN_WORLDS) == {"gaussian"}
    assert set(GROUPED) == {"polya", "lda", "narration"}


@pytest.mark.parametrize("name", TOKEN_WORLDS)
def test_from_source_to_exact_synthesis(name, tmp_path):
    source = source_of(name)
    splits = source.splits(SIZES)
    described = json.loads(json.dumps(source.describe(), allow_nan=False))
    column = "text" if name == "narration" else "tokens"
    real = splits["real"].documents[column].to_pylist()
    tokenizer = BpeTokenizer.train(real, 300) if name == "narration" else SymbolTokenizer(source.symbols)
    corpora = {
        split: write_corpus(tmp_path / split, [tables.documents], tokenizer, [tables.latents])
        for split, tables in splits.items()
    }
    pairs = make_pairs(corpora["real"], PairingConfig(rule="truth", shingle=0, pairs_per_document=2), 0)
    assert pairs.statistics["precision"] == 1.0
    assert pairs.statistics["chance_precision"] < 0.3
    assert pairs.statistics["kept_pairs"] > 60
    d1 = real if name == "narration" else [np.array(tokens) for tokens in real]
    drawn = exact_synthesis(described, d1, torch.Generator().manual_seed(0))
    assert len(drawn) == 60
    if name == "narration":
        assert world_of(described).parse(drawn).valid.all()
    else:
        assert {len(d2) for d2 in drawn} == {source.world.L}
    assert [list(d2) for d2 in drawn] != [list(first) for first in d1]


@pytest.mark.parametrize("name", TOKEN_WORLDS)
def test_bayes_gaps_of_all_synthesizers_that_the_world_has(name):
    world = source_of(name).world
    d1 = world.sample(30, torch.Generator().manual_seed(0)).tokens
    compared = [ExactSynthesizer(world), *wrong_synthesizers(world)]
    gaps = {gap.name: gap for gap in bayes_gaps(compared, world, d1, generator=torch.Generator().manual_seed(1))}
    assert abs(gaps["exact"].per_document) < 1e-9
    assert gaps["prior"].fraction == pytest.approx(1)
    assert all(gap.per_document > 1e-3 for subject, gap in gaps.items() if subject != "exact")
    assert ("MAP" in gaps) == ("label-swapped" in gaps) == (name not in ("polya", "lda"))


@pytest.mark.parametrize("name", ["polya", "lda"])
def test_examples_without_a_posterior_where_concepts_are_a_continuum(name):
    world = source_of(name).world
    documents = world.sample(10, torch.Generator().manual_seed(0)).tokens
    examples = world_examples(world, ExactSynthesizer(world), documents, [0] * 10, 3, 0)
    assert len(examples) == 3
    assert all(e["posterior"] is None and e["partner"] is None for e in examples)
    assert len(examples[0]["synthesized"].split()) == world.L


@pytest.mark.parametrize("name", GROUPED)
def test_documents_of_a_group_share_their_concept_and_groups_take_turns(name):
    latents = source_of(name).splits(SplitSizes(60, 5, 5, 90))["oracle"].latents.to_pydict()
    groups = -(-60 // DOCUMENTS_PER_CONCEPT)
    points = np.array(latents.get("concept_point", latents["concept"]))
    assert (points[: 60 - groups] == points[groups:60]).all()
    # Two groups may be about one person by chance.
    assert len(np.unique(points[:groups], axis=0)) >= groups - (name == "narration")
    # The oracle's fresh documents are of concepts of their own.
    assert set(latents["concept"][:60]).isdisjoint(latents["concept"][60:]) or name == "narration"
    assert not (points[:4] == points[60:64]).all()


@pytest.mark.parametrize("name", GROUPED)
def test_documents_that_results_are_measured_on_are_independent(name):
    splits = source_of(name).splits(SIZES)
    for split in ("validation", "heldout"):
        latents = splits[split].latents.to_pydict()
        assert len({str(point) for point in latents.get("concept_point", latents["concept"])}) > 10


def test_documents_per_concept_is_part_of_the_identity_and_can_be_set():
    bow = {"name": "bow", "preset": "medium"}
    alone, grouped = (WorldSource.from_options({**bow, "documents_per_concept": n}, 0) for n in (1, 4))
    assert alone.identity() == WorldSource.from_options(bow, 0).identity() != grouped.identity()
    concepts = grouped.splits(SplitSizes(8, 1, 1, 8))["real"].latents["concept"].to_pylist()
    assert concepts[:2] * 4 == concepts


def test_grouped_documents_have_the_law_of_the_world():
    """The mean log-evidence over many groups is that of independent documents."""
    source = source_of("polya")
    world = make_world("polya", "medium", seed=0)
    tokens = source.splits(SplitSizes(8000, 1, 1, 8000))["real"].documents["tokens"].to_pylist()
    grouped = world.update_belief(world.prior_belief(8000), torch.tensor(tokens))[1].view(8, 1000).mean(0)
    alone = world.sample(8000, torch.Generator().manual_seed(5)).tokens
    independent = world.update_belief(world.prior_belief(8000), alone)[1]
    se = (grouped.var() / 1000 + independent.var() / 8000).sqrt()
    assert abs(grouped.mean() - independent.mean()) < 4 * se
