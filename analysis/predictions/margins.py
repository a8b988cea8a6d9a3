"""The margins of all predictions, from margins.toml: fixed there, with reasons, before any synthesizer was trained."""

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files

from sbp_bayes.errors import UserError

TESTS = ("equal", "at most", "at least")
FLAGS = ("relative", "control")


@dataclass(frozen=True)
class Margin:
    """How far from exact Bayes still counts as equal, in ``unit``, by which test, and why.

    relative: whether it is a share of what exact Bayes has instead, for quantities that are small in some worlds.
    control: whether every synthesizer lies within it, by the quantity's definition, so that this supports nothing.
    """

    margin: float
    test: str
    unit: str
    reason: str
    relative: bool = False
    control: bool = False

    def around(self, null: float) -> float:
        """The margin in ``unit`` where exact Bayes has ``null``."""
        return self.margin * abs(null) if self.relative else self.margin

    def __str__(self) -> str:
        return f"{self.margin:g}{' of exact' if self.relative else ''}"


@functools.cache
def margins() -> dict[str, dict[str, Margin]]:
    """Prediction -> quantity -> margin. Raises UserError for a key that is wrong or missing."""
    text = files("analysis.predictions").joinpath("margins.toml").read_text(encoding="utf-8")
    return {
        prediction: {quantity: _margin(f"margins.toml: {prediction}.{quantity}", row) for quantity, row in rows.items()}
        for prediction, rows in tomllib.loads(text).items()
    }


def margin(prediction: str, quantity: str) -> Margin:
    """The margin of one quantity. Raises UserError where margins.toml has none: nothing is judged without one."""
    found = margins().get(prediction, {}).get(quantity)
    if found is None:
        raise UserError(f'margins.toml: expected a table [{prediction}."{quantity}"]')
    return found


def only_a_control(prediction: str, quantity: str) -> bool:
    """Whether the quantity supports nothing whatever was measured; False where margins.toml does not know it."""
    found = margins().get(prediction, {}).get(quantity)
    return found is not None and found.control


def _margin(key: str, row: dict) -> Margin:
    if set(row) - set(FLAGS) != {"margin", "test", "unit", "reason"}:
        raise UserError(f"{key}: has {', '.join(sorted(row))}; expected margin, reason, test, unit")
    if not isinstance(row["margin"], float) or not row["margin"] > 0:
        raise UserError(f"{key}.margin = {row['margin']!r}: expected a number above 0")
    for flag in FLAGS:
        if not isinstance(row.get(flag, False), bool):
            raise UserError(f"{key}.{flag} = {row[flag]!r}: expected true or false")
    if row["test"] not in TESTS:
        raise UserError(f"{key}.test = {row['test']!r}: expected one of {', '.join(TESTS)}")
    return Margin(**row)
