"""Reads a task's items; `sbp tasks` copies this file beside them, so that the folder can be moved."""

import json
from pathlib import Path


def load(file: str, **_):
    """The items of ``file`` as lm-evaluation-harness wants them: one split, ``test``."""
    from datasets import Dataset, DatasetDict

    lines = (Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()
    return DatasetDict({"test": Dataset.from_list([json.loads(line) for line in lines])})
