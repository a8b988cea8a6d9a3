"""A finished run's seeds as evaluators see them, from its folder: to judge what was not judged when it ran."""

from pathlib import Path

from analysis.predictions.evaluator import examine
from analysis.predictions.stored import FILE, read_findings
from analysis.predictions.subjects import why_none
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.files import read_json


def context_of(run: Path, seed: int) -> SeedContext:
    """Where the artefacts of one seed of the run folder ``run`` lie, among the stages that it names.

    Raises UserError where the folder is of no run or its stages are gone.
    """
    folder = run / "seeds" / str(seed)
    stages = {name: (run / path).resolve() for name, path in read_json(folder / "stages.json").items()}
    gone = [name for name, path in stages.items() if not path.is_dir()]
    if gone:
        raise UserError(f"{stages[gone[0]]}: the stage {gone[0]} is gone; sbp run makes it again")
    roles: dict[str, dict[str, Path]] = {"model": {}, "pairs": {}, "synthetic": {}}
    for name, path in stages.items():
        role, _, rest = name.partition("/")
        if rest:
            roles[role][rest] = path
    corpus = stages["corpus"]
    return SeedContext(
        seed=seed,
        config=experiment_from(read_json(run / "experiment.json")),
        source=read_json(corpus / "source.json"),
        out=folder,
        corpus={split: corpus / split for split in SPLITS},
        tokenizer=corpus / "tokenizer",
        models=roles["model"],
        pairs=roles["pairs"],
        synthetic={name: path / "corpus" for name, path in roles["synthetic"].items()},
    )


def judge_run(run: Path) -> bool:
    """Findings of every seed of a run that has none yet, into ``seeds/SEED/``; what is there is kept.

    Returns whether anything was missing. Raises UserError where there is nothing to judge, or what is there is damaged.
    """
    judged = False
    for seed in sorted(int(folder.name) for folder in (run / "seeds").glob("*") if folder.is_dir()):
        folder = run / "seeds" / str(seed)
        if (folder / FILE).exists():
            read_findings(folder / FILE)  # a damaged one is named here, not passed over
            continue
        context = context_of(run, seed)
        reason = why_none(context)
        if reason:
            raise UserError(f"{run}: {reason}")
        examine(context, folder)
        judged = True
    return judged
