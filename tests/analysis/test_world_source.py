import numpy as np
import pytest
import torch

from analysis import measures
from analysis.world_source import WorldSource, world_of
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.errors import UserError
from synthetic_worlds import exact

OPTIONS = {"name": "bow", "preset": "medium", "length": 6}


def tokens(table) -> np.ndarray:
    return np.stack(table.documents["tokens"].to_pylist())


def test_splits_have_their_sizes_and_the_oracle_contains_the_real_documents():
    splits = WorldSource.from_options(OPTIONS, 0).splits(SplitSizes(5, 3, 4, 9))
    assert {name: split.documents.num_rows for name, split in splits.items()} == {
        "real": 5,
        "validation": 3,
        "heldout": 4,
        "oracle": 9,
    }
    assert splits["oracle"].documents.slice(0, 5).equals(splits["real"].documents)
    assert splits["oracle"].latents.slice(0, 5).equals(splits["real"].latents)
    ids = [i for name in ("validation", "heldout", "oracle") for i in splits[name].documents["doc_id"].to_pylist()]
    assert len(set(ids)) == len(ids) == 16


def test_changing_one_size_leaves_the_other_splits():
    source = WorldSource.from_options(OPTIONS, 0)
    small, large = source.splits(SplitSizes(5, 3, 4, 9)), source.splits(SplitSizes(8, 3, 4, 20))
    for name in ("heldout", "validation"):
        assert large[name].documents.equals(small[name].documents)


def test_no_split_is_another_one_again():
    splits = WorldSource.from_options(OPTIONS, 0).splits(SplitSizes(4, 4, 4, 8))
    fresh = splits["oracle"].documents.slice(4)
    drawn = [splits[name].documents for name in ("real", "validation", "heldout")] + [fresh]
    assert len({str(table["tokens"].to_pylist()) for table in drawn}) == 4


def test_an_oracle_without_fresh_documents_and_states_among_the_latents():
    source = WorldSource.from_options({"name": "hmm", "preset": "medium", "length": 6}, 0)
    split = source.splits(SplitSizes(5, 1, 1, 5))["oracle"]
    assert split.documents.num_rows == split.latents.num_rows == 5
    assert {"concept", "log_prob"} <= set(split.latents.column_names)


def test_latents_are_those_of_the_documents():
    source = WorldSource.from_options(OPTIONS, 0)
    split = source.splits(SplitSizes(50, 1, 1, 50))["real"]
    documents = torch.from_numpy(tokens(split))
    concepts = torch.tensor(split.latents["concept"].to_pylist())
    expected = source.world.log_prior[concepts] + source.world.log_likelihood(documents)[torch.arange(50), concepts]
    assert torch.allclose(torch.tensor(split.latents["log_prob"].to_pylist(), dtype=torch.float64), expected)


def test_description_rebuilds_the_world():
    source = WorldSource.from_options({**OPTIONS, "overlap": 0.7}, 4)
    described = source.describe()
    world = world_of(described)
    assert described["label"] == "bow-medium(length=6, overlap=0.7)"
    assert torch.equal(world.words, source.world.words)
    information = described["information"]
    entropy, se = information[measures.CONCEPT_ENTROPY]
    documents = world.sample(4096, torch.Generator().manual_seed(1)).tokens
    posterior = exact.concept_log_posterior(world, documents)
    assert abs(entropy - float(world.belief_entropy(posterior).mean())) < 6 * se


def test_a_world_that_has_changed_since_is_refused():
    described = WorldSource.from_options(OPTIONS, 4).describe()
    described["world"] = {**described["world"], "version": -1}
    with pytest.raises(UserError, match="another version"):
        world_of(described)


def test_the_experiment_seed_draws_the_world_unless_one_is_set():
    first, second = WorldSource.from_options(OPTIONS, 0), WorldSource.from_options(OPTIONS, 1)
    assert not torch.equal(first.world.words, second.world.words)
    fixed = [WorldSource.from_options({**OPTIONS, "seed": 7}, seed) for seed in (0, 1)]
    assert torch.equal(fixed[0].world.words, fixed[1].world.words)
    sizes = SplitSizes(5, 1, 1, 5)
    assert not np.array_equal(tokens(fixed[0].splits(sizes)["real"]), tokens(fixed[1].splits(sizes)["real"]))
    assert fixed[0].identity() != fixed[1].identity()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "corpus.world.name: missing"),
        ({"name": "flat"}, "unknown world 'flat'"),
        ({"name": "bow", "preset": "huge"}, "no preset 'huge'"),
        ({"name": "bow", "overlp": 0.5}, "no dial 'overlp'"),
        ({"name": "bow", "overlap": 1.5}, "overlap=1.5"),
        ({"name": "bow", "seed": "x"}, "corpus.world.seed"),
        ({"name": "gaussian"}, "documents are vectors"),
        ({"name": "polya", "documents_per_concept": 0}, "corpus.world.documents_per_concept = 0"),
        ({"name": "polya", "documents_per_concept": True}, "corpus.world.documents_per_concept = True"),
    ],
)
def test_wrong_options_are_one_clear_line(options, message):
    with pytest.raises(UserError, match=message) as error:
        WorldSource.from_options(options, 0)
    assert "\n" not in str(error.value)
