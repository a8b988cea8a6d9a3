"""The command `sbp tasks`: multiple-choice tasks from dictionaries, with a rule against leakage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from sbp_bayes.errors import UserError


@dataclass(frozen=True)
class TasksArguments:
    """Make multiple-choice tasks from dictionaries for lm-evaluation-harness, as a folder of JSONL and YAML.

    Without --run nothing is known of what a model has read. With it, no headword that the run's models have read is
    asked about (unseen), or one that D defines, by a source that D lacks for it (seen); items whose definition or
    answer a training document copies (8 words in a row, or the whole) are left out. See docs/evaluation.md.

    Example: sbp tasks corpora/tasks --run runs/lexicon
    """

    out: tyro.conf.Positional[Path]
    """Folder to write, new or from an earlier call."""
    run: Path | None = None
    """A finished run on a corpus of headwords, such as [corpus.lexicon]."""
    headwords: Literal["unseen", "seen"] = "unseen"
    """Of a run: which headwords are asked about."""
    tasks: str = ""
    """Names, separated by commas; by default all: lexicon-definition, -hypernym, -acronym, -description, -topic,
    -synonym."""
    items: int = 1000
    """Items a task at most."""
    options: int = 4
    """Options of an item; a topic is always one of eleven."""
    seed: int = 0
    """Of all draws."""


def tasks(arguments: list[str]) -> int:
    """Make multiple-choice tasks from dictionaries for lm-evaluation-harness."""
    parsed = tyro.cli(TasksArguments, prog="sbp tasks", args=arguments)
    from analysis.tasks.catalogue import TASKS
    from analysis.tasks.leakage import Rule, Training
    from analysis.tasks.write import FEWEST, write_tasks

    names = [name.strip() for name in parsed.tasks.split(",")] if parsed.tasks else list(TASKS)
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise UserError(f"--tasks {unknown[0]!r}: no such task (there are: {', '.join(TASKS)})")
    if parsed.items < FEWEST or parsed.options < 2:
        raise UserError(f"--items {parsed.items} --options {parsed.options}: expected {FEWEST} or more, and 2 or more")
    rule = Rule(parsed.headwords, Training.of_run(parsed.run)) if parsed.run else Rule()
    record = write_tasks(parsed.out, names, rule, parsed.items, parsed.options, parsed.seed)
    for name, task in record["tasks"].items():
        shares = ", ".join(f"{rule} {share:.3f}" for rule, share in task["baselines"].items())
        print(f"{name:<20} {task['items']:>6,} items, chance {task['chance']:.3f}; {shares}")
    print(f"{parsed.out / 'README.md'}: what is asked, sources and licences")
    return 0
