"""How often pairs share their concept, and how many documents find a partner, against alpha, for each embedder.

Reads pairs.json of folders of pairs; writes a picture and a table (entry point group ``sbp_bayes.pairs_reporters``).
"""

import csv
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paper_figs import style
from paper_figs.run_files import RunFileError, read_pairs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "precision-against-alpha"
FEWEST = 30  # pairs that a precision is drawn from
COLUMNS = ("alpha", "pairs", "near_duplicates", "share_with_partner", "precision", "top1_precision")
COLUMNS_OF_LEGEND = 3
LOOKS = (
    style.Look(style.BLUE, "-", "o"),
    style.Look(style.VERMILLION, (0, (5, 1.5)), "s"),
    style.Look(style.GREEN, (0, (2, 1)), "^"),
    style.Look(style.PURPLE, (0, (1, 1)), "D"),
    style.Look(style.ORANGE, (0, (4, 1.2, 1, 1.2)), "v"),
)


def write_precision(folders: Sequence[Path], out: Path) -> None:
    """Write the table, and the picture where concepts are known, into ``out``; say where they are."""
    found = _labelled(folders)
    _write_table(found, out / f"{NAME}.csv")
    written = [f"{NAME}.csv"]
    drawn = draw(found)
    if drawn is not None:
        style.save(drawn, out, NAME)
        written += [f"{NAME}.svg", f"{NAME}.png"]
    print(f"{out}: {', '.join(written)}")


@style.styled
def draw(found: dict[str, dict]) -> "Figure | None":
    """Three panels: precision and share of documents with a partner against alpha, and one against the other.

    found: name -> pairs.json. None where no set of pairs has concepts.
    """
    known = {name: pairs for name, pairs in found.items() if pairs["precision"] is not None}
    if not known:
        return None
    drawn, (precision, share, both) = style.figure(2.4 + 0.2 * math.ceil(len(known) / COLUMNS_OF_LEGEND), 1, 3)
    for look, (name, pairs) in zip(_looks(len(known)), known.items(), strict=True):
        rows = [row for row in pairs["by_alpha"] if row["pairs"] >= FEWEST]
        line = {"color": look.color, "ls": look.dash, "lw": 1.4}
        alphas, shares = [row["alpha"] for row in rows], [100 * row["share_with_partner"] for row in rows]
        precisions = [100 * row["precision"] for row in rows]
        precision.plot(alphas, precisions, label=name, **line)
        share.plot(alphas, shares, **line)
        both.plot(shares, precisions, **line)
        ends = {"color": look.color, "marker": look.marker, "ms": 4.5, "ls": ""}
        precision.plot(alphas[::5], precisions[::5], **ends)
        share.plot(alphas[::5], shares[::5], **ends)
        both.plot(shares[::5], precisions[::5], **ends)
    # Below this no embedder's threshold drops a pair.
    lowest = min(
        max(r["alpha"] for r in p["by_alpha"] if r["pairs"] == p["by_alpha"][0]["pairs"]) for p in known.values()
    )
    of_alpha = {"xlabel": "alpha (cosine)", "xlim": (lowest - 0.05, 1), "ylim": (0, 102)}
    precision.set(ylabel="pairs that share concept (%)", **of_alpha)
    share.set(ylabel="documents with partner (%)", **of_alpha)
    both.set(xlabel="documents with partner (%)", ylabel="pairs that share concept (%)", xlim=(0, 102), ylim=(0, 102))
    drawn.legend(loc="outside upper center", ncols=min(COLUMNS_OF_LEGEND, len(known)), handlelength=2.6)
    return drawn


def _labelled(folders: Sequence[Path]) -> dict[str, dict]:
    """Embedder -> pairs.json; the folder's name where two embedders are the same."""
    read = [(folder, read_pairs(folder)) for folder in folders]
    for folder, pairs in read:
        if "by_alpha" not in pairs:
            raise RunFileError(f"{folder / 'pairs.json'}: has no table by alpha; expected pairs by similarity")
    names = [_name(pairs["embedder"]) for _, pairs in read]
    labels = [n if names.count(n) == 1 else f"{n} ({folder.name})" for n, (folder, _) in zip(names, read, strict=True)]
    return {label: pairs for label, (_, pairs) in zip(labels, read, strict=True)}


def _name(embedder: dict) -> str:
    layer = f", block {embedder['layer']}" if "layer" in embedder else ""
    return embedder["embedder"] + layer + (", whitened" if embedder.get("whiten") else "")


def _write_table(found: dict[str, dict], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("embedder", *COLUMNS))
        for label, pairs in found.items():
            table.writerows((label, *(row[column] for column in COLUMNS)) for row in pairs["by_alpha"])
    os.chmod(name, 0o644)
    os.replace(name, path)


def _looks(count: int) -> list[style.Look]:
    return [LOOKS[i % len(LOOKS)] for i in range(count)]
