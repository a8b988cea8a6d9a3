"""How a config key is declared: its default, what it means, which values it takes."""

from dataclasses import field
from typing import Any


def key(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    among: tuple = (),
    added: bool = False,
    place: bool = False,
) -> Any:
    """A dataclass field; `sbp_bayes.experiment` checks values against ``low``, ``high`` and ``among``.

    added: the key came after there were finished stages, and its default is what the code did before. At the default it
    is left out of a stage's identity, so that those stages stay finished. Set it on every new key of that kind.
    place: the key says where or how fast a stage is done, not what it does; it is never part of a stage's identity.
    """
    metadata = {"help": help, "low": low, "high": high, "among": among, "added": added, "place": place}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
