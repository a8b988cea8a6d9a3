import re
import tomllib
from pathlib import Path

from sbp_bayes.experiment import describe_keys
from sbp_bayes.sweep import cells_of

PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_the_example_has_the_cells_that_the_page_names():
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    names = [cell.name for cell in cells_of(tomllib.loads(block), "example")]
    assert (names[0], names[5], names[6]) == ("grid-easy-512", "grid-hard-8192", "noise")
    assert len(names) == 7


def test_the_keys_of_the_table_exist():
    keys = set(re.findall(r"^\| `([a-z_.]+)`", PAGE, re.MULTILINE))
    assert keys - {"corpus.world.documents_per_concept"} <= {key for key, _, _ in describe_keys()}
    assert len(keys) == 8
