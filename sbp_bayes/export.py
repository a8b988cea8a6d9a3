"""A model of a finished run, or that of a launch, as a Hugging Face folder."""

from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json
from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.launch_record import RECORD, finished_launch

PREFIX = "model/"  # of models among a run's stages
DEFAULT = "arm sbp"  # of a run's models


def export_run(run: Path, seed: int | None, model: str | None, checkpoint: str, out: Path) -> tuple[str, Transformer]:
    """Write one model of ``run`` into the new folder ``out`` and return its name and itself.

    run: the folder of an experiment's run, or what a launch (`sbp_bayes.training.launch`) trained; seed: None for the
    run's first; model: "base", "synthesizer", "arm sbp" (None), ...; checkpoint: "best" or "final".
    Raises UserError for what is not there, with what is.
    """
    if (run / RECORD).is_file():
        return _export_launch(run, seed, model, checkpoint, out)
    model = model or DEFAULT
    seeds = sorted(int(path.parent.name) for path in run.glob("seeds/*/stages.json"))
    if not seeds:
        raise UserError(f"{run}: not a finished run (no seeds/*/stages.json, no {RECORD}); sbp run makes one")
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise UserError(f"{run}: has no seed {seed}; it has {', '.join(map(str, seeds))}")
    links = read_json(run / "seeds" / str(seed) / "stages.json")
    models = [name.removeprefix(PREFIX) for name in links if name.startswith(PREFIX)]
    if model not in models:
        raise UserError(f'{run}: has no model "{model}"; it has {", ".join(models)}')
    corpus = run / links["corpus"]
    tokenizer = load_tokenizer(corpus / "tokenizer")
    exported = load_model(run / links[PREFIX + model] / f"{checkpoint}.safetensors", tokenizer.fingerprint)
    longest = int(max(Corpus.open(corpus / split, tokenizer).lengths.max() for split in SPLITS))
    # [bos] d1 [sep] d2 [eos], or [bos] d [eos].
    context = 2 * longest + 3 if model.startswith("synthesizer") else longest + 2
    origin = {"run": run.resolve().name, "seed": seed, "model": model, "checkpoint": checkpoint}
    export_model(exported, tokenizer, out, context=context, origin=origin)
    return model, exported


def _export_launch(
    folder: Path, seed: int | None, model: str | None, checkpoint: str, out: Path
) -> tuple[str, Transformer]:
    if seed is not None or model is not None:
        raise UserError(f"{folder}: a launch has one model of one seed; leave --model and --seed out")
    record, tokenizer = finished_launch(folder)
    exported = load_model(folder / f"{checkpoint}.safetensors", tokenizer.fingerprint)
    origin = {"run": folder.resolve().name, "seed": record["seed"], "model": "launch", "checkpoint": checkpoint}
    export_model(exported, tokenizer, out, context=record["context"] + 1, origin=origin)
    return f"size {record['size']}", exported
