"""How a config key is declared: its default, what it means, which values it takes."""

from dataclasses import field
from typing import Any


def key(default: Any, help: str, low: float | None = None, high: float | None = None, among: tuple = ()) -> Any:
    """A dataclass field; `sbp_bayes.experiment` checks values against ``low``, ``high`` and ``among``."""
    metadata = {"help": help, "low": low, "high": high, "among": among}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
