"""An experiment: a TOML file read into frozen dataclasses, strictly.

Every key has a default: the paper's, where it transfers to small models; a wrong key, a wrong type or a value out
of range is a UserError that names the key. `sbp run --help` prints the keys from the metadata below.
"""

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sbp_bayes import plugins
from sbp_bayes.arms import ARMS
from sbp_bayes.config_key import key
from sbp_bayes.documents.clean_config import LANGUAGES, CleanSettings
from sbp_bayes.documents.tokenizer_choice import TokenizerSettings, with_pinned_file
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.config import EMBEDDERS, OWN_EMBEDDERS, PairingConfig
from sbp_bayes.pairing.sentence_models import MINILM, PREFIX, is_sentence_model


@dataclass(frozen=True)
class CorpusSettings:
    """Where documents come from: one table [corpus.SOURCE], SOURCE a registered source (world, text, lexicon, ...)."""

    real: int = key(2048, "documents in D, the real corpus", 2)
    validation: int = key(1024, "documents that choose checkpoints", 1)
    heldout: int = key(2048, "documents that results are measured on", 1)
    oracle: int = key(40960, "documents in the oracle's corpus, D among them", 2)
    fit: bool = key(False, "fewer documents are there: shrink the splits, oracle first (text)", added=True)
    hide_latents: bool = key(False, "leave latents out of the corpus on disk; only truth-pairing needs them")
    split_by: str = key(
        "auto",
        "what splits never share, in text: concepts, documents (with their parts), or auto: concepts where known",
        among=("auto", "concept", "document"),
        added=True,
    )
    clean: CleanSettings = field(default_factory=CleanSettings, metadata={"added": True})
    source: str = key("", "set by the table's name")
    options: dict = key({}, "set by the table's content")


@dataclass(frozen=True)
class ModelSettings:
    """The transformer, base model, synthesizers and arms alike."""

    size: str = key("0.1M", "a size of sbp_bayes.model.sizes: 0.1M, 1M, 10M, ...")


@dataclass(frozen=True)
class TrainingSettings:
    """Training of every arm; every arm gets the same number of steps of the same number of tokens."""

    epochs: float = key(20.0, "the token budget of every arm, in passes over D", 0)
    batch_tokens: int = key(0, "tokens of a batch, padding counted; 0: the size's own", 0)
    context: int = key(0, "tokens of a row, several documents packed; 0: the longest document", 0)
    learning_rate: float = key(0.0, "peak; 0: the size's own", 0)
    warmup: float = key(0.05, "share of the steps", 0, 1)
    schedule: str = key("cosine", "learning rate after warm-up", among=("cosine", "constant", "wsd"))
    decay: float = key(0.2, "share of the steps over which wsd falls", 0, 1, added=True)
    optimiser: str = key(
        "adamw", "muon: hidden matrices, AdamW the rest", among=("adamw", "muon", "adamw-bf16"), added=True
    )
    weight_decay: float = key(0.1, "on matrices", 0)
    clip: float = key(1.0, "largest gradient norm", 0)
    accumulation: int = key(1, "batches summed into one step's gradient", 1)
    evaluations: int = key(16, "held-out evaluations along the training", 1)
    compile: str = key("auto", "torch.compile", among=("auto", "on", "off"))
    precision: str = key("float32", "of matrix products", among=("float32", "bfloat16"), added=True)
    activation_checkpointing: bool = key(False, "less memory, a third more work", added=True)
    nonfinite: str = key(
        "stop", "a batch without a finite gradient: stop, or skip it", among=("stop", "skip"), added=True
    )
    checkpoints_kept: int = key(2, "newest training states kept", 1, added=True)
    track: str = key("none", "metrics also to tensorboard", among=("none", "tensorboard"), added=True)


@dataclass(frozen=True)
class BaseSettings:
    """The base model: what the synthesizer is tuned from."""

    share: float = key(0.25, "its training, as a share of an arm's budget", 0)


@dataclass(frozen=True)
class SynthesizerSettings:
    """Synthesizer-tuning: loss on d2 only, from the base model, best checkpoint on held-out pairs."""

    share: float = key(0.5, "its steps, as a share of an arm's steps", 0)
    steps: int = key(0, "its steps; 0: by the share", 0, added=True)
    group: int = key(
        2, "documents of a training sequence: 2 a pair; more: each is written given all before it", 2, added=True
    )
    context: int = key(0, "tokens of a row; 0: the longest pair", 0)
    batch_tokens: int = key(0, "tokens of a batch, padding counted; 0: twice the training's", 0)
    learning_rate: float = key(0.5, "as a multiple of the training's peak", 0)
    weight_decay: float = key(0.3, "AdamW's, on matrices", 0)
    heldout_share: float = key(0.125, "share of D kept out of tuning to stop it early", 0, 0.5)
    evaluations: int = key(16, "evaluations on held-out pairs", 1)
    patience: int = key(4, "evaluations without a better one before tuning stops; 0: never", 0)


@dataclass(frozen=True)
class SynthesisSettings:
    """Sampling the synthetic corpus: every document of D is a seed document equally often."""

    per_document: int = key(0, "documents sampled for each d1; 0: as many as are seen once", 0)
    temperature: float = key(1.0, "of the sampling; only 1 keeps the synthesizer's law", 0.01)
    top_p: float = key(1.0, "nucleus; 1: off", 0.01, 1)
    max_tokens: int = key(0, "longest document sampled; 0: the longest in D", 0)
    batch_size: int = key(512, "documents sampled at once", 1)
    repeated_shingle: int = key(13, "drop documents that repeat a run of so many tokens; 0: keep them", 0)
    copied_shingle: int = key(0, "drop documents that share a run of so many tokens with d1; 0: keep them", 0)
    engine: str = key(
        "own", "who writes: the own sampler, or a server of the synthesizer", among=("own", "endpoint"), added=True
    )
    endpoint: str = key("http://localhost:8000", "engine endpoint: the server's address", place=True)
    served_model: str = key("", "engine endpoint: the model's name there; empty: the one that agrees", place=True)
    concurrency: int = key(64, "engine endpoint: requests under way at a time", 1, place=True)


@dataclass(frozen=True)
class ArmsSettings:
    """What is compared."""

    names: list[str] = key(
        ["repetition", "sbp", "random-pairs", "exact", "oracle"],
        "arms to train (text: without exact); none: the synthesizer alone",
    )
    synthetic_share: float = key(0.5, "share of synthetic rows in an arm's budget", 0, 1)
    prefix: float = key(0.5, "arm continuation: share of d1's tokens that the base model continues", 0, 1, added=True)
    several: int = key(4, "arm several: documents of a sequence, the last written given the others", 3, added=True)
    joined: int = key(4, "arm in-context: documents one after the other in a context", 2, added=True)
    tuned_weight_decay: list[int] = key(
        [1, 10, 30], "arm repetition-tuned: multiples of training.weight_decay tried", added=True
    )
    tuned_budget: list[int] = key(
        [25, 50, 100], "arm repetition-tuned: lengths tried, per cent of the budget", added=True
    )


@dataclass(frozen=True)
class EvaluationSettings:
    """What the measures may spend."""

    documents: int = key(2048, "documents or pairs that a measure of the synthesizer averages over", 2)
    examples: int = key(6, "example documents in the report", 1)
    controls: bool = key(True, "measure synthesizers that are wrong on purpose beside the trained one", added=True)
    predictions: bool = key(False, "put the sixteen predictions to the synthesizer (worlds of tokens)", added=True)
    quality: int = key(20000, "documents of each synthetic corpus whose quality is measured (text)", 2, added=True)
    quality_embedder: str = key("tfidf", "of their similarities: tfidf, minilm, ... or registered", added=True)
    judge: dict = key({}, "table: name = a registered judge of synthetic text, and its options", added=True)


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole experiment; one TOML table each."""

    name: str = key("", "the run's folder under runs/; by default the file's name")
    seeds: list[int] = key([0, 1, 2], "each a world (or split), its documents, initialisations and orders")
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    base: BaseSettings = field(default_factory=BaseSettings)
    pairing: PairingConfig = field(default_factory=PairingConfig)
    synthesizer: SynthesizerSettings = field(default_factory=SynthesizerSettings)
    synthesis: SynthesisSettings = field(default_factory=SynthesisSettings)
    arms: ArmsSettings = field(default_factory=ArmsSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)


@dataclass(frozen=True)
class SeedContext:
    """What an evaluator (entry point group ``sbp_bayes.evaluators``) is given: where one seed's artefacts lie."""

    seed: int
    config: ExperimentConfig
    source: dict
    out: Path
    corpus: dict[str, Path]
    tokenizer: Path
    models: dict[str, Path]
    pairs: dict[str, Path]
    synthetic: dict[str, Path]


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment file and apply ``key.path=value`` overrides (values as TOML, bare words as strings).

    Raises UserError for a missing file, broken TOML, an unknown key, a wrong type or a value out of range.
    """
    return experiment_from(load_tables(path, overrides))


def load_tables(path: Path, overrides: Sequence[str] = ()) -> dict:
    """The tables of an experiment file with ``overrides`` applied, the name set and nothing else checked."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: no such experiment file ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML ({error})") from error
    for override in overrides:
        _override(table, override)
    table.setdefault("name", path.stem)
    return table


def experiment_from(table: dict) -> ExperimentConfig:
    """An experiment from nested tables, as TOML or `as_tables` gives them."""
    table = {**table, "corpus": _with_source(table.get("corpus", {}))}
    config = _build(ExperimentConfig, table, "")
    config = dataclasses.replace(config, tokenizer=with_pinned_file(config.tokenizer))
    if not config.seeds or len(set(config.seeds)) != len(config.seeds):
        raise UserError(f"seeds = {config.seeds}: expected at least one seed and none twice")
    if any(abs(seed) >= 2**63 for seed in config.seeds):
        raise UserError(f"seeds = {config.seeds}: expected numbers below 2 ** 63")
    plain = config.name.isprintable() and "/" not in config.name and not config.name.startswith(".")
    if not plain or config.name == "stages" or not 0 < len(config.name) <= 100:
        raise UserError(f"name = {config.name[:100]!r}: expected a plain folder name of at most 100 characters")
    _check_finite(config.corpus.options, f"corpus.{config.corpus.source}")
    for arm in config.arms.names:
        if arm not in ARMS:
            raise UserError(f'arms.names: unknown arm "{arm}"; there are {", ".join(ARMS)}')
    if len(set(config.arms.names)) != len(config.arms.names):
        raise UserError(f"arms.names = {config.arms.names}: expected none twice")
    if config.pairing.plugin_embedder:
        offered = [*OWN_EMBEDDERS, MINILM, f"{PREFIX}NAME", *plugins.names(EMBEDDERS)]
        if config.pairing.embedder not in offered:
            raise UserError(f'pairing.embedder = "{config.pairing.embedder}": expected one of {", ".join(offered)}')
    _check_quality(config.evaluation)
    for language in config.corpus.clean.languages:
        if language not in LANGUAGES:
            raise UserError(f'corpus.clean.languages: unknown language "{language}"; there are {", ".join(LANGUAGES)}')
    if not config.pairing.latents:
        raise UserError("pairing.latents = []: expected at least one latent")
    for name in ("tuned_weight_decay", "tuned_budget"):
        values = getattr(config.arms, name)
        if not values or min(values) < 1:
            raise UserError(f"arms.{name} = {values}: expected at least one number, each 1 or more")
    if config.corpus.oracle < config.corpus.real:
        raise UserError(f"corpus.oracle = {config.corpus.oracle}: expected at least corpus.real = {config.corpus.real}")
    if config.training.epochs <= 0:
        raise UserError(f"training.epochs = {config.training.epochs}: expected more than 0")
    return config


def _check_quality(settings: EvaluationSettings) -> None:
    """What measures synthetic text at the end of a run is there; a run must not learn it then."""
    embedder, judge = settings.quality_embedder, settings.judge
    offered = ["tfidf", MINILM, f"{PREFIX}NAME", *plugins.names(EMBEDDERS)]
    if embedder not in offered and not is_sentence_model(embedder):
        raise UserError(f'evaluation.quality_embedder = "{embedder}": expected one of {", ".join(offered)}')
    judges = plugins.names("sbp_bayes.judges")
    if judge and judge.get("name") not in judges:
        raise UserError(f"evaluation.judge.name = {judge.get('name')!r}: expected one of {', '.join(judges)}")
    documents = judge.get("documents", 1)
    if type(documents) is not int or documents < 1:
        raise UserError(f"evaluation.judge.documents = {documents!r}: expected a whole number of at least 1")


def _check_finite(options: dict, prefix: str) -> None:
    """Source options are the source's business, but for NaN and infinities, which have no place in any of them."""
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{prefix}.{name} = {value}: expected a finite number")


def table_from(kind: type, overrides: Sequence[str], prefix: str) -> Any:
    """One table of an experiment, as its dataclass ``kind``, from ``key=value`` alone; checked as in a file."""
    table: dict = {}
    for override in overrides:
        _override(table, override)
    return _build(kind, table, prefix)


def as_tables(config: ExperimentConfig) -> dict:
    """The experiment as nested plain values; `experiment_from` reads them back."""
    return dataclasses.asdict(config)


def _override(table: dict, override: str) -> None:
    """Apply one ``a.b=value`` to nested tables in place."""
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise UserError(f"--set {override}: expected KEY=VALUE, for example --set corpus.world.overlap=0.8")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = path.strip().split(".")
    for depth, name in enumerate(parents):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise UserError(f"--set {override}: {'.'.join(parents[: depth + 1])} is a value, not a table")
    table[last] = value


def _with_source(corpus: dict) -> dict:
    """Turn the one table [corpus.SOURCE] into the fields ``source`` and ``options``.

    ``corpus.path = DIR`` is short for the source ``text`` and takes the place of any other source.
    """
    if not isinstance(corpus, dict):
        raise UserError("corpus: expected a table")
    if "source" in corpus and "options" in corpus:
        return corpus
    known = {f.name for f in dataclasses.fields(CorpusSettings)} - {"source", "options"}
    values = {k: v for k, v in corpus.items() if k in known}
    sources = {k: v for k, v in corpus.items() if k not in known and k != "path"}
    if "path" in corpus:
        options = {**sources["text"], "path": corpus["path"]} if "text" in sources else {"path": corpus["path"]}
        return {**values, "source": "text", "options": options}
    available = plugins.names("sbp_bayes.sources")
    for name in sources:
        if name not in available:
            raise UserError(
                f"corpus.{name}: neither a key ({', '.join(sorted(known))}, path) nor a source ({', '.join(available)})"
            )
    if len(sources) != 1:
        found = " and ".join(f"[corpus.{name}]" for name in sources) or "none"
        raise UserError(f"corpus: expected one source table, such as [corpus.world], or corpus.path; found {found}")
    ((name, options),) = sources.items()
    if not isinstance(options, dict):
        raise UserError(f"corpus.{name}: expected a table of the source's options")
    return {**values, "source": name, "options": options}


def _build(kind: type, table: dict, prefix: str) -> Any:
    """A dataclass from a table: every key known, every value of the field's type and in its range."""
    if not isinstance(table, dict):
        raise UserError(f"{prefix.rstrip('.')}: expected a table")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values = {}
    for name, value in table.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; there are {', '.join(fields)}"
            raise UserError(f"{prefix}{name}: unknown key{hint}")
        if dataclasses.is_dataclass(fields[name].type):
            values[name] = _build(fields[name].type, value, f"{prefix}{name}.")
        else:
            values[name] = _checked(fields[name], value, prefix + name)
    return kind(**values)


def _checked(spec: dataclasses.Field, value: Any, name: str) -> Any:
    """One value, checked against its field; an int is taken where a float is meant."""
    wanted = {"list[str]": list, "list[int]": list}.get(str(spec.type), spec.type)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise UserError(f"{name} = {value!r}: expected {getattr(spec.type, '__name__', spec.type)}")
    if wanted is list:
        element = str if spec.type == list[str] else int
        if not all(type(v) is element for v in value):
            raise UserError(f"{name} = {value!r}: expected a list of {element.__name__}")
    low, high, among = (spec.metadata.get(k) for k in ("low", "high", "among"))
    if wanted in (int, float) and not math.isfinite(value):
        raise UserError(f"{name} = {value}: expected a finite number")
    if low is not None and value < low:
        raise UserError(f"{name} = {value}: expected at least {low}")
    if high is not None and value > high:
        raise UserError(f"{name} = {value}: expected at most {high}")
    if among and value not in among:
        raise UserError(f'{name} = "{value}": expected one of {", ".join(among)}')
    return value


def identity_of(settings: dict[str, Any], kind: type = ExperimentConfig) -> dict[str, Any]:
    """Tables of settings without the keys that say where a stage runs, and without those that were added later and
    stand at their default (`sbp_bayes.config_key`).

    settings: table name -> table, as `as_tables` nests them; other entries are kept as they are.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    kept = {}
    for name, value in settings.items():
        f = fields.get(name)
        if f is not None and f.metadata.get("place"):
            continue
        if f is not None and dataclasses.is_dataclass(f.type) and isinstance(value, dict):
            value = identity_of(value, f.type)
            if not value and f.metadata.get("added"):
                continue
        if f is None or not (f.metadata.get("added") and value == _default(f)):
            kept[name] = value
    return kept


def _default(f: dataclasses.Field) -> Any:
    return f.default if f.default is not dataclasses.MISSING else f.default_factory()


def default_of(path: str) -> Any:
    """The default of the key ``path``; None for a key of a source's table, and for one that does not exist."""
    return next((default for name, default, _ in describe_keys() if name == path), None)


def describe_keys(kind: type = ExperimentConfig, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, default, meaning) of every key, in file order."""
    for f in dataclasses.fields(kind):
        if dataclasses.is_dataclass(f.type):
            yield from describe_keys(f.type, f"{prefix}{f.name}.")
        elif f.name not in ("source", "options"):
            yield prefix + f.name, _default(f), f.metadata.get("help", "")
