"""The examples of docs/pyro.md run as they stand, and find what they say."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "pyro.md"


@pytest.fixture(autouse=True)
def _leaves_no_trace():
    import pyro

    torch.set_num_threads(1)
    state = torch.random.get_rng_state()
    with pyro.get_param_store().scope():
        yield
    torch.random.set_rng_state(state)


def run_example(heading: str) -> dict:
    """The names that the Python example under ``heading`` leaves behind."""
    (section,) = [part for part in PAGE.read_text(encoding="utf-8").split("\n## ") if part.startswith(heading)]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict = {}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def test_every_example_has_a_test():
    headings = re.findall(r"^## (.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tested = Path(__file__).read_text(encoding="utf-8")
    with_code = [h for h in headings if "```python" in PAGE.read_text(encoding="utf-8").split(f"\n## {h}")[1]]
    assert len(with_code) >= 3
    assert all(f'run_example("{heading.split(":")[0]}' in tested for heading in headings)


def test_infer_discrete():
    found = run_example("Which concept wrote a document")
    posterior = found["posterior"]
    assert 0.1 < posterior.max() < 0.99  # there is something to be unsure of
    error = (posterior * (1 - posterior) / 500).sqrt()
    assert ((found["frequencies"] - posterior).abs() < 4 * error + 1e-6).all()
    assert found["likeliest"].shape == (2,) and found["likeliest"][0] == found["likeliest"][1]


def test_svi():
    found = run_example("The words of concepts that nobody has labelled")
    assert found["losses"][-1] < found["losses"][0] - 100
    assert -0.1 < found["excess"] < 0.3


def test_nuts():
    found = run_example("A continuous concept")
    parameters, theta = found["parameters"], found["theta"]
    total = parameters.sum()
    mean = parameters / total
    deviation = (mean * (1 - mean) / (total + 1)).sqrt()
    assert theta.shape == (400, 3)
    assert ((theta.mean(0) - mean).abs() < 4 * deviation / 100**0.5).all()  # 400 draws are worth 100 at the least
    assert ((theta.std(0) / deviation - 1).abs() < 0.25).all()


def test_explicit_synthesizer():
    found = run_example("An explicit synthesizer")
    assert 0 < found["gap"].fraction < 0.2
