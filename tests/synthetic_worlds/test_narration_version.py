"""The narration world's law and words change only with its version; its picture draws."""

import hashlib

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_templates import ASIDES, ATTRIBUTES, HER_NAMES, HIS_NAMES, PRONOUNS

GOLDEN = {
    "medium": ("c8f2641ff89838fd", [-34.95371817679851, -32.69216234490614], [-34.83197209381822, -37.093527925710596]),
    "null": ("917bdc224ff04394", [-31.777481679289664, -32.172896451544325], [-32.17289645154432, -31.77748167928966]),
}
WORDS = "dc53e74a263b1a14"


@pytest.mark.parametrize("preset", GOLDEN)
def test_law_is_that_of_the_version(preset):
    world = make_world("narration", preset, 0)
    d1 = torch.tensor([[0, 60, 120, 180, 240, 300], [59, 361, 119, 366, 179, 299]])
    spec_hash, evidence, predictive = GOLDEN[preset]
    assert world.version == 1 and world.spec_hash == spec_hash, "raise the version with the law, and store new numbers"
    assert exact.log_evidence(world, d1).tolist() == pytest.approx(evidence, rel=1e-9)
    assert exact.log_predictive(world, d1.flip(0), d1).tolist() == pytest.approx(predictive, rel=1e-9)


def test_words_are_those_of_the_version():
    """The spec's hash does not see the templates; other words mean another version all the same."""
    words = repr((ATTRIBUTES, ASIDES, HER_NAMES, HIS_NAMES, PRONOUNS))
    assert (Narration.version, hashlib.sha256(words.encode()).hexdigest()[:16]) == (1, WORDS)


def test_picture(tmp_path):
    from synthetic_worlds.draw import draw_world

    for world in (make_world("narration"), make_world("narration", attributes=2, values=2, sentences=1)):
        figures = exact.information(world, 100, torch.Generator().manual_seed(0))
        paths = draw_world(world, figures, tmp_path / f"narration-{world.A}")
        assert [path.suffix for path in paths] == [".png", ".svg"] and paths[0].stat().st_size > 20_000
