"""The command `sbp validate`: is this synthesizer exact Bayes? Puts the predictions to it and prints the verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from sbp_bayes.errors import UserError

if TYPE_CHECKING:
    from analysis.predictions.over_seeds import Verdict
    from synthetic_worlds.world import World


@dataclass(frozen=True)
class ValidateArguments:
    """Put the predictions of the Bayesian reading to a synthesizer; print a verdict on each, refuted ones first.

    Of a finished run its own synthesizers are judged, every seed in its own world, and the table goes into its report.
    Findings that are stored are not computed again, and a stopped command goes on where it was. --exact judges exact
    Bayes itself, which must not be refuted; --wrong a synthesizer that is wrong in a known way, which shows what each
    prediction catches.

    SUPPORTED: the quantity is within its margin, fixed beforehand in analysis/predictions/margins.toml. REFUTED: it is
    outside. INCONCLUSIVE: too few documents or seeds to tell. docs/predictions.md explains all sixteen. The exit code
    is 1 where anything was refuted.

    Examples: sbp validate runs/demo; sbp validate --exact bow --preset hard; sbp validate --wrong MAP --world hmm;
    sbp validate --wrong static-mixture --world bow --pairs-wrong 0.3
    """

    run: tyro.conf.Positional[Path | None] = None
    """A finished run's folder, for example runs/demo; a run or a sweep."""
    exact: str | None = None
    """World to judge exact Bayes in: bow, hmm, style, ... (sbp worlds lists them)."""
    wrong: str | None = None
    """Kind of wrong synthesizer to judge in --world: prior, MAP, tempered-0.7, tempered-1.3, copying, label-swapped,
    style-leaking, static-mixture, adaptive-noise, unconditional."""
    world: str | None = None
    """The world of --wrong."""
    preset: str | None = None
    """How ambiguous the world's documents are: easy, medium (where there are presets the default), hard, null."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """DIAL=NUMBER of the world, as often as needed: --set length=32."""
    documents: int = 2048
    """Documents to judge a known synthesizer on."""
    seed: int = 0
    """Seed of its world and of all draws."""
    pairs_wrong: float = 0.0
    """Share of wrong pairs among those that a known synthesizer should have learnt from."""
    pairs_copied: float = 0.0
    """Share of them whose d2 is a copy of d1."""
    pairs_same_style: float = 0.0
    """Share of them in one style, in worlds that have styles."""


def validate(arguments: list[str]) -> int:
    """Put the sixteen predictions to a run's synthesizer, to exact Bayes or to a wrong one; verdicts, refuted first."""
    parsed = tyro.cli(ValidateArguments, prog="sbp validate", args=arguments)
    chosen = [name for name in ("run", "exact", "wrong") if getattr(parsed, name) is not None]
    if len(chosen) != 1:
        raise UserError(
            "sbp validate: expected one of RUN, --exact WORLD, --wrong KIND --world WORLD (--help explains)"
        )
    if (parsed.world is None) == (chosen == ["wrong"]):
        raise UserError(f"--world {parsed.world}: --wrong takes a world, and only --wrong does")
    if parsed.run:
        _check_of_run_only(parsed)
    found = _of_run(parsed.run) if parsed.run else _of_known(parsed)
    from analysis.predictions.over_seeds import deciding, refuted_first
    from analysis.predictions.verdict import REFUTED

    # Of a sweep's hundreds of quantities the terminal shows those that decide; the report has them all.
    _show(refuted_first(deciding(found) if any(row.cell for row in found) else found))
    if parsed.run:
        print(f"report: {parsed.run / 'report.html'}")
    return int(any(row.verdict == REFUTED for row in found))


def _check_of_run_only(parsed: ValidateArguments) -> None:
    """Raises UserError for an option that only a known synthesizer has: a run has its own world and documents."""
    for field in fields(parsed):
        value = getattr(parsed, field.name)
        if field.name != "run" and value != field.default:
            option = "--" + field.name.replace("_", "-")
            raise UserError(f"{option}: a run is judged as it was made; expected with --exact and --wrong only")


def _of_run(run: Path) -> list["Verdict"]:
    """Judge what has not been judged, write the report again, and return all verdicts of the run."""
    from analysis.predictions.finished_run import judge_run
    from analysis.predictions.over_seeds import VERDICTS, read_verdicts
    from sbp_bayes.files import read_json
    from sbp_bayes.run import CELLS, COMPLETE, report

    if not (run / COMPLETE).exists():
        raise UserError(f"{run}: not a finished run (no {COMPLETE}); sbp run makes one")
    folders = [run / "cells" / cell for cell in read_json(run / CELLS)] if (run / CELLS).exists() else [run]
    if any([judge_run(folder) for folder in folders]) or not (run / VERDICTS).exists():
        report(run)
    return read_verdicts(run)


def _of_known(parsed: ValidateArguments) -> list["Verdict"]:
    """The verdicts on exact Bayes or on a wrong synthesizer, on fresh documents of its world."""
    from analysis.pair_law_synthesizer import PairLawSynthesizer
    from analysis.predictions.evaluator import judge_aloud
    from analysis.predictions.over_seeds import Place, family
    from analysis.predictions.subject import known_subject
    from analysis.synthesizers import ExactSynthesizer
    from analysis.wrong_synthesizers import make_wrong
    from synthetic_worlds.pair_sampling import PairSampling

    world = _world(parsed.exact or parsed.world, parsed)
    if parsed.documents < 64:
        raise UserError(f"--documents {parsed.documents}: expected 64 or more")
    pairs = PairSampling(parsed.pairs_wrong, parsed.pairs_copied, shared_style=parsed.pairs_same_style)
    pairs.check(world)
    if parsed.wrong:
        synthesizer = make_wrong(parsed.wrong, world)
    elif pairs == PairSampling():
        synthesizer = ExactSynthesizer(world)
    else:
        synthesizer = PairLawSynthesizer(world, pairs)
    # The law of a pair takes one document to go by; the others take any number.
    conditioning = 1 if isinstance(synthesizer, PairLawSynthesizer) else 3
    subject = known_subject(synthesizer, world, parsed.documents, parsed.seed, pairs, conditioning)
    findings = judge_aloud(subject, f"{world.name} seed {parsed.seed}")
    return family(findings, [Place([world.name], [parsed.seed])] * len(findings))


def _world(name: str, parsed: ValidateArguments) -> "World":
    """The world called ``name`` with the preset and dials asked for. Raises UserError where it has no tokens."""
    from synthetic_worlds.catalogue import make_world, world_class
    from synthetic_worlds.narration import Narration
    from synthetic_worlds.world import World

    dials = {}
    for setting in parsed.set:
        dial, _, value = setting.partition("=")
        try:
            dials[dial] = float(value)
        except ValueError:
            raise UserError(f"--set {setting}: expected DIAL=NUMBER, for example length=32") from None
    preset = parsed.preset or ("medium" if "medium" in world_class(name).PRESETS else None)
    world = make_world(name, preset, parsed.seed, **dials)
    if not isinstance(world, World) or isinstance(world, Narration):
        raise UserError(f"world {name}: the predictions take worlds of tokens; expected bow, hmm, style, ...")
    return world


def _show(rows: Sequence["Verdict"]) -> None:
    """Two lines a quantity on standard output, for people: what is to be said of it, and the numbers."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    subjects = list(dict.fromkeys(row.subject for row in rows))
    for row in rows:
        place = f"{row.cell}: " if row.cell else ""
        whose = f" of {row.subject}" if len(subjects) > 1 else ""
        interval = f" [{_number(row.low)}, {_number(row.high)}]" if row.low is not None else ""
        table.add_row(row.verdict, f"{place}{row.prediction} {row.title}: {row.quantity}{whose}. {row.sentence}")
        estimate = f"{_number(row.estimate)}{interval} {row.unit}" if row.n else "no number"
        table.add_row("", f"{estimate}; exact Bayes {_number(row.null)}, margin {row.margin:.3g} ({row.test})")
    console.print(table)
    found = [row.verdict for row in rows]
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in dict.fromkeys(found))
    worlds = list(dict.fromkeys(row.world for row in rows))
    where = ", ".join(worlds) if len(worlds) < 4 else f"{len(worlds)} worlds"
    documents, seeds = max(row.n for row in rows), max(len(row.seeds) for row in rows)
    console.print(
        f"{', '.join(subjects)} in {where}: {counts}; in brackets 90 % intervals, "
        f"at most {documents:,} documents, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    )


def _number(value: float | None) -> str:
    if value is None:
        return "infinite"
    return "0" if abs(value) < 1e-12 else f"{value:.3g}"
