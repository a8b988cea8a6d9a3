"""Names, presets, dials; what the presets promise; what is stored about them."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import PRESETS, WORLDS, make_world
from synthetic_worlds.dials import WorldError
from synthetic_worlds.measure import TOLERANCE_SE, WORLD_SEEDS, check
from synthetic_worlds.stored import over_seeds, stored_worlds
from synthetic_worlds.world import Process, World

AMBIGUITY = {"easy": (0.10, 0.20), "medium": (0.25, 0.45), "hard": (0.6, 0.8), "null": (1 - 1e-6, 1 + 1e-6)}
EVERY_PRESET = [(name, preset) for name, presets in PRESETS.items() for preset in presets]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "bag"}, "unknown world 'bag'; there are bow, "),
        ({"name": "bow", "preset": "simple"}, "world bow has no preset 'simple'; it has easy, medium, hard, null"),
        ({"name": "bow", "states": 3}, "world bow has no dial 'states'; it has overlap, concepts"),
        ({"name": "bow", "overlap": 1.5}, "dial overlap=1.5: expected a number from 0 to 1"),
        ({"name": "bow", "overlap": float("nan")}, "dial overlap=nan: expected a number"),
        ({"name": "bow", "overlap": "much"}, "dial overlap='much': expected a number"),
        ({"name": "hmm", "concepts": 2.5}, "dial concepts=2.5: expected a whole number from 1"),
        ({"name": "hmm", "concepts": True}, "dial concepts=True: expected a whole number"),
        ({"name": "hmm", "seed": -1}, "seed=-1; expected a whole number, 0 or more"),
    ],
)
def test_wrong_input_is_named_in_one_line(arguments, message):
    with pytest.raises(WorldError, match=message.replace("(", r"\(")) as caught:
        make_world(**arguments)
    assert "\n" not in str(caught.value) and isinstance(caught.value, ValueError)


def test_dials_go_over_the_preset():
    world = make_world("bow", "hard", 4, length=5, concepts=3.0)
    assert (world.C, world.L, world.V) == (3, 5, 32)
    assert world.dials["overlap"] == PRESETS["bow"]["hard"]["overlap"] and isinstance(world.dials["concepts"], int)
    assert world.label == "bow(overlap=0.82, concepts=3, vocabulary=32, length=5, concentration=0.3, zipf=0)"
    assert "overlap = 0.82" in world.description()


def test_the_spec_tells_laws_apart():
    worlds = [make_world("bow"), make_world("hmm"), make_world("bow", seed=1), make_world("bow", overlap=0.61)]
    given = make_world("bow")
    worlds += [type(given)(given.prior, given.words, 16), type(given)(given.prior, given.words.flip(0), 16)]
    worlds += [type(given)(given.prior, given.words, 15)]
    assert len({world.spec_hash for world in worlds}) == len(worlds)
    assert make_world("bow").spec_hash == given.spec_hash
    assert worlds[-1].label.startswith("bow(parameters=")


def test_overlap_moves_one_world_along_a_line():
    ends = [make_world("bow", seed=2, overlap=overlap).words for overlap in (0.0, 1.0)]
    torch.testing.assert_close(make_world("bow", seed=2, overlap=0.25).words, 0.75 * ends[0] + 0.25 * ends[1])


def test_zipf_prior():
    prior = make_world("bow", concepts=4, zipf=1.0).prior
    torch.testing.assert_close(prior / prior[0], 1 / torch.arange(1, 5, dtype=torch.float64))


@pytest.mark.parametrize("name, preset", EVERY_PRESET)
def test_presets_are_as_hard_as_they_say(name, preset):
    low, high = AMBIGUITY[preset]
    assert low <= over_seeds(stored_worlds()[name]["presets"][preset], "ambiguity").mean <= high
    world = make_world(name, preset, seed=11)
    measured = exact.information(world, min(1500, world.figure_pairs), torch.Generator().manual_seed(3))
    assert 0.85 * low <= measured.ambiguity <= 1.15 * high
    assert measured.I_d1_d2 <= measured.I_c_d1 + 3 * measured.I_d1_d2_se + 1e-12  # data processing


def test_the_demo_preset_keeps_its_setting():
    for seed in range(5):
        world = make_world("bow", "medium", seed)
        assert dict(world.dials) == {
            "overlap": 0.6, "concepts": 16, "vocabulary": 32, "length": 16, "concentration": 0.3, "zipf": 0.0,
        }  # fmt: skip
        figures = exact.information(world, 2000, torch.Generator().manual_seed(0))
        assert 0.65 < figures.H_c_given_d1 < 1.0


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_null_world_has_nothing_to_gain(name):
    world = make_world(name, "null", seed=6)
    generator = torch.Generator().manual_seed(0)
    d1, d2 = (world.sample(200, generator).tokens for _ in range(2))
    same = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(exact.log_predictive(world, d2, d1), exact.log_evidence(world, d2), **same)
    if isinstance(world, World):
        tokens = exact.next_token_log_probs(world, d2, d1)
        torch.testing.assert_close(tokens, exact.next_token_log_probs(world, d2), **same)
    figures = exact.information(world, 500, generator)
    assert abs(figures.I_d1_d2) < 1e-12 and abs(figures.I_c_d1) < 1e-12


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_stored_figures_belong_to_these_worlds_and_are_right(name):
    """`check` raises where a spec hash differs; the figures are measured afresh with other documents."""
    stored = stored_worlds()[name]
    assert stored["version"] == WORLDS[name].version and stored["title"] == WORLDS[name].title
    assert [dial["name"] for dial in stored["dials"]] == [dial.name for dial in WORLDS[name].DIALS]
    # Where documents cost more, one world seed stands for all; `sbp worlds NAME --check` measures them all.
    comparisons = check(name, WORLD_SEEDS if WORLDS[name].figure_pairs == Process.figure_pairs else WORLD_SEEDS[:1])
    assert all(row.agrees for row in comparisons), [row for row in comparisons if not row.agrees]


def test_a_wrong_stored_figure_is_noticed(monkeypatch):
    stored = stored_worlds()
    stored["bow"]["presets"]["medium"]["seeds"][2]["I_d1_d2"] += 0.2
    monkeypatch.setattr("synthetic_worlds.measure.stored_worlds", lambda: stored)
    wrong = [row for row in check("bow") if not row.agrees]
    assert [(row.preset, row.seed, row.field) for row in wrong] == [("medium", 2, "I_d1_d2")]
    assert abs(wrong[0].distance) > TOLERANCE_SE
    stored["bow"]["presets"]["medium"]["seeds"][2]["spec_hash"] = "0" * 16
    with pytest.raises(WorldError, match="another version"):
        check("bow")
