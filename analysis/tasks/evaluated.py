"""The models that are asked: those of a finished run, of a launch, or of a Hugging Face folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.sources import SPLITS
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.export import PREFIX
from sbp_bayes.files import read_json
from sbp_bayes.model.hugging_face import CONFIG, import_model
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.launch_record import RECORD, finished_launch

ARM = "arm "


@dataclass(frozen=True)
class Evaluated:
    """subject: as in results tables, arms without "arm "; world: the corpus's name; context: tokens read at a time."""

    subject: str
    world: str
    seed: int | None
    model: Transformer
    tokenizer: Tokenizer
    context: int


def is_run(place: Path) -> bool:
    return any(place.glob("seeds/*/stages.json"))


def evaluated_models(place: Path, names: list[str], seed: int | None, checkpoint: str) -> Iterator[Evaluated]:
    """One model in memory at a time. names: of a run's models, [] for all arms; seed: None for all seeds.

    checkpoint: "best" or "final". UserError for what is not there, with what is.
    """
    if is_run(place):
        yield from _of_run(place, names, seed, checkpoint)
        return
    if names or seed is not None:
        raise UserError(f"{place}: not a run, so there is one model; leave --model and --seed out")
    if (place / RECORD).is_file():
        record, tokenizer = finished_launch(place)
        model = load_model(place / f"{checkpoint}.safetensors", tokenizer.fingerprint)
        context = record["context"] + 1
    elif (place / CONFIG).is_file():
        model, tokenizer = import_model(place)
        context = int(read_json(place / CONFIG).get("max_position_embeddings", 0))
        if context < 2:
            raise UserError(f"{place / CONFIG}: max_position_embeddings = {context}, expected 2 or more")
    else:
        raise UserError(f"{place}: neither a finished run nor an exported model (sbp run, sbp export)")
    yield Evaluated(place.name, place.name, None, model, tokenizer, context)


def _of_run(run: Path, names: list[str], seed: int | None, checkpoint: str) -> Iterator[Evaluated]:
    seeds = sorted(int(path.parent.name) for path in run.glob("seeds/*/stages.json"))
    if seed not in (None, *seeds):
        raise UserError(f"{run}: has no seed {seed}; it has {', '.join(map(str, seeds))}")
    for one in seeds if seed is None else [seed]:
        links = {name: run / path for name, path in read_json(run / "seeds" / str(one) / "stages.json").items()}
        models = {name.removeprefix(PREFIX): path for name, path in links.items() if name.startswith(PREFIX)}
        chosen = names or [name for name in models if name.startswith(ARM)]
        missing = [name for name in chosen if name not in models]
        if missing or not chosen:
            raise UserError(f'{run}: has no model "{missing[0] if missing else "arm ..."}"; it has {", ".join(models)}')
        corpus = links["corpus"]
        tokenizer = load_tokenizer(corpus / "tokenizer")
        longest = int(max(Corpus.open(corpus / split, tokenizer).lengths.max() for split in SPLITS))
        world = read_json(corpus / "source.json")["label"]
        for name in chosen:
            model = load_model(models[name] / f"{checkpoint}.safetensors", tokenizer.fingerprint)
            yield Evaluated(name.removeprefix(ARM), world, one, model, tokenizer, longest + 2)
