import json

import pytest

from paper_figs.precision_vs_alpha import draw, write_precision
from paper_figs.run_files import RunFileError


def pairs(folder, embedder, precision, **changes):
    """A folder of pairs whose precision rises to ``precision`` at alpha 1."""
    rows = [
        {
            "alpha": a / 20,
            "pairs": 20 * (20 - a),
            "near_duplicates": 3,
            "share_with_partner": (20 - a) / 40,
            "precision": precision and precision * (a + 20) / 40,
            "top1_precision": precision and precision * (a + 20) / 40,
        }
        for a in range(-20, 21)
    ]
    found = {"embedder": {"embedder": embedder}, "precision": precision, "by_alpha": rows, **changes}
    folder.mkdir()
    (folder / "pairs.json").write_text(json.dumps(found))
    return folder


def test_each_embedder_is_a_line_from_as_many_pairs_as_can_be_trusted(tmp_path):
    folders = [pairs(tmp_path / "a", "tfidf", 0.8), pairs(tmp_path / "b", "minilm", 1.0)]
    write_precision(folders, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        f"precision-against-alpha.{ending}" for ending in ("csv", "svg", "png")
    }
    lines = (tmp_path / "out" / "precision-against-alpha.csv").read_text().splitlines()
    assert lines[0] == "embedder,alpha,pairs,near_duplicates,share_with_partner,precision,top1_precision"
    assert lines[1] == "tfidf,-1.0,800,3,1.0,0.0,0.0"
    assert len(lines) == 1 + 2 * 41
    found = {name: json.loads((folder / "pairs.json").read_text()) for name, folder in zip("ab", folders, strict=True)}
    precision, share, both = draw(found).axes
    drawn = precision.get_lines()[2]
    assert drawn.get_label() == "b"
    assert drawn.get_xdata()[-1] == 0.9  # at 0.95 there are 20 pairs, too few
    assert drawn.get_ydata()[-1] == pytest.approx(95)
    assert share.get_lines()[0].get_ydata()[0] == 100
    assert both.get_lines()[0].get_xdata()[0] == 100


def test_without_concepts_there_is_the_table_alone(tmp_path):
    write_precision([pairs(tmp_path / "a", "tfidf", None)], tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["precision-against-alpha.csv"]


def test_pairs_of_one_embedder_go_by_their_folders(tmp_path):
    write_precision([pairs(tmp_path / name, "tfidf", 0.5) for name in "ab"], tmp_path / "out")
    lines = (tmp_path / "out" / "precision-against-alpha.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {"tfidf (a)", "tfidf (b)"}


def test_pairs_that_have_no_table_are_named(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "pairs.json").write_text('{"rule": "random", "precision": null}')
    with pytest.raises(RunFileError, match=r"r/pairs\.json: has no table by alpha"):
        write_precision([folder], tmp_path / "out")
