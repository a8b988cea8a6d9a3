"""The evaluator on corpora as the pipeline writes them, whose writers are known."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from analysis import measures
from analysis.quality.embedding import embedder_named
from analysis.quality.evaluator import evaluate_quality
from analysis.quality.likelihood import nats_per_token
from sbp_bayes import plugins
from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.documents.tokenizer import BpeTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.pairs import make_pairs, save_pairs
from sbp_bayes.results import Result, read_results
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import save_model
from sbp_bayes.training.objective import weighted_loss


def write(folder: Path, texts, tokenizer, concepts=None, seeds=None) -> Path:
    table = pa.table({"doc_id": [str(i) for i in range(len(texts))], "text": texts})
    if seeds is not None:
        table = table.append_column("seed_doc", pa.array(seeds, pa.int64()))
    write_corpus(folder, [table], tokenizer, [pa.table({"concept": concepts})] if concepts else None)
    return folder


def trained_model(corpus: Corpus, tokenizer: BpeTokenizer, steps: int) -> Transformer:
    """A model that has learnt which word follows which."""
    torch.set_num_threads(1)
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size)).init(generator("quality test"))
    packed = Packed(DocumentSequences(corpus, tokenizer), 256, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(steps):
        batch = packed.batch(np.arange(4 * step, 4 * step + 4) % len(packed))
        loss = weighted_loss(model, batch.inputs, batch.targets, batch.weights, **batch.attention) / batch.weight
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def context(material, tmp_path_factory) -> SeedContext:
    folder = tmp_path_factory.mktemp("quality")
    tokenizer = BpeTokenizer.train(material.real, 500)
    tokenizer.save(folder / "tokenizer")
    corpora = {
        "real": write(folder / "real", material.real, tokenizer, material.concepts),
        "heldout": write(folder / "heldout", material.heldout, tokenizer, material.heldout_concepts),
    }
    synthetic = {
        name: write(folder / name / "corpus", texts, tokenizer, seeds=material.seeds)
        for name, texts in material.written.items()
    }
    synthetic["of nothing"] = write(folder / "of nothing" / "corpus", material.written["right"], tokenizer)
    rejected = pa.table({"reason": ["repeats itself"] * 100 + ["unfinished"] * 200})
    pq.write_table(rejected, folder / "right" / "rejected.parquet")
    real = Corpus.open(corpora["real"])
    model = trained_model(real, tokenizer, 60)
    save_model(model, folder / "oracle" / "best.safetensors", tokenizer.fingerprint)
    related = PairingConfig(rule="similarity", alpha=0.1, shingle=0)
    save_pairs(folder / "related", make_pairs(real, related, 0))
    return SeedContext(
        seed=0,
        config=experiment_from(
            {"name": "t", "corpus": {"path": "somewhere"}, "evaluation": {"documents": 150, "quality": 500}}
        ),
        source={"label": "entries"},
        out=folder / "out",
        corpus=corpora,
        tokenizer=folder / "tokenizer",
        models={"arm oracle": folder / "oracle"},
        pairs={"related": folder / "related"},
        synthetic=synthetic,
    )


@pytest.fixture(scope="module")
def rows(context) -> list[Result]:
    evaluate_quality(context)
    return read_results(context.out)


def of(rows, measure: str, at: float | None = None) -> dict[str, Result]:
    found = {r.subject: r for r in rows if (r.measure, r.at) == (measure, at)}
    assert list(found)[-1] == measures.REAL
    return found


def test_each_writer_is_caught_by_the_measure_meant_for_it(rows):
    repetition = of(rows, measures.TEXT_REPETITION, 13.0)
    assert repetition["repeater"].estimate == 1 and repetition["right"].estimate == repetition["real"].estimate == 0
    copying = of(rows, measures.TEXT_PAIR_COPYING)
    assert copying["copier"].estimate == 1 and copying["right"].estimate < 0.02 and copying["real"].estimate < 0.02
    corpus_copying = of(rows, measures.TEXT_CORPUS_COPYING)
    assert corpus_copying["of another"].estimate == 1 and corpus_copying["right"].estimate < 0.02
    duplicates = of(rows, measures.TEXT_DUPLICATES)
    assert duplicates["monotonous"].estimate > 0.8 and duplicates["right"].estimate == 0
    novelty = of(rows, measures.TEXT_NOVELTY_TO_CORPUS, 2.0)
    assert novelty["shuffler"].estimate > novelty["right"].estimate + 0.4
    distance = of(rows, measures.TEXT_LENGTH_DISTANCE)
    assert distance["brief"].estimate > 0.9 > 0.15 > distance["right"].estimate and distance["real"].estimate == 0
    headword = of(rows, measures.TEXT_HEADWORD)
    assert headword["of another"].estimate < 0.05 < 0.8 < headword["right"].estimate
    assert headword["real"].estimate > 0.8 and headword["real"].null < 0.05
    named = of(rows, measures.TEXT_HEADWORD_NAMED)
    assert named["of another"].estimate < 0.02 < 0.98 < named["right"].estimate
    close = of(rows, measures.TEXT_SIMILARITY_TO_D1)
    assert close["copier"].estimate > 0.999 and close["right"].estimate > 3 * close["right"].null
    assert close["of another"].estimate == pytest.approx(close["of another"].null, abs=0.03)
    loss = of(rows, f"{measures.TEXT_LOSS} arm oracle")
    assert loss["shuffler"].estimate > loss["right"].estimate + 0.3


def test_a_partner_is_as_near_as_the_right_writer_comes(rows):
    close, partner = of(rows, measures.TEXT_SIMILARITY_TO_D1), measures.TEXT_SIMILARITY_TO_PARTNER
    found = {r.subject: r.estimate for r in rows if r.measure == partner}
    assert found["right"] == pytest.approx(close["right"].estimate, abs=0.05)
    assert found["copier"] < 0.5 and measures.REAL not in found


def test_text_without_seed_documents_has_the_rows_that_need_none(rows):
    own = {r.measure for r in rows if r.subject == "of nothing"}
    assert measures.TEXT_REPETITION in own and measures.TEXT_NOVELTY_TO_CORPUS in own
    assert not own & {measures.TEXT_PAIR_COPYING, measures.TEXT_SIMILARITY_TO_D1, measures.TEXT_HEADWORD}


def test_samples_are_as_large_as_was_said_and_sets_are_compared_at_one_size(rows):
    assert {r.n for r in of(rows, measures.TEXT_REPETITION, 5.0).values()} == {500, 300}
    assert {r.n for r in of(rows, measures.TEXT_DUPLICATES).values()} == {300}
    assert {r.n for r in of(rows, measures.TEXT_SIMILARITY_TO_D1).values()} == {150}


def test_what_the_filter_left_out_is_counted_among_all_that_was_sampled(rows):
    found = {r.measure: (r.estimate, r.n) for r in rows if r.measure.startswith(measures.TEXT_REJECTED)}
    assert found[f"{measures.TEXT_REJECTED} repeats itself"] == (100 / 900, 900)
    assert found[f"{measures.TEXT_REJECTED} unfinished"] == (200 / 900, 900)
    assert found[f"{measures.TEXT_REJECTED} empty"] == (0, 900)


def test_evaluating_twice_gives_the_same_bytes(context, rows, tmp_path):
    evaluate_quality(dataclasses.replace(context, out=tmp_path))
    assert (tmp_path / "results.json").read_bytes() == (context.out / "results.json").read_bytes()


def test_without_headwords_real_pairs_are_those_of_the_pairing_rule(context, material, tmp_path):
    tokenizer_folder = context.tokenizer
    tokenizer = BpeTokenizer((tokenizer_folder / "tokenizer.json").read_text())
    corpora = {
        "real": write(tmp_path / "real", material.real, tokenizer),
        "heldout": write(tmp_path / "heldout", material.heldout, tokenizer),
    }
    synthetic = {"right": context.synthetic["right"]}
    evaluate_quality(dataclasses.replace(context, corpus=corpora, synthetic=synthetic, models={}, out=tmp_path / "out"))
    rows = read_results(tmp_path / "out")
    close = of(rows, measures.TEXT_SIMILARITY_TO_D1)
    assert close["real"].estimate > 2 * close["real"].null
    assert not {r.measure for r in rows} & {measures.TEXT_HEADWORD, measures.TEXT_HEADWORD_NAMED}
    assert not [r for r in rows if r.measure.startswith(measures.TEXT_LOSS)]


def test_a_registered_embedder_reads_a_corpus_and_its_vectors_are_made_units(context, monkeypatch):
    tokenizer = BpeTokenizer((context.tokenizer / "tokenizer.json").read_text())

    def letters(source: dict, corpus: Corpus) -> np.ndarray:
        assert source == {"label": "entries"}
        return np.array([[text.count(letter) for letter in "abc"] for text in corpus.column("text").to_pylist()], float)

    with pytest.raises(UserError, match="'letters' is no plugin"):
        embedder_named("letters", [], context.source, tokenizer)
    monkeypatch.setattr(plugins, "load", lambda group, name: letters)
    vectors = embedder_named("letters", [], context.source, tokenizer)(["aab", "ddd", "c"])
    assert vectors == pytest.approx(np.array([[2, 1, 0], [0, 0, 0], [0, 0, 1]]) / np.array([[5**0.5], [1], [1]]))


class TopicJudge:
    """Finds irrelevant what shares no topic with d1; can't say of the first document whether it is true."""

    @classmethod
    def from_options(cls, options: dict) -> "TopicJudge":
        assert options == {"strict": True}
        return cls()

    def not_factual(self, documents):
        return [None, *(False for _ in documents[1:])]

    def irrelevant(self, d1, d2):
        topics = [[set(re.findall(r"head\w+topic", text)) for text in texts] for texts in (d1, d2)]
        return [not first & second for first, second in zip(*topics, strict=True)]


def test_a_judge_of_ones_own_reads_as_many_documents_as_was_said(context, tmp_path, monkeypatch):
    evaluation = {"documents": 20, "quality": 100, "judge": {"name": "endpoint", "documents": 30, "strict": True}}
    config = experiment_from({"name": "t", "corpus": {"path": "somewhere"}, "evaluation": evaluation})
    synthetic = {name: context.synthetic[name] for name in ("right", "of another", "of nothing")}
    monkeypatch.setattr(plugins, "load", lambda group, name: TopicJudge)
    evaluate_quality(dataclasses.replace(context, config=config, synthetic=synthetic, models={}, out=tmp_path))
    rows = read_results(tmp_path)
    irrelevant = of(rows, measures.TEXT_IRRELEVANT)
    assert {subject: row.estimate for subject, row in irrelevant.items()} == {"right": 0, "of another": 1, "real": 0}
    factual = of(rows, measures.TEXT_NOT_FACTUAL)
    assert len(factual) == 4 and {(row.estimate, row.n) for row in factual.values()} == {(0, 29)}
    unjudged = of(rows, f"{measures.TEXT_UNJUDGED} {measures.TEXT_NOT_FACTUAL}")
    assert [row.estimate for row in unjudged.values()] == pytest.approx([1 / 30] * 4)


def test_worlds_have_no_rows_and_nothing_is_opened(context, tmp_path):
    world = dataclasses.replace(
        context, source={"label": "bow", "world": "bow"}, corpus={}, tokenizer=tmp_path / "none", out=tmp_path
    )
    evaluate_quality(world)
    assert read_results(tmp_path) == []


def test_the_loss_of_texts_is_that_of_their_tokens(context, material):
    tokenizer = BpeTokenizer((context.tokenizer / "tokenizer.json").read_text())
    model = Transformer(model_config("0.1M", tokenizer.vocabulary_size)).init(generator("quality loss"))
    texts = material.real[:3]
    nats = targets = 0.0
    for ids in tokenizer.encode(texts):
        tokens = torch.tensor([[tokenizer.bos, *ids, tokenizer.eos]])
        with torch.no_grad():
            nats += float(model.token_losses(tokens[:, :-1], tokens[:, 1:]).sum())
        targets += len(ids) + 1
    assert nats_per_token(model, tokenizer, texts).value == pytest.approx(nats / targets, rel=1e-5)
