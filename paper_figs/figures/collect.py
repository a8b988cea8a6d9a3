"""A finished run as a small result table that can be committed: what figures read and nothing else."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from paper_figs import names
from paper_figs.figures.result_tables import COMPUTE
from paper_figs.run_files import (
    read_cells,
    read_examples,
    read_experiment,
    read_json_file,
    read_metrics,
    read_pictures,
    read_provenance,
    read_results,
)

DIGITS = 6  # of every number: far finer than what seeds leave open
LEFT_OUT = (names.BAYES_GAP_AT_POSITION, "excess_loss_per_document")
CONTROLS = (names.MAP, "exact T=0.7", "exact T=1.3", "copying 5 %", "label-swapped")
ORIGIN = ("version", "commit", "packages", "python", "platform", "processor", "device", "seeds")
EXAMPLES = 4
DRIFT = "drift"


def collect(run: Path, table: Path) -> None:
    """Write the table of a finished run (or sweep) ``run`` as the folder ``table``, in the place of an older one.

    results.json has a row a line; compute.json each arm's FLOPs; of a plain run also the validation losses along
    training, example texts with several documents of one seed document, and the numbers behind the picture of drift.
    Raises RunFileError where the run lacks its results.
    """
    rows = [_short(row) for row in read_results(run).rows if _is_kept(row)]
    cells = read_cells(run) if (run / "cells.json").exists() else None
    table.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=table.parent, prefix=f".{table.name}."))
    try:
        _write_rows(fresh / "results.json", rows)
        _write(fresh / "experiment.json", {**read_experiment(run), "name": table.name})
        folders = {None: run} if cells is None else {cell: run / "cells" / cell for cell in cells}
        if cells is None:
            _collect_plain(run, fresh)
        else:
            _write(fresh / "cells.json", cells)
        origin = read_provenance(next(iter(folders.values())))
        _write(fresh / "provenance.json", {key: origin[key] for key in ORIGIN if key in origin})
        _write_rows(fresh / COMPUTE, [row for cell, folder in folders.items() for row in _compute(cell, folder)])
        fresh.chmod(0o755)
        shutil.rmtree(table, ignore_errors=True)
        os.replace(fresh, table)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_kept(row: dict) -> bool:
    return not row["measure"].startswith(LEFT_OUT) and row["subject"] not in CONTROLS


def _compute(cell: str | None, folder: Path) -> Iterable[dict]:
    for seed, arms in read_provenance(folder).get("compute", {}).items():
        for arm, flops in arms.items():
            yield _short({"cell": cell, "seed": int(seed), "arm": arm, **flops})


def _collect_plain(run: Path, fresh: Path) -> None:
    arms = {row["subject"] for row in read_results(run).of(names.at_checkpoint(names.HELDOUT_LOSS, names.FINAL))}
    for arm, by_seed in read_metrics(run).items():
        if arm not in arms:
            continue
        for seed, lines in by_seed.items():
            evaluated = [line for line in lines if line.get("validation_loss") is not None]
            short = [_short({key: line[key] for key in ("step", "tokens", "validation_loss")}) for line in evaluated]
            text = "".join(f"{json.dumps(line)}\n" for line in short)
            file = fresh / "metrics" / str(seed) / f"{arm}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    examples = [{**e, "posterior": None} for e in read_examples(run)[:EXAMPLES]]
    _write(fresh / "examples.json", examples)
    variations = _variations(run)
    if variations:
        _write(fresh / "variations.json", variations)
    for seed, pictures in read_pictures(run, names.SYNTHESIZER).items():
        if DRIFT in pictures:
            file = fresh / "seeds" / str(seed) / "pictures.json"
            file.parent.mkdir(parents=True)
            _write(file, {names.SYNTHESIZER: {DRIFT: pictures[DRIFT]}})


def _variations(run: Path) -> dict | None:
    """A seed document of the first seed and `EXAMPLES` documents that SBP's synthesizer wrote from it: the first in
    the corpus that has so many. None where documents are not text, or the stages are gone."""
    import pyarrow.parquet as pq

    files = sorted((run / "seeds").glob("*/stages.json"), key=lambda file: int(file.parent.name))
    links = read_json_file(files[0]) if files else {}
    if not {"corpus", f"synthetic/{names.SBP}"} <= links.keys():
        return None
    synthetic = _shards(run / links[f"synthetic/{names.SBP}"] / "corpus")
    real = _shards(run / links["corpus"] / "real")
    if not synthetic or not real or "text" not in pq.read_schema(synthetic[0]).names:
        return None
    written: dict[int, list[str]] = {}
    for shard in synthetic:
        columns = pq.read_table(shard, columns=["seed_doc", "text"]).to_pydict()
        for seed_doc, text in zip(columns["seed_doc"], columns["text"], strict=True):
            written.setdefault(seed_doc, []).append(text)
    enough = sorted(doc for doc, texts in written.items() if len(texts) >= EXAMPLES)
    if not enough:
        return None
    texts = [text for shard in real for text in pq.read_table(shard, columns=["text"]).column("text").to_pylist()]
    return {"seed": int(files[0].parent.name), "d1": texts[enough[0]], "synthesized": written[enough[0]][:EXAMPLES]}


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _short(row: dict) -> dict:
    """The row with numbers of `DIGITS` digits."""
    return {key: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for key, v in row.items()}


def _write_rows(path: Path, rows: list[dict]) -> None:
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
