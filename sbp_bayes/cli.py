"""The command line: `sbp run`, `sbp report`, `sbp export`, `sbp bench`, and the commands that other packages register.

A command is a function ``(arguments: list[str]) -> int`` whose docstring's first line is its help; packages add
theirs through the entry point group ``sbp_bayes.commands``. Nothing heavy is imported before a command needs it.
"""

import contextlib
import errno
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import tyro

from sbp_bayes import __version__, plugins
from sbp_bayes.errors import UserError
from sbp_bayes.fetch_command import fetch
from sbp_bayes.synthesis.commands import serve, synthesize

GROUP = "sbp_bayes.commands"
# What the file system may answer to good code: bad input of a kind, not a defect.
FILE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@dataclass(frozen=True)
class RunArguments:
    """Run an experiment, or continue it where it was stopped.

    A finished stage is never run again, so the same command continues a killed run, and a finished run answers at
    once. Two experiments share the stages that they have in common. The run ends in report.html, figures first.
    """

    experiment: tyro.conf.Positional[Path]
    """The experiment's TOML file, for example experiments/demo.toml."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """KEY=VALUE, as often as needed: --set corpus.world.overlap=0.8 --set 'seeds=[0,1]'."""
    out: Path = Path("runs")
    """Folder of runs; the results go to OUT/NAME, the stages that runs share to OUT/stages."""
    workers: int = 0
    """Processes at once; 0: one a core, at most 8, and one on a GPU."""
    threads: int = 1
    """Threads of each process."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    fresh: bool = False
    """Make finished stages again where the code has changed since."""


@dataclass(frozen=True)
class ReportArguments:
    """Draw the figures and write report.html of a finished run again."""

    run: tyro.conf.Positional[Path]
    """The run's folder, for example runs/demo."""


@dataclass(frozen=True)
class ExportArguments:
    """Write a model of a finished run as a Hugging Face folder (Qwen3), for transformers, vLLM and others.

    The folder holds config.json, generation_config.json, model.safetensors, tokenizer.json and tokenizer_config.json.
    Every sequence begins with bos, which the exported tokenizer adds; a synthesizer writes d2 after the prompt
    d1<|sbp_sep|>, as in: vllm serve DIR, or AutoModelForCausalLM.from_pretrained("DIR"). See docs/hugging-face.md.
    """

    run: tyro.conf.Positional[Path]
    """The run's folder, for example runs/demo, or the --out of a launch (sbp_bayes.training.launch)."""
    out: Path
    """Folder to write, new or empty."""
    model: str | None = None
    """base, synthesizer, "synthesizer random-pairs", or "arm NAME", by default "arm sbp"; a name that the run lacks
    lists those it has. A launch has one model."""
    seed: int | None = None
    """Which of the run's seeds; by default the first."""
    checkpoint: Literal["best", "final"] = "best"
    """best: lowest loss on held-out documents (for a synthesizer: pairs); final: where training ended."""


@dataclass(frozen=True)
class BenchArguments:
    """Time every kernel on this machine's GPU against eager PyTorch and torch.compile, and turn on those that win.

    The winners go to a table that every later run on the same GPU and versions reads; without one kernels are off.
    SBP_BAYES_KERNELS=on or off overrides it. Then what every kernel compiles to for A100 and H100, which needs no GPU.
    """

    table: Path | None = None
    """The table; by default $SBP_BAYES_KERNEL_TABLE, or kernels.json in ~/.cache/sbp-bayes."""
    compiled: bool = True
    """Also compile every kernel and show registers, spills, shared memory and tensor-core instructions."""


def run(arguments: list[str]) -> int:
    """Run an experiment from its TOML file, or continue it; ends in a report."""
    from sbp_bayes.run import Machine, run_experiment

    if any(argument in ("-h", "--help") for argument in arguments):
        with contextlib.suppress(SystemExit):
            tyro.cli(RunArguments, prog="sbp run", args=arguments)
        print(_run_help())
        return 0
    parsed = tyro.cli(RunArguments, prog="sbp run", args=arguments)
    machine = Machine(parsed.out, parsed.workers, parsed.threads, parsed.device, parsed.fresh)
    _show(run_experiment(parsed.experiment, parsed.set, machine))
    return 0


def report(arguments: list[str]) -> int:
    """Draw the figures and write report.html of a finished run again."""
    from sbp_bayes.run import report as write_again

    parsed = tyro.cli(ReportArguments, prog="sbp report", args=arguments)
    write_again(parsed.run)
    _show(parsed.run)
    return 0


def export(arguments: list[str]) -> int:
    """Write a model of a finished run as a Hugging Face folder (Qwen3)."""
    parsed = tyro.cli(ExportArguments, prog="sbp export", args=arguments)
    from sbp_bayes.export import export_run

    model, exported = export_run(parsed.run, parsed.seed, parsed.model, parsed.checkpoint, parsed.out)
    print(f"{parsed.out}: {model}, {exported.parameters_count:,} parameters; docs/hugging-face.md says how to open it")
    return 0


def bench(arguments: list[str]) -> int:
    """Time the kernels on this machine's GPU and turn on those that win."""
    parsed = tyro.cli(BenchArguments, prog="sbp bench", args=arguments)
    if find_spec("triton") is None:
        raise UserError("sbp bench: needs Triton, which isn't installed (Linux only)")
    from sbp_bayes.bench import bench as lines

    for line in lines(parsed.table, parsed.compiled):
        print(line)
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": run,
    "report": report,
    "export": export,
    "fetch": fetch,
    "synthesize": synthesize,
    "serve": serve,
    "bench": bench,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input is one line and exit code 2, Ctrl-C says how to go on and is exit code 130."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(_overview())
            return 0 if arguments else 2
        if arguments[0] == "--version":
            print(__version__)
            return 0
        return _command(arguments[0])(arguments[1:])
    except BrokenPipeError:
        return 141
    except OSError as error:
        if error.errno not in FILE_ERRORS:
            raise
        # What fails while a file is written, such as on a full disk, comes without the file's name.
        place = f"{error.filename}: " if error.filename else ""
        print(f"sbp: {place}{error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsbp: stopped; finished stages are kept, the same command continues", file=sys.stderr)
        return 130
    except Exception as error:
        if not getattr(error, "bad_input", False):
            raise
        print(f"sbp: {error}", file=sys.stderr)
        return 2


def _command(name: str) -> Callable[[list[str]], int]:
    if name in COMMANDS:
        return COMMANDS[name]
    if name not in plugins.names(GROUP):
        raise UserError(f'unknown command "{name}"; there are {", ".join([*COMMANDS, *plugins.names(GROUP)])}')
    return plugins.load(GROUP, name)


def _overview() -> str:
    commands = [(name, function) for name, function in COMMANDS.items()]
    commands += [(name, plugins.load(GROUP, name)) for name in plugins.names(GROUP)]
    lines = [f"  {name:<10} {(inspect.getdoc(function) or '').splitlines()[0]}" for name, function in commands]
    return "\n".join(
        [
            "usage: sbp COMMAND [ARGUMENTS]; sbp COMMAND --help explains one",
            "",
            "Synthetic bootstrapped pretraining, measured against exact Bayes.",
            "",
            *lines,
            "",
            "To begin: sbp run experiments/demo.toml, then open the report it names.",
        ]
    )


def _run_help() -> str:
    """What `sbp run --help` prints after the options: every key of an experiment file."""
    from sbp_bayes.arms import ARMS
    from sbp_bayes.experiment import describe_keys

    keys = [f"  {name:<30} {default!s:<12} {meaning}" for name, default, meaning in describe_keys()]
    arms = [f"  {name:<20} {arm.meaning}" for name, arm in ARMS.items()]
    sources = ", ".join(plugins.names("sbp_bayes.sources"))
    return "\n".join(
        [
            "",
            "An experiment is a TOML file; three lines are enough:",
            "  [corpus.world]",
            '  name = "bow"',
            '  preset = "medium"',
            "",
            f"Sources of documents, one table [corpus.SOURCE]: {sources}. corpus.path = FOLDER reads one's own text.",
            "",
            "Arms:",
            *arms,
            "",
            "Keys, defaults, meaning:",
            *keys,
        ]
    )


def _show(run: Path) -> None:
    """The headline of a finished run, and where its report is."""
    headline = run / "headline.txt"
    if headline.exists():
        print(headline.read_text(encoding="utf-8").rstrip())
    print(f"report: {run / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
