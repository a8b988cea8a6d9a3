"""The command `sbp worlds`: list the worlds, explain and draw one, check the stored figures."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthetic_worlds.dials import WorldError
from synthetic_worlds.stored import over_seeds, stored_worlds

FIGURES = (("H(c|d1)", "H_c_given_d1"), ("I(c;d1)", "I_c_d1"), ("I(d1;d2)", "I_d1_d2"))

EPILOG = """\
A world is a process whose latent concepts are known: concept c ~ prior, documents d ~ P(d | c). Documents that share
their concept are related, and every question about them has an exact answer. Three figures say what a world is like:
  H(c|d1)    nats left to know of the concept after one document; as a share of H(c): 0 where one document
             identifies its concept, 100 % where it says nothing. Claims are worth testing between 20 and 80 %.
             A continuous concept has none; instead 1 - I(d1;d2)/I(c;d1), what d1 leaves out of what the concept tells
  I(c;d1)    nats that one document says of the concept
  I(d1;d2)   nats that one document says of a related one: what ignoring d1 costs a synthesizer, nats a document

examples:
  sbp worlds                                       all worlds and presets
  sbp worlds hmm                                   explain the concept HMM, draw it at its medium preset
  sbp worlds bow --preset hard --set length=32     change a dial: figures are computed afresh
  sbp worlds bow --check                           measure the stored figures again

in an experiment:  [corpus.world]  name = "bow"  preset = "medium"  overlap = 0.5
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every command does, instead of printing the usage."""

    def error(self, message: str) -> None:
        raise WorldError(f"{message}; sbp worlds --help explains")


def worlds(arguments: list[str]) -> int:
    """List the synthetic worlds with their information figures; explain, draw and check one.

    Returns the exit code: 0, or 1 where a stored figure disagrees with a new measurement. Raises WorldError for
    an unknown world, preset, dial or option.
    """
    parser = _Parser(
        prog="sbp worlds",
        description="List the synthetic worlds with their information figures; explain, draw and check one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="the world to explain; without it all are listed")
    parser.add_argument("--preset", default=None, help="easy, medium (default), hard or null")
    parser.add_argument("--set", action="append", default=[], metavar="DIAL=VALUE", help="change a dial; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world's parameters (default 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/worlds"), help="folder for the picture (runs/worlds)")
    parser.add_argument("--check", action="store_true", help="measure the stored figures of NAME again and compare")
    parser.add_argument("--store", action="store_true", help="for maintainers: measure NAME's presets and store them")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:  # --help has been printed
        return int(stop.code or 0)
    if options.name is None:
        if options.check or options.store or options.set or options.preset:
            raise WorldError("sbp worlds: expected the name of a world before its options")
        return _list()
    with _one_thread():
        if options.store:
            return _store(options.name)
        return _check(options.name) if options.check else _explain(options)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The matrices of a world are small: threads cost several times what they give, the more so on busy cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _list() -> int:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("world", "preset", "dials"):
        table.add_column(heading, overflow="fold")
    for heading in ("open", *(symbol for symbol, _ in FIGURES)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, world in stored_worlds().items():
        presets = [entry["dials"] for entry in world["presets"].values()]
        varying = [dial for dial in presets[0] if len({dials[dial] for dials in presets}) > 1]
        for preset, entry in world["presets"].items():
            dials = ", ".join(f"{dial} {entry['dials'][dial]:g}" for dial in varying)
            figures = [over_seeds(entry, field) for _, field in FIGURES]
            share = f"{100 * over_seeds(entry, 'ambiguity').mean:.0f} %"
            table.add_row(name, preset, dials, share, *("–" if figure is None else str(figure) for figure in figures))
        table.add_section()
    console = Console()
    console.print(table)
    console.print(
        "Nats a document, mean ± standard deviation over five world seeds (each draws its own parameters). open: "
        "H(c|d1)/H(c), the share of the concept that one document leaves open; where the concept is continuous, "
        "1 - I(d1;d2)/I(c;d1)."
    )
    console.print("Next: [bold]sbp worlds NAME[/bold] explains and draws one; [bold]sbp worlds --help[/bold].")
    return 0


def _explain(options: argparse.Namespace) -> int:
    import torch

    from synthetic_worlds.catalogue import make_world, world_class
    from synthetic_worlds.draw import draw_world
    from synthetic_worlds.exact import information

    preset = options.preset or ("medium" if "medium" in world_class(options.name).PRESETS else None)
    world = make_world(options.name, preset, options.seed, **dict(map(_setting, options.set)))
    print(f"{world.description()}\n")
    figures = information(world, world.figure_pairs, torch.Generator().manual_seed(0))
    print(
        f"Figures of this world (seed {options.seed}), exact densities averaged over {figures.n:,} pairs of documents:"
    )
    rows = (
        ("H(c|d1)", figures.H_c_given_d1, figures.H_c_given_d1_se, "left to know of the concept after one document"),
        ("I(c;d1)", figures.I_c_d1, figures.I_c_d1_se, "that one document says of the concept"),
        ("I(d1;d2)", figures.I_d1_d2, figures.I_d1_d2_se, "that it says of a related document"),
    )
    finite = not math.isnan(figures.H_c)
    for symbol, estimate, error, meaning in rows if finite else rows[1:]:
        print(f"  {symbol:<9}= {estimate:7.4f} ± {error:.4f} nats  {meaning}")
    share = f"{100 * figures.ambiguity:.0f} %"
    if finite:
        print(f"  of H(c) = {figures.H_c:.4f} nats; H(c|d1) is {share} of it")
    else:
        print(f"  the concept is continuous; {share} of what it would tell of d2 is left out by d1")
    stem = "-".join([world.name, preset or "given", *options.set, f"seed{options.seed}"])
    for path in draw_world(world, figures, options.out / stem):
        print(f"picture: {path}")
    return 0


def _setting(text: str) -> tuple[str, float]:
    dial, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        raise WorldError(f"--set {text}: expected DIAL=NUMBER, e.g. overlap=0.8") from None
    return dial.strip(), int(number) if number.is_integer() else number


def _check(name: str) -> int:
    from synthetic_worlds.catalogue import world_class
    from synthetic_worlds.measure import check

    world_class(name)
    comparisons = check(name)
    for row in comparisons:
        verdict = "ok" if row.agrees else "DISAGREES"
        figures = f"stored {row.stored:9.6f}  measured {row.measured:9.6f}  {row.distance:+5.1f} se"
        print(f"{name} {row.preset:<7} seed {row.seed}  {row.field:<12} {figures}  {verdict}")
    wrong = sum(not row.agrees for row in comparisons)
    print(f"{len(comparisons) - wrong} of {len(comparisons)} figures agree within 4 standard errors")
    return 1 if wrong else 0


def _store(name: str) -> int:
    from synthetic_worlds.measure import store
    from synthetic_worlds.stored import PATH

    store(name)
    print(f"stored: {PATH}")
    return 0
