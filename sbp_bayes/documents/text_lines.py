"""Lines of text files, plain or compressed, in bounded memory; a line that is too long or cut off is told, not read.

Compression is Arrow's: .gz (of several members too), .zst.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

BLOCK = 1 << 20
LONGEST = 64 << 20
"""Bytes of one line, or of one .txt document: what is longer is a mistake in the file, and would fill the memory."""


@dataclass(frozen=True)
class Unreadable:
    """What could not be read; ``message`` names the file and the line or row, and says why."""

    message: str


def read_lines(file: Path, longest: int = LONGEST) -> Iterator[tuple[int, bytes] | Unreadable]:
    """Line numbers from 1 and lines without their end, of a file that may be compressed; memory O(longest).

    A line over ``longest`` bytes is Unreadable and the next one follows; where the file itself breaks off (truncated
    or corrupt compression, an error of the disk), an Unreadable is the last thing that comes.
    """
    number, parts, size = 1, [], 0
    try:
        if file.suffix in (".gz", ".zst") and not file.stat().st_size:
            raise OSError("0 bytes, a compressed file has more")
        with pa.input_stream(str(file), compression="detect") as stream:
            while block := stream.read(BLOCK):
                *ends, rest = block.split(b"\n")
                for end in ends:
                    size += len(end)
                    if size > longest:
                        yield Unreadable(f"{file}: line {number} has {size:,} bytes, at most {longest:,} are read")
                    else:
                        yield number, b"".join([*parts, end])
                    number, parts, size = number + 1, [], 0
                size += len(rest)
                parts = [*parts, rest] if size <= longest else []
    except (OSError, pa.ArrowException) as error:
        yield Unreadable(f"{file}: could not be read beyond line {number - 1} ({first_line(error)})")
        return
    if size > longest:
        yield Unreadable(f"{file}: line {number} has {size:,} bytes, at most {longest:,} are read")
    elif size:
        yield number, b"".join(parts)


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
