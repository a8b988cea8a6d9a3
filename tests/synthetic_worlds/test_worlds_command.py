"""`sbp worlds`: lists without torch, explains, draws, checks, and says in one line what is wrong."""

import subprocess
import sys

import pytest

from synthetic_worlds.catalogue import WORLDS
from synthetic_worlds.commands import worlds
from synthetic_worlds.dials import WorldError


def test_listing_shows_every_preset_and_needs_no_torch():
    code = "import sys; from synthetic_worlds.commands import worlds; worlds([]); sys.exit('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    rows = [line.split()[:2] for line in shown.stdout.splitlines()]
    for world in WORLDS:
        assert all([world, preset] in rows for preset in ("easy", "medium", "hard", "null"))
    assert shown.stdout.count("I(d1;d2)") == 2


def test_help_teaches(capsys):
    assert worlds(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "I(d1;d2)" in shown and "sbp worlds bow --preset hard" in shown and "--check" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["bow"],
        ["hmm", "--preset", "easy", "--set", "length=6", "--seed", "2"],
        ["style", "--set", "styles=1"],
        ["tree", "--set", "branching=1"],
        ["grammar", "--set", "length=6"],
    ],
)
def test_explains_and_draws(arguments, tmp_path, capsys):
    assert worlds([*arguments, "--out", str(tmp_path / "pictures")]) == 0
    shown = capsys.readouterr().out
    assert "H(c|d1)" in shown and "overlap =" in shown and "nats" in shown
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.suffix for path in pictures] == [".png", ".svg"] and all(str(path) in shown for path in pictures)
    assert pictures[0].read_bytes()[:4] == b"\x89PNG" and pictures[0].stat().st_size > 20_000
    if "--set" in arguments:
        assert arguments[arguments.index("--set") + 1].replace("=", " = ") in shown


def test_check_reports_each_figure(capsys):
    assert worlds(["--check", "bow"]) == 0
    assert "40 of 40 figures agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["bag"], "unknown world 'bag'"),
        (["bow", "--preset", "simple"], "no preset 'simple'"),
        (["bow", "--set", "overlap"], "--set overlap: expected DIAL=NUMBER"),
        (["bow", "--set", "overlap=high"], "expected DIAL=NUMBER"),
        (["bow", "--set", "overlap=7"], "expected a number from 0 to 1"),
        (["bow", "--seed", "x"], "invalid int value"),
        (["bow", "--colour"], "unrecognized arguments"),
        (["--check"], "expected the name of a world"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(WorldError, match=message) as caught:
        worlds(arguments)
    assert "\n" not in str(caught.value)
