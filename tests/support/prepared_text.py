"""The splits of a source that is read, as tables in memory."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.prepare import prepare
from sbp_bayes.documents.sources import ReadSource, SplitSizes


@dataclass(frozen=True)
class Cleaned:
    """splits: split -> its documents; dropped: what was left out; statistics: counts."""

    splits: dict[str, pa.Table]
    dropped: pa.Table
    statistics: dict[str, int]


def cleaned(source: ReadSource, sizes: SplitSizes, seed: int = 0, by_concept: bool | None = None, **clean) -> Cleaned:
    """What `prepare` makes of ``source``; keywords are keys of [corpus.clean]."""
    by_concept = source.has_concepts if by_concept is None else by_concept
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Dropped(folder / "dropped.parquet") as dropped:
            settings = CleanSettings(**clean)
            found = prepare(source.read(), source.name, settings, by_concept, sizes, seed, dropped, folder)
            splits = {split: pa.concat_tables(found.shards(split)) for split in found.rows}
        return Cleaned(splits, pq.read_table(folder / "dropped.parquet"), found.statistics)
