"""A corpus folder from files by the tasks of `sbp_bayes.engines.corpus_shards`, and what has to be known over all.

What is not a task: telling copies (a sort of 32 bytes a document), training a tokenizer, and writing the folder.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.corpus import Corpus, refuse_foreign, write_corpus
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.spill import Spill
from sbp_bayes.documents.text_files import Columns, common_folder
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.documents.tokenizer_choice import TokenizerSettings, make_tokenizer, with_pinned_file
from sbp_bayes.engines.corpus_shards import (
    DOCUMENTS,
    DROPPED,
    CleanFile,
    TokeniseFile,
    find_copies,
    merge_dropped,
)
from sbp_bayes.engines.options import Engine
from sbp_bayes.engines.run import run_tasks
from sbp_bayes.errors import UserError
from sbp_bayes.files import content_hash, exclusive, read_json, write_array, write_json

DESCRIPTION = "source.json"
SHARD_ROWS = 1 << 16  # documents of one Parquet part


def build_corpus(
    files: Sequence[Path],
    columns: Columns,
    paragraphs: bool,
    clean: CleanSettings,
    tokenizer: TokenizerSettings,
    out: Path,
    engine: Engine,
    replace: bool = False,
) -> dict | None:
    """Read, clean and tokenise ``files`` into the corpus folder ``out``; a corpus that is there already is answered.

    Another corpus that is there, of other files or settings, is a UserError; ``replace`` removes it, folder and all.

    Returns its counts: documents, tokens, and of those left out how many for which reason; None where Slurm has the
    tasks and the call has to be made again. clean: all but near-duplicates. UserError for bad input, of all tasks.
    """
    assert not clean.near_duplicates
    work = out.absolute().with_name(f"{out.name}.work")
    root, tokenizer = common_folder(files), with_pinned_file(tokenizer)
    cleaning = [
        CleanFile(i, file.absolute(), _content(file), root, columns, paragraphs, clean, work)
        for i, file in enumerate(files)
    ]
    described = [[str(task.file), task.content] for task in cleaning], columns, paragraphs, clean, tokenizer
    identity = content_hash(described)
    there = read_json(out / DESCRIPTION) if (out / DESCRIPTION).exists() else {}
    if there.get("identity") == identity:
        return there["counts"]
    refuse_foreign(out)
    # Without a description, and with work beside it, it is this command's own, killed before its last step.
    if (out / "corpus.json").exists() and (there or not work.exists()) and not replace:
        raise UserError(
            f"{out}: holds another corpus (of other files, or with other settings); --replace removes it, with all "
            "that lies in the folder"
        )
    with exclusive(work / ".whole", f"corpus {out}"):
        if not run_tasks(cleaning, work, engine, "clean"):
            return None
        with Dropped(work / DROPPED) as dropped:
            merge_dropped([task.folder / DROPPED for task in cleaning], dropped)
            kept = find_copies(cleaning, clean.on_bad, dropped)
            rules = _tokenizer(tokenizer, cleaning, kept, work / f"tokenizer-{identity}")
            tokenising = [
                TokeniseFile(task.number, *_save(rows, work / "kept" / f"{task.number:05d}.npy", rules), clean, work)
                for task, rows in zip(cleaning, kept, strict=True)
            ]
            if not run_tasks(tokenising, work, engine, "tokenise"):
                return None
            merge_dropped([task.dropped for task in tokenising], dropped)
        written = write_corpus(out, _tables([task.file for task in tokenising]), load_tokenizer(rules))
        return _describe(written, work, rules, {"identity": identity, "files": len(files), "settings": clean}, dropped)


def _content(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _tokenizer(settings: TokenizerSettings, tasks: Sequence[CleanFile], kept: list[np.ndarray], folder: Path) -> Path:
    """The folder of the tokenizer, made unless an earlier call has."""
    if not folder.exists():
        texts = (
            text
            for task, rows in zip(tasks, kept, strict=True)
            for batch in Spill(task.folder / DOCUMENTS).texts(rows)
            for text in batch
        )
        partial = folder.with_suffix(".partial")
        make_tokenizer(settings, texts).save(partial)
        partial.rename(folder)
    return folder


def _save(rows: np.ndarray, file: Path, tokenizer: Path) -> tuple[Path, str, Path]:
    """Write the rows that a file keeps; returns the file, what names the task, and the tokenizer's folder."""
    write_array(file, rows)
    return file, _digest(rows), tokenizer


def _digest(rows: np.ndarray) -> str:
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(rows))


def _tables(files: Sequence[Path]) -> Iterator[pa.Table]:
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(SHARD_ROWS):
                yield pa.Table.from_batches([batch])


def _describe(corpus: Corpus, work: Path, tokenizer: Path, about: dict, dropped: Dropped) -> dict:
    """Put tokenizer, dropped.parquet and source.json, the last, into the corpus folder, and remove the work."""
    shutil.copytree(tokenizer, corpus.folder / "tokenizer", dirs_exist_ok=True)
    shutil.copy(work / DROPPED, corpus.folder / DROPPED)
    counts = {"documents": len(corpus), "tokens": int(corpus.lengths.sum()), "left out": dict(dropped.counts)}
    write_json(corpus.folder / DESCRIPTION, {**about, "counts": counts})
    _remove(work)
    return counts


def _remove(work: Path) -> None:
    """Remove the work, under another name: a kill on the way leaves no markers of tasks whose files are gone."""
    gone = work.with_name(f"{work.name}.done")
    shutil.rmtree(gone, ignore_errors=True)
    if work.exists():
        work.rename(gone)
        shutil.rmtree(gone)
