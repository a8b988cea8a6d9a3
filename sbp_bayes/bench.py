"""`sbp bench`: what each kernel gains on this machine's GPU, and which are turned on there.

Each operation runs as its kernel, as plain PyTorch and under torch.compile, gradients included. A kernel wins where, in
each of its cases, it is as fast as the faster of the other two and takes no more memory than the smaller.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from sbp_bayes import kernels
from sbp_bayes.bench_cases import BenchCase, cases
from sbp_bayes.bench_timing import Measured, call, measure
from sbp_bayes.kernels.compilation import ARCHITECTURES, all_cases, compile_kernel, table
from sbp_bayes.kernels.winners import check_table, entry_name, store_winners, table_path
from sbp_bayes.progress import Progress

SLACK = 1.01  # of memory: allocators round


def bench(path: Path | None = None, compiled: bool = True) -> Iterator[str]:
    """Measure where there is a CUDA device, store the winners in the table at ``path``, and yield lines of a report.

    path: None for `sbp_bayes.kernels.winners.table_path`; compiled: also what each kernel compiles to. Raises UserError
    before anything is measured where the table is damaged or can't be written.
    """
    path = path or table_path()
    if torch.cuda.is_available():
        check_table(path)
        rows = measured_rows()
        won = winners_among(rows)
        entry = entry_name(torch.cuda.get_device_name())
        yield from (entry, *row_lines(rows))
        store_winners(path, entry, won, rows)
        yield f"kernels that win and are on from now: {', '.join(won) or 'none'} ({path})"
    else:
        yield "no CUDA device: nothing timed; a GPU without measurements runs plain PyTorch"
    if compiled:
        yield "compiled without a GPU (registers a thread; spills and shared memory in bytes):"
        yield from table(compile_rows())


def measured_rows() -> list[dict]:
    """One row a case: milliseconds and MiB of each form, and whether the kernel wins."""
    every = list(cases())
    rows = []
    with Progress("bench", len(every), "cases") as progress:
        for case in every:
            forms = {name: measure_form(case, name) for name in ("kernel", "eager", "compile")}
            rows.append(as_row(case, forms))
            progress.advance(1)
    return rows


def measure_form(case: BenchCase, form: str) -> Measured:
    """Measure one form of an operation: "kernel", "eager" or "compile"."""
    if case.on_host and form == "compile":
        return Measured(note="runs on the host")
    function = torch.compile(case.function, dynamic=False) if form == "compile" else case.function
    with kernels.forced("on" if form == "kernel" else "off"):
        found = measure(call(function, case.inputs("cuda"), case.learnt))
    return replace(found, mib=None) if case.on_host and form == "eager" else found


def as_row(case: BenchCase, forms: dict[str, Measured]) -> dict:
    """Plain values of one case."""
    row = {"kernel": case.kernel, "size": case.size, "wins": wins(forms)}
    for name, found in forms.items():
        row |= {f"{name}_ms": found.ms, f"{name}_mib": found.mib}
        if found.note:
            row[f"{name}_note"] = found.note
    return row


def wins(forms: dict[str, Measured]) -> bool:
    """As fast as the faster of the other forms, in no more memory; a form that can't run loses."""
    ours, others = forms["kernel"], [form for name, form in forms.items() if name != "kernel" and form.ms is not None]
    if ours.ms is None:
        return False
    fast = all(ours.ms <= other.ms for other in others)
    return fast and all(other.mib is None or ours.mib <= SLACK * other.mib + 1 for other in others)


def winners_among(rows: list[dict]) -> list[str]:
    """Kernels that win in every case they have."""
    names = dict.fromkeys(row["kernel"] for row in rows)
    return [name for name in names if all(row["wins"] for row in rows if row["kernel"] == name)]


def row_lines(rows: list[dict]) -> list[str]:
    """A plain-text table of `as_row`s, milliseconds (MiB); what could not run says why."""
    header = ("kernel", "size", "kernel", "eager", "torch.compile", "")
    cells = [header]
    for row in rows:
        forms = [_cell(row, name) for name in ("kernel", "eager", "compile")]
        cells.append((row["kernel"], row["size"], *forms, "wins" if row["wins"] else ""))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def compile_rows() -> list[dict]:
    """Every configuration of every kernel, compiled for sm_80 and sm_90: `Compiled.row`s."""
    every = [(case, arch) for case in all_cases() for arch in ARCHITECTURES]
    rows = []
    with Progress("compile kernels", len(every), "configurations") as progress:
        for case, arch in every:
            rows.append(compile_kernel(case.kernel, case.arguments, arch).row)
            progress.advance(1)
    return rows


def _cell(row: dict, name: str) -> str:
    if row[f"{name}_ms"] is None:
        return row.get(f"{name}_note", "")
    memory = "host" if row[f"{name}_mib"] is None else f"{row[f'{name}_mib']:,.0f} MiB"
    return f"{row[f'{name}_ms']:.3f} ms ({memory})"
