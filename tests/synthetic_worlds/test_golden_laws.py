"""A world's law may change only together with its version: numbers stored for version 1, seed 0."""

import pytest
import torch

from synthetic_worlds import exact
from synthetic_worlds.catalogue import make_world

GOLDEN = {
    ("bow", "medium"): {
        "version": 1,
        "spec_hash": "6d285431e3d83d36",
        "parameters": [0.0625, 0.030061199364185165],
        "log_evidence": [-59.314103067963146, -60.3607791700544],
        "log_predictive": [-65.17349241350684, -64.12681631141558],
    },
    ("bow", "null"): {
        "version": 1,
        "spec_hash": "f45c3dd3e9cab8c2",
        "parameters": [0.0625, 0.05010033517236109],
        "log_evidence": [-62.88631562868003, -77.83890780056153],
        "log_predictive": [-77.83890780056153, -62.88631562868003],
    },
    ("hmm", "medium"): {
        "version": 1,
        "spec_hash": "24b7e937697649a8",
        "parameters": [0.0625, 0.07669414321605891, 0.08652720424374219, 0.024979112246793764],
        "log_evidence": [-109.07169819252307, -113.12453189118732],
        "log_predictive": [-117.67272973442539, -113.18754316091503],
    },
    ("hmm", "null"): {
        "version": 1,
        "spec_hash": "5068808e42a5c50a",
        "parameters": [0.0625, 0.00042570314777804863, 0.2161948018851494, 0.016616430228416187],
        "log_evidence": [-106.58746467085942, -119.5865167752901],
        "log_predictive": [-119.68897997619928, -106.83218251582964],
    },
    ("style", "medium"): {
        "version": 1,
        "spec_hash": "9ace5ad7bc2b1e5a",
        "parameters": [0.0625, 0.25, 0.01775872771130541],
        "log_evidence": [-59.58692972654323, -60.61575091314506],
        "log_predictive": [-63.489766657043845, -62.46094547044203],
    },
    ("style", "null"): {
        "version": 1,
        "spec_hash": "695788e334a91ae2",
        "parameters": [0.0625, 0.25, 0.025383549068920153],
        "log_evidence": [-63.14237387136361, -77.66017716247264],
        "log_predictive": [-77.66017716247264, -63.142373871363624],
    },
    ("tree", "medium"): {
        "version": 1,
        "spec_hash": "b72d7b5d1d759a72",
        "parameters": [
            0.1387214611872146,
            0.3333333333333333,
            0.3333333333333333,
            0.3333333333333333,
            0.05010033517236111,
            0.0004347128494438999,
            0.0008231617884708961,
            0.0003054066461286722,
        ],
        "log_evidence": [-87.4193639051644, -85.87317074430784],
        "log_predictive": [-87.2514583919527, -88.79765155280924],
    },
    ("tree", "null"): {
        "version": 1,
        "spec_hash": "2355f4fcead827b1",
        "parameters": [
            0.0,
            0.3333333333333333,
            0.3333333333333333,
            0.3333333333333333,
            0.05010033517236111,
            0.0004347128494438999,
            0.0008231617884708961,
            0.0003054066461286722,
        ],
        "log_evidence": [-97.63370537930592, -107.68874029729943],
        "log_predictive": [-107.6887402972994, -97.6337053793059],
    },
    ("grammar", "medium"): {
        "version": 1,
        "spec_hash": "8899cd95ab29bf86",
        "parameters": [0.0625, 0.00012426632603025788, 1.298884929439002e-09, 0.06666666666666667],
        "log_evidence": [-74.26678423652493, -74.19225856170945],
        "log_predictive": [-75.13934360465107, -74.55381663967559],
    },
    ("grammar", "null"): {
        "version": 1,
        "spec_hash": "17c6ddb1c5dd4b51",
        "parameters": [0.0625, 0.531666471669426, 1.298884929439002e-09, 0.06666666666666667],
        "log_evidence": [-81.71908005041001, -75.87476947894146],
        "log_predictive": [-77.1558549420171, -80.40219036560079],
    },
}


def fingerprint(name: str, preset: str) -> dict:
    """A few parameters and log-probabilities of fixed documents (the word at t of row b is 7 b + 3 t + t^2 mod V)."""
    world = make_world(name, preset, seed=0)
    t, row = torch.arange(world.L), torch.arange(2)[:, None]
    d1 = (7 * row + 3 * t + t**2) % world.V
    d2 = d1.flip(0).roll(1, 1)
    return {
        "version": world.version,
        "spec_hash": world.spec_hash,
        "parameters": [float(values.flatten()[-5 % values.numel()]) for values in world.parameters().values()],
        "log_evidence": exact.log_evidence(world, d1).tolist(),
        "log_predictive": exact.log_predictive(world, d2, d1).tolist(),
    }


@pytest.mark.parametrize("name, preset", sorted(GOLDEN))
def test_law_is_that_of_the_version(name, preset):
    found, stored = fingerprint(name, preset), GOLDEN[name, preset]
    for key, value in stored.items():
        expected = pytest.approx(value, rel=1e-9, abs=0) if isinstance(value, list) else value
        assert found[key] == expected, f"{name} {preset}: the law changed ({key}); raise the world's version"
