import pyarrow as pa
import pytest

from analysis.sources import documents_by_source
from sbp_bayes.documents.corpus import write_corpus
from sbp_bayes.documents.tokenizer import SymbolTokenizer


def corpus_of(folder, sources):
    n = 60 if sources is None else len(sources)
    columns = {"doc_id": [str(i) for i in range(n)], "tokens": [[i % 5] for i in range(n)]}
    table = pa.table(columns if sources is None else {**columns, "source": sources})
    return write_corpus(folder / "corpus", [table.slice(0, 30), table.slice(30)], SymbolTokenizer(5))


def test_documents_are_grouped_by_name_and_small_groups_left_out(tmp_path):
    sources = ["wiki" if i % 3 else "gcide" for i in range(60)] + ["foldoc"] * 19
    found = documents_by_source(corpus_of(tmp_path, sources))
    assert list(found) == ["gcide", "wiki"]
    assert found["gcide"].tolist() == list(range(0, 60, 3))
    assert sorted([*found["gcide"].tolist(), *found["wiki"].tolist()]) == list(range(60))


@pytest.mark.parametrize("sources", [None, ["one"] * 60, [f"file {i // 4}" for i in range(60)]])
def test_one_source_or_a_file_each_is_no_grouping(tmp_path, sources):
    assert documents_by_source(corpus_of(tmp_path, sources)) == {}
