"""Sweeps: one experiment file, many cells.

A table ``[sweep.NAME]`` repeats keys of the experiment with lists of values; every combination of them is a cell, an
experiment of its own. A key with one value is the same in all cells of its table. Several tables are several blocks of
cells, so that a grid and single cells beside it can stand in one file.
"""

import copy
import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sbp_bayes.errors import UserError
from sbp_bayes.experiment import ExperimentConfig, default_of, experiment_from

EXPERIMENT_KEYS = {field.name for field in dataclasses.fields(ExperimentConfig)}
LARGEST = 10_000  # cells: more than that in one file is a slip of the pen


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep.

    name: block and values, fit for a folder; block: the table's name; values: key -> value of every key the block sets.
    """

    name: str
    block: str
    values: dict[str, Any]
    config: ExperimentConfig


def cells_of(table: Mapping[str, Any], name: str) -> list[Cell]:
    """The cells of an experiment's tables, block after block, the last key varying fastest.

    Raises UserError for a block that is no table, a list without values, a cell that is no valid experiment (its name
    is said), two cells of one name, and a sweep without cells.
    """
    blocks = table.get("sweep")
    if not isinstance(blocks, Mapping) or not blocks:
        raise UserError("sweep: expected tables [sweep.NAME] of keys with lists of values")
    shared = {key: value for key, value in table.items() if key != "sweep"}
    cells: list[Cell] = []
    for block, keys in blocks.items():
        if not isinstance(keys, Mapping):
            raise UserError(f"sweep.{block}: expected a table [sweep.{block}] of keys with lists of values")
        if block in EXPERIMENT_KEYS:
            raise UserError(
                f"sweep.{block}: a block has a name first, as in [sweep.grid] with {block}. ... = [...] below"
            )
        axes = dict(_axes(keys, ""))
        for key, values in axes.items():
            if not values:
                raise UserError(f"sweep.{block}.{key} = []: expected at least one value")
        count = 1
        for values in axes.values():
            count *= len(values)
        if len(cells) + count > LARGEST:
            raise UserError(f"sweep.{block}: {len(cells) + count} cells; expected at most {LARGEST}")
        for combination in itertools.product(*axes.values()):
            values = dict(zip(axes, combination, strict=True))
            label = _label(block, {key: value for key, value in values.items() if len(axes[key]) > 1})
            try:
                config = experiment_from(_with(shared, {**values, "name": name}))
            except UserError as error:
                raise UserError(f"sweep cell {label}: {error}") from error
            cells.append(Cell(label, block, values, config))
    names = [cell.name for cell in cells]
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        raise UserError(f"sweep: two cells are called {doubled[0]}; give the keys distinct values")
    return cells


def _axes(keys: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list]]:
    """(key, values) of nested tables: a list holds the key's values, unless the key itself takes a list, whose values
    are then lists in a list."""
    for name, value in keys.items():
        path = prefix + name
        if isinstance(value, Mapping):
            yield from _axes(value, f"{path}.")
        elif isinstance(default_of(path), list):
            yield (
                path,
                value if isinstance(value, list) and all(isinstance(v, list) for v in value) and value else [value],
            )
        else:
            yield path, value if isinstance(value, list) else [value]


def _with(table: Mapping[str, Any], values: Mapping[str, Any]) -> dict:
    """``table`` with the dotted keys of ``values`` set; nothing is changed in place."""
    result = copy.deepcopy(dict(table))
    for path, value in values.items():
        *parents, last = path.split(".")
        at = result
        for name in parents:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise UserError(f"{path}: {name} is a value, not a table")
        at[last] = value
    return result


def _label(block: str, varied: Mapping[str, Any]) -> str:
    """The block and the varied values, in characters fit for a folder's name."""
    return "-".join(re.sub(r"[^A-Za-z0-9_.+-]+", "_", str(value)).strip("_") for value in (block, *varied.values()))
