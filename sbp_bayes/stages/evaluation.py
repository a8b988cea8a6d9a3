"""The last stage of a seed: what the registered evaluators measure."""

from pathlib import Path

from sbp_bayes import plugins
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.experiment import SeedContext, experiment_from
from sbp_bayes.files import read_json, write_json
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry
from sbp_bayes.results import read_results, write_results


def evaluate(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Every registered evaluator on this seed's artefacts; their result rows and examples are joined."""
    roles: dict[str, dict[str, Path]] = {"model": {}, "pairs": {}, "synthetic": {}}
    for name, folder in inputs.items():
        role, _, rest = name.partition(" ")
        if role in roles:
            roles[role][rest] = folder
    corpus = inputs["corpus"]
    results, examples = [], []
    for name in plugins.names("sbp_bayes.evaluators"):
        context = SeedContext(
            seed=stage.config["seed"],
            config=experiment_from({**stage.config["experiment"], "name": "run", "seeds": [stage.config["seed"]]}),
            source=read_json(corpus / "source.json"),
            out=out / name,
            corpus={split: corpus / split for split in SPLITS},
            tokenizer=corpus / "tokenizer",
            models=roles["model"],
            pairs=roles["pairs"],
            synthetic={name: folder / "corpus" for name, folder in roles["synthetic"].items()},
        )
        context.out.mkdir(exist_ok=True)
        plugins.load("sbp_bayes.evaluators", name)(context)
        results += read_results(context.out)
        if (context.out / "examples.json").exists():
            examples += read_json(context.out / "examples.json")
    write_results(out, results)
    write_json(out / "examples.json", examples)
    return []
