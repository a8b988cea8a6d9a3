"""The table of kernels that win, by GPU and versions: written by ``sbp bench``, read by `sbp_bayes.kernels.serve`.

A JSON file at $SBP_BAYES_KERNEL_TABLE, by default kernels.json in the cache folder (~/.cache/sbp-bayes):

    {"NVIDIA H200 | torch 2.13.0 | triton 3.7.1": {"winners": ["swiglu"], "rows": [... what was measured ...]}}
"""

import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from sbp_bayes.documents.fetch import cache_folder
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json


def table_path() -> Path:
    """Where the table is or would be."""
    named = os.environ.get("SBP_BAYES_KERNEL_TABLE")
    return Path(named) if named else cache_folder() / "kernels.json"


def entry_name(device_name: str) -> str:
    """The key of a GPU under the versions that are installed: a kernel that won under others may lose under these."""
    return f"{device_name} | torch {torch.__version__} | triton {version('triton')}"


def read_table(path: Path) -> dict[str, dict]:
    """All entries by their names; none where there is no table. UserError for a damaged one."""
    table = read_json(path) if path.exists() else {}
    if not isinstance(table, dict) or not all(map(_is_entry, table.values())):
        raise UserError(
            f'{path}: expected {{"GPU | torch ... | triton ...": {{"winners": ["NAME", ...]}}, ...}}; '
            "delete it and run sbp bench again"
        )
    return table


def read_winners(path: Path, entry: str) -> frozenset[str]:
    """Names of the kernels that won; none where the table or the entry is missing. UserError for a damaged table."""
    return frozenset(read_table(path).get(entry, {"winners": []})["winners"])


def store_winners(path: Path, entry: str, winners: list[str], rows: list[dict]) -> None:
    """Put one GPU's measurements in the table, in place of older ones; other entries stay."""
    write_json(path, read_table(path) | {entry: {"winners": sorted(winners), "rows": rows}})


def check_table(path: Path) -> None:
    """Raise UserError where the table is damaged or can't be written, found out by writing it as it is."""
    write_json(path, read_table(path))


def _is_entry(value: object) -> bool:
    names = value.get("winners") if isinstance(value, dict) else None
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


@cache
def winners(device: int) -> frozenset[str]:
    """Kernels that win on CUDA device ``device``. Read once a process."""
    return read_winners(table_path(), entry_name(torch.cuda.get_device_name(device)))
