"""One seed evaluated on real artefacts: corpora, pairs and untrained models as the pipeline writes them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from analysis import measures
from analysis.evaluate import evaluate_seed
from analysis.world_source import WorldSource
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.packing import DocumentSequences
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import make_pairs, save_pairs
from sbp_bayes.results import read_results
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import save_model

WORLD = {"name": "bow", "preset": "medium", "length": 6}
SIZES = SplitSizes(60, 20, 50, 80)


def save_models(folder: Path, tokenizer, subjects) -> dict[str, Path]:
    for subject in subjects:
        for name in ("final", "best"):
            model = Transformer(model_config("0.1M", tokenizer.vocabulary_size))
            model.init(generator("model", subject, name))
            save_model(model, folder / subject / f"{name}.safetensors", tokenizer.fingerprint)
    return {subject: folder / subject for subject in subjects}


def save_pairs_of(folder: Path, corpus: Corpus, **rules: PairingConfig) -> dict[str, Path]:
    for name, config in rules.items():
        save_pairs(folder / name, make_pairs(corpus, config, 0))
    return {name: folder / name for name in rules}


@pytest.fixture(scope="module")
def world_context(tmp_path_factory) -> SeedContext:
    folder = tmp_path_factory.mktemp("world")
    source = WorldSource.from_options(WORLD, 3)
    tokenizer = SymbolTokenizer(source.symbols)
    tokenizer.save(folder / "tokenizer")
    for name, split in source.splits(SIZES).items():
        write_corpus(folder / name, [split.documents], tokenizer, [split.latents])
    subjects = ["base", "synthesizer", "synthesizer random-pairs", "arm repetition", "arm sbp", "arm oracle"]
    truth = PairingConfig(rule="truth", pairs_per_document=2)
    random = dataclasses.replace(truth, rule="random")
    return SeedContext(
        seed=3,
        config=experiment_from(
            {"name": "t", "corpus": {"world": WORLD}, "evaluation": {"documents": 40, "examples": 3}}
        ),
        source=json.loads(json.dumps(source.describe())),
        out=folder / "out",
        corpus={name: folder / name for name in ("real", "validation", "heldout", "oracle")},
        tokenizer=folder / "tokenizer",
        models=save_models(folder / "models", tokenizer, subjects),
        pairs=save_pairs_of(folder / "pairs", Corpus.open(folder / "real"), related=truth, random=random),
        synthetic={},
    )


@pytest.fixture(scope="module")
def world_results(world_context):
    evaluate_seed(world_context)
    return read_results(world_context.out)


def found(rows, measure, subject, at=None):
    (row,) = [r for r in rows if (r.measure, r.subject, r.at) == (measure, subject, at)]
    return row


def test_excess_is_heldout_loss_above_exact_bayes(world_results):
    for checkpoint in ("final", "best"):
        for arm in ("repetition", "sbp", "oracle"):
            loss = found(world_results, f"heldout_loss {checkpoint}", arm)
            excess = found(world_results, f"excess_loss {checkpoint}", arm)
            assert excess.estimate == pytest.approx(loss.estimate - loss.null, abs=1e-9)
            assert excess.estimate > 0.1  # untrained
            assert (excess.n, excess.null, excess.seed) == (50, 0.0, 3)
            per_document = found(world_results, f"excess_loss_per_document {checkpoint}", arm)
            assert per_document.estimate == pytest.approx(6 * excess.estimate)
    final, best = (found(world_results, f"excess_loss {c}", "sbp").estimate for c in ("final", "best"))
    assert final != best


def test_every_synthesizer_stands_beside_exact_bayes(world_results):
    exact = found(world_results, measures.BAYES_GAP, "exact")
    assert abs(exact.estimate) < 1e-12
    prior = found(world_results, measures.BAYES_GAP_FRACTION, "prior")
    assert prior.estimate == pytest.approx(1)
    for subject in ("synthesizer", "synthesizer random-pairs"):
        total = found(world_results, measures.BAYES_GAP, subject)
        positions = [found(world_results, measures.BAYES_GAP_AT_POSITION, subject, float(t)) for t in range(6)]
        assert sum(r.estimate for r in positions) == pytest.approx(total.estimate)
        assert total.n == 40
        assert total.estimate > 0.5


def test_information_pairs_and_floor_are_there(world_context, world_results):
    for measure in (measures.CONCEPT_ENTROPY, measures.CONCEPT_INFORMATION, measures.PAIR_INFORMATION):
        assert found(world_results, measure, measures.WORLD).estimate == world_context.source["information"][measure][0]
    assert found(world_results, measures.PAIRING_PRECISION, "truth").estimate == 1.0
    random = found(world_results, measures.PAIRING_PRECISION, "random")
    assert random.estimate < 0.3
    assert 0 < random.null < 0.3
    floor = found(world_results, measures.EXACT_VALIDATION_LOSS, "exact")
    latents_free = found(world_results, "heldout_loss final", "sbp").null
    assert floor.estimate == pytest.approx(latents_free * 6 / 7, rel=0.1)


def test_examples_go_from_clear_to_ambiguous(world_context, world_results):
    examples = json.loads((world_context.out / "examples.json").read_text())
    assert len(examples) == 3
    entropies = [e["posterior"]["entropy"] for e in examples]
    assert entropies == sorted(entropies) and entropies[0] < entropies[-1]
    for example in examples:
        for name in ("d1", "exact", "synthesized"):
            assert len(example[name].split()) == 6
        for key in ("prior", "d1", "exact", "synthesized", "exact_mean", "synthesized_mean", "control_mean"):
            assert sum(example["posterior"][key]) == pytest.approx(1)
        assert example["partner"] != example["d1"]


def test_evaluating_twice_gives_the_same_bytes(world_context, world_results, tmp_path):
    evaluate_seed(dataclasses.replace(world_context, out=tmp_path))
    for name in ("results.json", "examples.json"):
        assert (tmp_path / name).read_bytes() == (world_context.out / name).read_bytes()


def test_hidden_latents_leave_only_the_examples_out(world_context, world_results, tmp_path):
    corpora = {}
    source = WorldSource.from_options(WORLD, 3)
    for name, split in source.splits(SIZES).items():
        write_corpus(tmp_path / name, [split.documents], SymbolTokenizer(source.symbols), None)
        corpora[name] = tmp_path / name
    hidden = dataclasses.replace(world_context, corpus=corpora, out=tmp_path / "out")
    evaluate_seed(hidden)
    assert (hidden.out / "results.json").read_bytes() == (world_context.out / "results.json").read_bytes()
    assert json.loads((hidden.out / "examples.json").read_text()) == []


def test_text_has_held_out_losses_and_examples_but_nothing_exact(tmp_path):
    texts = [f"term {i // 2} means number {i} of many <things>" for i in range(40)]
    tokenizer = BpeTokenizer.train(texts, 300)
    tokenizer.save(tmp_path / "tokenizer")
    sources = ["odd" if i % 2 else "even" for i in range(40)]
    table = pa.table({"doc_id": [str(i) for i in range(40)], "text": texts, "source": sources})
    latents = pa.table({"concept": [str(i // 2) for i in range(40)]})
    for name in ("real", "validation", "heldout", "oracle"):
        write_corpus(tmp_path / name, [table], tokenizer, [latents])
    synthetic = table.slice(0, 5).append_column("seed_doc", pa.array([4, 4, 7, 9, 11], pa.int64()))
    write_corpus(tmp_path / "synthetic", [synthetic], tokenizer, None)
    real = Corpus.open(tmp_path / "real")
    rules = {"related": PairingConfig(rule="similarity", alpha=0.1, shingle=0)}
    rules["random"] = PairingConfig(rule="random", shingle=0)
    context = SeedContext(
        seed=0,
        config=experiment_from({"name": "t", "corpus": {"path": "somewhere"}, "evaluation": {"examples": 3}}),
        source={"label": "terms"},
        out=tmp_path / "out",
        corpus={name: tmp_path / name for name in ("real", "validation", "heldout", "oracle")},
        tokenizer=tmp_path / "tokenizer",
        models=save_models(tmp_path / "models", tokenizer, ["base", "synthesizer", "arm repetition", "arm sbp"]),
        pairs=save_pairs_of(tmp_path / "pairs", real, **rules),
        synthetic={"sbp": tmp_path / "synthetic"},
    )
    evaluate_seed(context)
    rows = read_results(context.out)
    losses = {f"heldout_loss{of} {at}" for of in ("", " of odd", " of even") for at in ("final", "best")}
    assert {r.measure for r in rows} == {*losses, "pairs", "pairing_precision"}
    similar, random = (found(rows, "pairing_precision", rule).estimate for rule in ("similarity", "random"))
    assert similar > 2 * random
    loss = found(rows, "heldout_loss best", "sbp")
    by_hand = {of: mean_loss_by_hand(context, tokenizer, range(*of)) for of in ((0, 40), (0, 40, 2), (1, 40, 2))}
    assert loss.estimate == pytest.approx(by_hand[0, 40], rel=1e-5)
    for source, of in (("even", (0, 40, 2)), ("odd", (1, 40, 2))):
        own = found(rows, f"heldout_loss of {source} best", "sbp")
        assert own.estimate == pytest.approx(by_hand[of], rel=1e-5) and own.n == 20
    examples = json.loads((context.out / "examples.json").read_text())
    assert len(examples) == 3
    written = {4: texts[0], 7: texts[2], 9: texts[3], 11: texts[4]}
    for example in examples:
        assert example["synthesized"] == written[texts.index(example["d1"])]
        assert example["posterior"] is None and example["exact"] is None


def mean_loss_by_hand(context: SeedContext, tokenizer, documents: range) -> float:
    """Nats a target of the best sbp model on these documents, one at a time."""
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size))
    model.init(generator("model", "arm sbp", "best"))
    sequences = DocumentSequences(Corpus.open(context.corpus["heldout"]), tokenizer)
    nats = targets = 0.0
    for i in documents:
        tokens = torch.from_numpy(sequences.sequence(i)[0])[None]
        with torch.no_grad():
            nats += float(model.token_losses(tokens[:, :-1], tokens[:, 1:]).sum())
        targets += tokens.shape[1] - 1
    assert targets == np.sum(sequences.lengths[list(documents)])
    return nats / targets
