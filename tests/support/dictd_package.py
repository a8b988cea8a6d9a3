"""A Debian package of a dictionary in dictd's format, made by hand."""

import gzip
import io
import string
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def dictd_package(path: Path, name: str, blocks: Sequence[tuple[str, str]]) -> Path:
    """blocks: (headword, its text). The second entry has a second headword, ``beaker``."""
    text, index = b"", []
    for word, block in blocks:
        index.append(f"{word}\t{_number(len(text))}\t{_number(len(block.encode()))}")
        text += block.encode()
    index.append("beaker" + index[1][index[1].index("\t") :])
    files = {f"{name}.index": "\n".join(index).encode(), f"{name}.dict.dz": gzip.compress(text)}
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n".encode()
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _archive({"./control": control}),
        "data.tar.gz": _archive({f"./usr/share/dictd/{file}": data for file, data in files.items()}),
    }
    deb = b"!<arch>\n"
    for member, data in members.items():
        deb += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        deb += data + b"\n" * (len(data) % 2)
    path.write_bytes(deb)
    return path


def _number(value: int) -> str:
    return (_number(value // 64) if value >= 64 else "") + DIGITS[value % 64]


def _archive(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()
