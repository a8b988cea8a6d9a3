"""`sbp figures`: redraw every figure from result tables (entry point group ``sbp_bayes.commands``)."""

import subprocess
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

import tyro

NO_RESULTS = "no results yet"


class FiguresError(ValueError):
    """What was asked for can't be done; one line."""

    bad_input = True  # what the command line answers with one line and exit code 2


@dataclass(frozen=True)
class FiguresArguments:
    """Redraw every figure of the paper at toy scale, and those that only a known world allows.

    Figures are drawn from committed result tables, in minutes and without any model: NAME.svg, NAME.pdf, NAME.txt (its
    caption) and index.html with all of them. One whose results are missing is listed with the command that makes them.
    """

    out: Path = Path("figures")
    """Folder to write."""
    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A figure's name, as often as needed; by default all."""
    rerun: bool = False
    """First run the experiments that the figures need (hours on two cores; they resume), and renew their tables."""
    tables: Path = Path("experiments/results")
    """Folder of result tables."""
    experiments: Path = Path("experiments")
    """Folder of experiment files, for --rerun."""
    runs: Path = Path("runs")
    """Folder of runs, for --rerun."""


def figures(arguments: list[str]) -> int:
    """Redraw the paper's figures, and more, from committed result tables."""
    parsed = tyro.cli(FiguresArguments, prog="sbp figures", args=arguments)
    from paper_figs.figures.catalogue import FIGURES

    unknown = [name for name in parsed.only if name not in FIGURES]
    if unknown:
        raise FiguresError(f"--only {unknown[0]}: no such figure; there are {', '.join(FIGURES)}")
    names = [name for name in FIGURES if not parsed.only or name in parsed.only]
    if parsed.rerun:
        experiments = dict.fromkeys(FIGURES[name].experiment for name in names)
        _rerun([experiment for experiment in experiments if experiment], parsed)
    if not parsed.tables.is_dir():
        raise FiguresError(
            f"--tables {parsed.tables}: no such folder; expected result tables, one folder an experiment"
        )
    _draw(names, parsed.tables, parsed.out)
    return 0


def _rerun(experiments: list[str], parsed: FiguresArguments) -> None:
    """Run the experiments in processes of their own, one after the other, and collect their tables."""
    from paper_figs.figures.collect import collect

    files = {experiment: parsed.experiments / f"{experiment}.toml" for experiment in experiments}
    for file in files.values():
        if not file.exists():
            raise FiguresError(f"{file}: no such experiment file; --experiments names their folder")
    for experiment, file in files.items():
        command = [sys.executable, "-m", "sbp_bayes.cli", "run", str(file), "--out", str(parsed.runs)]
        done = subprocess.run(command)
        if done.returncode:
            raise FiguresError(f"sbp run {file}: ended with exit code {done.returncode}; the same command continues")
        collect(parsed.runs / experiment, parsed.tables / experiment)


def _draw(names: list[str], tables: Path, out: Path) -> None:
    """Draw into ``out``, write index.html, and say what was drawn and what has no results."""
    from paper_figs import page
    from paper_figs.figures.catalogue import FIGURES
    from paper_figs.figures.vector_files import save

    out.mkdir(parents=True, exist_ok=True)
    body, section, missing = ["<h1>Figures</h1>"], "", 0
    for name in names:
        entry = FIGURES[name]
        if entry.section != section:
            section = entry.section
            body.append(f"<h2>{escape(section)}</h2>")
        body.append(f"<h3>{escape(entry.title)}</h3>")
        drawn, caption = entry.drawing.draw(tables), entry.drawing.caption(tables)
        if drawn is None or caption is None:
            missing += 1
            line = f"{NO_RESULTS}: sbp run experiments/{entry.experiment}.toml"
            body.append(f'<p class="warning">{escape(line)}</p>')
            for kind in ("svg", "pdf", "txt"):  # of an earlier call: they show what the tables no longer hold
                (out / f"{name}.{kind}").unlink(missing_ok=True)
            print(f"  {name:<24}{line}")
            continue
        body.append(page.inline_figure(save(drawn, out, name), caption))
        (out / f"{name}.txt").write_text(f"{caption}\n", encoding="utf-8")
        print(f"  {name:<24}{caption.partition('. ')[0].rstrip('.')}.")
    (out / "index.html").write_text(page.page("Figures", body), encoding="utf-8")
    print(f"{len(names) - missing} of {len(names)} figures in {out}; open {out / 'index.html'}")
