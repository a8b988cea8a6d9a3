"""Plugins: objects that packages offer to the pipeline under entry-point groups such as ``sbp_bayes.sources``.

A package declares ``[project.entry-points."sbp_bayes.sources"] mine = "my_package:MySource"``; nothing here changes.
Nothing is imported before it is asked for by name.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sbp_bayes.errors import UserError

GROUPS_OF_RESULTS = ("sources", "embedders", "synthesizers", "evaluators", "reporters", "sweep_reporters")


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def names(group: str) -> list[str]:
    """The names that are offered in ``group``, sorted."""
    return sorted(_group(group))


def load(group: str, name: str) -> Any:
    """The object behind ``name``; a UserError lists the names that exist, or says which import failed."""
    points = _group(group)
    if name not in points:
        known = ", ".join(names(group)) or "none is installed"
        raise UserError(f"{name!r} is no plugin of {group} (there are: {known})")
    point = points[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"plugin {name!r} of {group} ({point.value}) could not be loaded: {error}") from error


def package_folders() -> list[Path]:
    """The folders of the packages that offer plugins to the pipeline, found without importing them."""
    groups = [group for group in entry_points().groups if group.startswith("sbp_bayes.")]
    modules = {point.module.partition(".")[0] for group in groups for point in _group(group).values()}
    specs = [find_spec(module) for module in sorted(modules)]
    return [Path(spec.origin).parent for spec in specs if spec is not None and spec.origin]


def version(group: str, name: str) -> str:
    """The version of the package that offers ``name``: part of what identifies a stage that the plugin computes."""
    if name not in _group(group):
        load(group, name)
    dist = _group(group)[name].dist
    return f"{dist.name} {dist.version}" if dist else "unknown"


def versions() -> dict[str, str]:
    """``GROUP NAME`` -> package and version of every plugin that can have a hand in results."""
    groups = [f"sbp_bayes.{group}" for group in GROUPS_OF_RESULTS]
    return {f"{group} {name}": version(group, name) for group in groups for name in names(group)}
