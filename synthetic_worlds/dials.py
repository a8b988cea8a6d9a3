"""Dials: the named settings of a world, each declared once with its range and meaning."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class WorldError(ValueError):
    """A wrong world, preset, dial or document; the message is one line that names it and what was expected."""

    bad_input = True  # what the command line answers with one line and exit code 2 (`sbp_bayes.errors`)


@dataclass(frozen=True)
class Dial:
    """One setting of a world: a number in ``[low, high]``, whole where ``default`` is an ``int``."""

    name: str
    default: float
    low: float
    high: float
    meaning: str

    def check(self, value: float) -> float:
        """``value`` as this dial's type; WorldError where it is not a number in range."""
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        expected = f"expected {kind} from {self.low:g} to {self.high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise WorldError(f"dial {self.name}={value!r}: {expected}")
        if not self.low <= value <= self.high or (isinstance(self.default, int) and value != int(value)):
            raise WorldError(f"dial {self.name}={value:g}: {expected}")
        return type(self.default)(value)


def resolve_dials(owner: str, dials: Sequence[Dial], settings: Mapping[str, float]) -> dict[str, float]:
    """Every dial's value, in the order declared: ``settings`` over the defaults.

    Raises WorldError for a name that ``owner`` (a world's name) does not have and for a value out of range.
    """
    for name in settings:
        if name not in {dial.name for dial in dials}:
            raise WorldError(f"world {owner} has no dial {name!r}; it has {', '.join(dial.name for dial in dials)}")
    return {dial.name: dial.check(settings.get(dial.name, dial.default)) for dial in dials}
