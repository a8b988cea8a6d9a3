import dataclasses
import shutil

import pytest
from tiny_lexicon import tiny_packages

from analysis.tasks import catalogue
from sbp_bayes.documents import fetch
from sbp_bayes.files import file_hash


@pytest.fixture
def tiny_cache(tmp_path, monkeypatch):
    """The tasks' packages are tiny ones, fetched already; FOLDOC and the Jargon File can't be had."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = tiny_packages(tmp_path / "packages")
    for name, task in catalogue.TASKS.items():
        parts = {}
        for part, (package, *_) in task.packages.items():
            if part in files:
                package = dataclasses.replace(package, sha256=file_hash(files[part]))
                place = fetch._cached(package)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(files[part], place)
            else:
                package = dataclasses.replace(package, tool="npm", name=f"no-such-{part}")
            parts[part] = (package,)
        monkeypatch.setitem(catalogue.TASKS, name, dataclasses.replace(task, packages=parts))
    monkeypatch.setenv("PATH", "")
