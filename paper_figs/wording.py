"""Numbers in words, the same everywhere."""

from collections.abc import Sequence


def nats(value: float | None) -> str:
    """Three significant figures; no estimate is written as a dash, and what rounding left of a zero as 0."""
    if value is None:
        return "–"
    if abs(value) < 1e-12:
        return "0"
    return f"{value:.3g}".replace("-", "−") if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as a whole percentage."""
    return "–" if value is None else f"{100 * value:.0f} %".replace("-", "−")


def interval(row: dict | None, write=percent) -> str:
    """``62 % [51 %, 70 %]``; without bounds the estimate alone."""
    if row is None or row["estimate"] is None:
        return "–"
    if row["low"] is None or row["high"] is None:
        return write(row["estimate"])
    return f"{write(row['estimate'])} [{write(row['low'])}, {write(row['high'])}]"


def count(n: int, thing: str) -> str:
    """``1 seed``, ``2,048 documents``."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def about(n: float) -> str:
    """A large number to two significant figures: ``2k``, ``8.2k``, ``130k``, ``980``."""
    rounded = float(f"{n:.2g}")
    return f"{rounded:g}" if rounded < 1000 else f"{rounded / 1000:,g}k"


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
