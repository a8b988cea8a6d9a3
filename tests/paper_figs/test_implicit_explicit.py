import json
from pathlib import Path

import pytest

from paper_figs import implicit_explicit, names

STORED = Path(__file__).parents[2] / "benchmarks" / "results" / "implicit_explicit"


@pytest.fixture
def folder(tmp_path) -> Path:
    rows = []
    for world in ("bow-medium", "hmm-medium"):
        for subject, start in ((names.SYNTHESIZER, 1.5), (names.EXPLICIT, 0.8), (names.EXPLICIT_SHARED, 0.5)):
            for seed in (0, 1):
                for i, at in enumerate((500.0, 2000.0, 8000.0)):
                    row = {"measure": names.BAYES_GAP_FRACTION, "subject": subject, "world": world, "seed": seed}
                    rows.append({**row, "estimate": start / 4**i + 0.01 * seed, "n": 1000, "at": at, "null": 0.0})
    (tmp_path / "results.json").write_text(json.dumps(rows))
    return tmp_path


def test_a_panel_a_world_with_a_line_a_synthesizer(folder):
    drawn = implicit_explicit.draw(folder)
    assert [axes.get_title("left") for axes in drawn.axes] == list(implicit_explicit.TITLES.values())
    lines = [line for line in drawn.axes[0].get_lines() if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == [
        "transformer (implicit)",
        "explicit (own encoder)",
        "explicit (decoder's posterior)",
    ]
    assert list(lines[0].get_ydata()) == pytest.approx([1.505, 0.38, 0.09875])
    assert list(lines[0].get_xdata()) == [500, 2000, 8000]


def test_the_caption_states_the_last_gaps(folder):
    caption = implicit_explicit.caption(folder)
    assert "bow-medium at 8,000 pairs: transformer (implicit) 9.9 %, explicit (own encoder) 5.5 % " in caption
    assert "2 seeds" in caption and "1,000 documents" in caption


def test_nothing_to_draw_without_such_results(folder):
    (folder / "results.json").write_text("[]")
    assert implicit_explicit.draw(folder) is None and implicit_explicit.caption(folder) is None


def test_the_stored_record_can_be_drawn():
    assert implicit_explicit.draw(STORED) is not None
    assert "Bayes gap as a share" in implicit_explicit.caption(STORED)
