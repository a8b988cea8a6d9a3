"""A model of a finished run as a Hugging Face folder."""

from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json
from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.checkpoint import load_model

PREFIX = "model/"  # of models among a run's stages


def export_run(run: Path, seed: int | None, model: str, checkpoint: str, out: Path) -> Transformer:
    """Write one model of ``run`` into the new folder ``out`` and return it.

    seed: None for the run's first; model: "base", "synthesizer", "arm sbp", ...; checkpoint: "best" or "final".
    Raises UserError for what is not there, with what is.
    """
    seeds = sorted(int(path.parent.name) for path in run.glob("seeds/*/stages.json"))
    if not seeds:
        raise UserError(f"{run}: not a finished run (no seeds/*/stages.json); sbp run makes one")
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
    return exported
