"""Reads Debian packages without installing them, and the descriptions of all packages as apt knows them."""

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa

from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.documents.text_lines import first_line
from sbp_bayes.errors import UserError

TIMEOUT_SECONDS = 600
DESCRIPTION = "Description-en: "


def open_package(package: Path) -> tarfile.TarFile:
    """The files of a .deb, as an archive in memory; UserError for anything else."""
    try:
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True)
    except FileNotFoundError as error:
        raise UserError(f"{package}: dpkg-deb, which opens it, is not installed") from error
    if done.returncode:
        raise UserError(f"{package}: not a Debian package ({done.stderr.decode(errors='replace').strip()})")
    return tarfile.open(fileobj=BytesIO(done.stdout))


def fetch_descriptions(target: Path) -> None:
    """Write the English descriptions of all packages of the system's archives to ``target``, fetched anew.

    By apt-get, into a folder of its own, so that the system's lists stay as they are; apt checks them against the
    archives' signatures. They change with every release of the archive, so no hash can be pinned. UserError without
    apt-get or a network.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        lists = Path(name) / "lists"
        (lists / "partial").mkdir(parents=True)
        options = ["-qq", "-o", "Acquire::Languages=en", "-o", f"Dir::State::lists={lists}"]
        options += ["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"]
        try:
            done = subprocess.run(
                ["apt-get", *options, "update"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
            )
        except FileNotFoundError as error:
            raise UserError("descriptions of Debian's packages: apt-get is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise UserError(f"descriptions of Debian's packages: no answer in {TIMEOUT_SECONDS} s") from error
        files = sorted(lists.glob("*_Translation-en*"))
        if not files:
            said = (done.stderr.strip().splitlines() or ["apt-get gave none"])[-1]
            raise UserError(f"descriptions of Debian's packages: {said[:160]}")
        target.write_bytes(b"\n".join(_unpacked(file) for file in files))


def _unpacked(file: Path) -> bytes:
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            return stream.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file.name}: could not be read ({first_line(error)})") from error


def read_descriptions(file: Path) -> Iterator[TextDocument]:
    """One document a package: its name, its short description, and the paragraphs of the long one."""
    seen: set[str] = set()
    for stanza in file.read_text(encoding="utf-8").split("\n\n"):
        head, found, description = stanza.partition(DESCRIPTION)
        name = next((line[9:] for line in head.splitlines() if line.startswith("Package: ")), None)
        if not found or name is None or name in seen:
            continue
        seen.add(name)
        short, *lines = description.splitlines()
        long = "\n".join("" if line == " ." else line.removeprefix(" ") for line in lines)
        yield TextDocument(name, f"{name}: {short}\n{long}".strip(), "debian", None)
