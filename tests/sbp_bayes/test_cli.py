import subprocess
import sys

import pytest

from sbp_bayes import cli


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "unknown command"),
        (["run", "absent.toml"], "absent.toml"),
        (["report", "absent"], "not a finished run"),
        (["worlds", "nonsense"], "unknown world"),
        (["worlds", "bow", "--set", "overlap=2"], "overlap=2"),
        (["worlds", "bow", "--preset", "soft"], "soft"),
        (["worlds", "bow", "--seed", "x"], "seed"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, monkeypatch, tmp_path, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("sbp: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def full(arguments: list[str]) -> int:
        with open("/dev/full", "w") as file:
            file.write("x")
        return 0

    monkeypatch.setitem(cli.COMMANDS, "full", full)
    assert cli.main(["full"]) == 2
    assert capsys.readouterr().err == "sbp: No space left on device\n"


def test_a_defect_is_not_passed_off_as_bad_input(monkeypatch):
    def broken(arguments: list[str]) -> int:
        raise ValueError("a defect")

    monkeypatch.setitem(cli.COMMANDS, "broken", broken)
    with pytest.raises(ValueError, match="a defect"):
        cli.main(["broken"])


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def stopped(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "stopped", stopped)
    assert cli.main(["stopped"]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_help_names_every_command_and_imports_no_torch(capsys):
    assert cli.main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(f"\n  {name} " in overview for name in ("run", "report", "export", "worlds"))
    script = "import sys, sbp_bayes.cli as cli; cli.main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def test_run_help_lists_keys_arms_and_sources(capsys):
    assert cli.main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    assert "pairing.alpha" in text and "random-pairs" in text and "lexicon" in text
