"""The cases of `sbp bench` compute what they should; the table of winners decides what runs."""

import json

import numpy as np
import pytest
import torch

from sbp_bayes import bench, cli, kernels
from sbp_bayes.bench_cases import cases
from sbp_bayes.bench_timing import Measured, call, measure
from sbp_bayes.errors import UserError
from sbp_bayes.kernels import winners

CASES = [case.name for case in cases(tiny=True)]


def tensors(values):
    for value in values if isinstance(values, list | tuple) else [values]:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, np.ndarray):
            yield torch.from_numpy(value.view(np.int64))
        elif isinstance(value, list):
            yield from tensors(value)


@pytest.mark.interpreter
@pytest.mark.parametrize("name", CASES)
def test_kernel_and_plain_form_of_a_case_agree(name):
    case = next(case for case in cases(tiny=True) if case.name == name)
    found = []
    for mode in ("on", "off"):
        inputs = case.inputs("cpu")
        with kernels.forced(mode):
            results = call(case.function, inputs, case.learnt)()
        found.append(list(tensors(inputs if results is None else results)))
    assert len(found[0]) > len(case.learnt)
    for ours, plain in zip(*found, strict=True):
        assert ours.dtype == plain.dtype
        torch.testing.assert_close(ours, plain, rtol=3e-2, atol=3e-2)


def test_every_kernel_has_a_case():
    from sbp_bayes.kernels.compilation import kernel_modules

    written = {module.__name__.rpartition(".")[2] for module in kernel_modules()}
    assert written == {case.kernel for case in cases()}


def test_nothing_is_measured_without_a_device():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert measure(lambda: 1) == Measured(None, None, "no CUDA device")


FAST, SLOW, BROKEN = Measured(1.0, 100.0), Measured(2.0, 100.0), Measured(note="out of memory")


@pytest.mark.parametrize(
    "kernel, eager, compiled, expected",
    [
        (FAST, SLOW, SLOW, True),
        (FAST, FAST, FAST, True),
        (SLOW, SLOW, FAST, False),
        (SLOW, FAST, SLOW, False),
        (FAST, BROKEN, BROKEN, True),
        (BROKEN, SLOW, SLOW, False),
        (Measured(1.0, 150.0), SLOW, SLOW, False),
        (Measured(1.0, 150.0), Measured(2.0, None), BROKEN, True),
    ],
)
def test_a_kernel_wins_by_time_and_memory(kernel, eager, compiled, expected):
    assert bench.wins({"kernel": kernel, "eager": eager, "compile": compiled}) is expected


def test_a_kernel_must_win_every_case_and_the_table_says_why_not():
    first, second, *_ = (case for case in cases() if case.kernel == "linear_cross_entropy")
    other = next(case for case in cases() if case.kernel == "swiglu")
    better = {"kernel": FAST, "eager": SLOW, "compile": BROKEN}
    worse = {"kernel": SLOW, "eager": SLOW, "compile": FAST}
    rows = [bench.as_row(first, better), bench.as_row(second, worse), bench.as_row(other, better)]
    assert bench.winners_among(rows) == ["swiglu"]
    lines = bench.row_lines(rows)
    assert "1.000 ms (100 MiB)" in lines[1] and "out of memory" in lines[1] and lines[1].endswith("wins")
    assert not lines[2].endswith("wins")


def test_the_table_of_winners(tmp_path):
    path, entry = tmp_path / "kernels.json", winners.entry_name("Some GPU")
    assert torch.__version__ in entry and "triton" in entry
    assert winners.read_winners(path, entry) == frozenset()
    winners.store_winners(path, "other", ["rms_norm"], [])
    winners.store_winners(path, entry, ["swiglu", "adamw"], [{"kernel": "swiglu"}])
    assert winners.read_winners(path, entry) == {"swiglu", "adamw"}
    assert winners.read_winners(path, "other") == {"rms_norm"}
    winners.check_table(path)
    assert winners.read_winners(path, entry) == {"swiglu", "adamw"}


@pytest.mark.parametrize(
    "table",
    [
        [],
        None,
        5,
        {"GPU": []},
        {"GPU": {"won": []}},
        {"GPU": {"winners": "swiglu"}},
        {"GPU": {"winners": [["swiglu"]]}},
    ],
)
def test_a_damaged_table_is_one_line_that_says_what_to_do(tmp_path, table):
    path = tmp_path / "kernels.json"
    path.write_text(json.dumps(table))
    for use in (
        lambda: winners.read_winners(path, "A"),
        lambda: winners.read_winners(path, "another"),
        lambda: winners.store_winners(path, "another", ["swiglu"], []),
        lambda: winners.check_table(path),
    ):
        with pytest.raises(UserError, match=r"kernels.json: expected .*; delete it and run sbp bench again$"):
            use()
    assert json.loads(path.read_text()) == table


@pytest.fixture
def measured(monkeypatch):
    """A GPU as far as `bench` asks for one; what it would be asked to measure, counted."""
    asked = []
    row = bench.as_row(next(cases()), {"kernel": FAST, "eager": SLOW, "compile": SLOW})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Some GPU")
    monkeypatch.setattr(bench, "measured_rows", lambda: asked.append(1) or [row])
    return asked


def test_a_table_that_cannot_be_written_is_found_out_before_measuring(tmp_path, measured):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged.json").write_text("[]")
    for path in (tmp_path / "file" / "kernels.json", tmp_path / "folder", tmp_path / "damaged.json"):
        with pytest.raises(UserError, match=str(path)):
            next(bench.bench(path, compiled=False))
    assert not measured


def test_rows_are_shown_before_they_are_stored(tmp_path, measured):
    path = tmp_path / "kernels.json"
    entry, header, row, last = bench.bench(path, compiled=False)
    assert measured == [1] and "Some GPU" in entry and row.endswith("wins") and "linear_cross_entropy (" in last
    assert winners.read_winners(path, entry) == {"linear_cross_entropy"}
    lines = bench.bench(path, compiled=False)
    shown = [next(lines) for _ in range(3)]
    path.unlink()
    path.mkdir()  # the disk fails in the meantime
    with pytest.raises(UserError, match=r"kernels\.json"):
        next(lines)
    assert shown == [entry, header, row]


def test_where_the_table_is(tmp_path, monkeypatch):
    monkeypatch.delenv("SBP_BAYES_KERNEL_TABLE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert winners.table_path() == tmp_path / "sbp-bayes" / "kernels.json"
    monkeypatch.setenv("SBP_BAYES_KERNEL_TABLE", "elsewhere.json")
    assert str(winners.table_path()) == "elsewhere.json"


class OnGpu:
    """As much of a tensor on a GPU as `serve` asks for."""

    is_cuda = True

    def get_device(self):
        return 0


def test_the_table_decides_and_modes_override_it(monkeypatch):
    monkeypatch.setattr(winners, "winners", lambda device: frozenset({"swiglu"}))
    monkeypatch.setattr(kernels, "MODE", "auto")
    assert kernels.serve("swiglu", OnGpu())
    assert not kernels.serve("rms_norm", OnGpu())
    assert kernels.serve("rms_norm", OnGpu(), required=True)
    with kernels.forced("off"):
        assert not kernels.serve("swiglu", OnGpu(), required=True)
    with kernels.forced("on"):
        assert kernels.serve("rms_norm", OnGpu())
        assert not kernels.serve("swiglu", torch.zeros(1)), "kernels can't run on a CPU"
    assert kernels.MODE == "auto"


def test_a_compiled_function_reads_the_table_once(monkeypatch):
    monkeypatch.setattr(winners, "winners", lambda device: frozenset({"swiglu"}))

    @torch.compile(fullgraph=True, backend="eager")
    def chosen(x):
        return x + 1 if kernels._wins("swiglu", 0) else x - 1

    assert chosen(torch.zeros(1)) == 1
    monkeypatch.setattr(winners, "winners", lambda device: frozenset())
    assert chosen(torch.zeros(1)) == 1


def test_command_without_a_device(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert cli.main(["bench", "--no-compiled", "--table", str(tmp_path / "table.json")]) == 0
    assert capsys.readouterr().out == "no CUDA device: nothing timed; a GPU without measurements runs plain PyTorch\n"
    assert not (tmp_path / "table.json").exists()
