"""An experiment on a folder of one's own: three lines, however few documents there are."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SplitSizes
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import load_experiment
from sbp_bayes.graph import in_order, run_stage
from sbp_bayes.plan import SeedPlan, plan_seed
from sbp_bayes.stages import KINDS

SENTENCE = "a bridge stands where the river bends and nobody asks who built it so long before"


@pytest.fixture
def experiment(tmp_path) -> Path:
    """Three lines, and a folder of 150 short documents beside them."""
    folder = tmp_path / "texts"
    folder.mkdir()
    words = SENTENCE.split()
    texts = [" ".join(words[(i * k) % len(words)] for k in range(4, 24)) + f" {i}." for i in range(150)]
    (folder / "mine.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "mine.toml").write_text(f'[corpus]\npath = "{folder}"\nfit = true\n')
    return tmp_path / "mine.toml"


def plan(experiment: Path, *overrides: str) -> SeedPlan:
    return plan_seed(load_experiment(experiment, ["tokenizer.vocabulary=300", *overrides]), 0)


@pytest.mark.parametrize(
    ("arms", "real", "oracle"),
    [([], 45, 90), (['arms.names=["repetition", "sbp"]'], 90, 90), (["arms.names=[]"], 90, 90)],
)
def test_three_lines_leave_most_of_a_few_documents_to_training(experiment, tmp_path, capsys, arms, real, oracle):
    corpus = plan(experiment, *arms).corpus
    run_stage(corpus, KINDS["corpus"], tmp_path / "stages", "cpu")
    described = json.loads((corpus.folder(tmp_path / "stages") / "source.json").read_text())
    found = {name: split["documents"] for name, split in described["cleaning"]["splits"].items()}
    assert found == {"real": real, "validation": 30, "heldout": 30, "oracle": oracle}
    assert described["cleaning"]["asked"] == {"real": 2048, "validation": 1024, "heldout": 2048, "oracle": 40960}
    said = "150 usable documents: real %d of 2,048, validation 30 of 1,024, heldout 30 of 2,048, oracle %d of 40,960\n"
    assert said % (real, oracle) in capsys.readouterr().err


def test_without_fit_too_few_documents_are_refused(experiment, tmp_path):
    corpus = plan(experiment, "corpus.fit=false").corpus
    with pytest.raises(UserError, match="150 usable documents are too few"):
        run_stage(corpus, KINDS["corpus"], tmp_path / "stages", "cpu")


@pytest.mark.parametrize(
    ("oracle_read", "usable", "expected"),
    [
        (True, 200, (20, 10, 10, 60)),  # enough documents are not stretched
        (True, 70, (20, 10, 10, 50)),  # the oracle's corpus gives first
        (True, 60, (20, 10, 10, 40)),
        (True, 40, (12, 8, 8, 24)),  # then D, and what results are measured on
        (True, 3, (1, 1, 1, 1)),
        (False, 200, (20, 10, 10, 20)),
        (False, 38, (20, 7, 7, 20)),
        (False, 30, (18, 6, 6, 18)),
    ],
)
def test_splits_of_too_few_documents(oracle_read, usable, expected):
    sizes = SplitSizes(20, 10, 10, 60, fit=True, oracle_read=oracle_read).within(usable)
    assert (sizes.real, sizes.validation, sizes.heldout, sizes.oracle) == expected
    assert sizes.validation + sizes.heldout + sizes.oracle <= usable


def test_an_oracle_that_was_to_be_d_stays_d():
    sizes = SplitSizes(100, 10, 10, 100, fit=True).within(60)
    assert (sizes.real, sizes.oracle) == (40, 40)


def test_without_fit_what_no_arm_reads_is_there_all_the_same():
    assert SplitSizes(20, 10, 10, 60, oracle_read=False).within(40) == SplitSizes(20, 10, 10, 60, oracle_read=False)


def test_a_continuation_is_no_longer_than_a_document_and_begins_as_its_seed_document(experiment, tmp_path):
    sizes = [f"corpus.{split}={n}" for split, n in (("real", 40), ("validation", 10), ("heldout", 10), ("oracle", 80))]
    training = ["model.size=0.03M", "training.epochs=1", "training.compile=off"]
    own = plan(experiment, *sizes, *training, 'arms.names=["continuation"]', "arms.prefix=0.75")
    for stage in in_order([own.synthetic["continuation"]]):
        run_stage(stage, KINDS[stage.kind], tmp_path / "stages", "cpu")
    folder = own.corpus.folder(tmp_path / "stages")
    tokenizer = load_tokenizer(folder / "tokenizer")
    real = Corpus.open(folder / "real", tokenizer)
    written = own.synthetic["continuation"].folder(tmp_path / "stages")
    documents, rejected = Corpus.open(written / "corpus", tokenizer), pq.read_table(written / "rejected.parquet")
    assert int(documents.lengths.max()) <= int(real.lengths.max())
    assert max(map(len, rejected["tokens"].to_pylist())) > int(real.lengths.max())
    for i, seed_document in enumerate(documents.column("seed_doc").to_pylist()):
        d1 = real.document(seed_document)
        part = d1[: int(0.75 * len(d1))]
        assert np.array_equal(documents.document(i)[: len(part)], part)


def test_the_default_arms_leave_out_exact_bayes_and_asking_for_it_is_an_error(experiment):
    assert "arm exact" not in plan(experiment).models
    assert {"arm repetition", "arm sbp", "arm oracle"} <= plan(experiment).models.keys()
    with pytest.raises(UserError, match=r'arms.names: "exact" is for worlds'):
        plan(experiment, 'arms.names=["exact"]')
