"""The examples of docs/theory.md run as they stand, and find what the page says."""

import re
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
PAGE = (Path(__file__).parents[3] / "docs" / "theory.md").read_text(encoding="utf-8")


def run_example(heading: str) -> dict:
    """The names that the Python example under ``heading`` leaves behind."""
    (section,) = [part for part in re.split(r"\n##+ ", PAGE) if part.startswith(heading)]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict = {}
    exec(compile(code, heading, "exec"), names)
    return names


def test_every_example_has_a_test():
    with_code = [part.splitlines()[0] for part in re.split(r"\n##+ ", PAGE) if "```python" in part]
    tested = Path(__file__).read_text(encoding="utf-8")
    assert len(with_code) == 4
    assert all(f'run_example("{heading.split(":")[0]}' in tested for heading in with_code)


def test_the_files_and_tests_that_it_names_exist():
    root = Path(__file__).parents[3]
    places = re.findall(r"`((?:analysis|tests|docs)/[a-z_/]+(?:\.py|\.md)?)`", PAGE)
    assert len(places) > 5 and all((root / place).exists() for place in places)
    named = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.py"))
    assert all(f"def {name}(" in named for name in re.findall(r"`(test_[a-z_]+)`", PAGE))


def test_pairing_law():
    found = run_example("The pairing law")
    divergence, related, p = found["divergence"], found["related"], found["p"]
    assert divergence(found["right"], related) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(found["seeds"], p)
    assert divergence(found["random"], p.expand(256, -1)) == pytest.approx(0, abs=1e-12)
    assert divergence(found["threshold"], related) > 0.05
    assert float((found["hubs"] - p).abs().sum()) > 0.02
    torch.testing.assert_close(found["hubs"] @ found["threshold"], found["hubs"])  # corollary (iii)


def test_kernel_density():
    found = run_example("The synthetic corpus is a kernel density estimate")
    for N, divergence in found["found"].items():
        assert divergence == pytest.approx(found["kernel"].synthesis_divergence(N), rel=0.2)
        assert divergence < (found["world"].C - 1) / (2 * N)


def test_inverted_u():
    found = run_example("Many dimensions")
    information, shrinkage = found["information"], found["shrinkage"]
    assert float(information[0]) == pytest.approx(0, abs=1e-12) and float(information[-1]) < 1e-3
    assert float(information[1:5].max()) > 0.02
    assert float(shrinkage[0]) > 0.02 and float(shrinkage[-1]) == 0


def test_best_share():
    found = run_example("The best synthetic share")
    by_size, by_bias = list(found["by_size"].values()), list(found["by_bias"].values())
    assert by_size == sorted(by_size, reverse=True) and by_size[0] > 2 * by_size[-1]
    assert by_bias == sorted(by_bias) and by_bias[-1] > 0.5
