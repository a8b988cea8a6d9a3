"""From an experiment to its graph of stages: which stage reads which, and what identifies each."""

import dataclasses
from dataclasses import dataclass

from sbp_bayes import plugins
from sbp_bayes.arms import ARMS, Arm
from sbp_bayes.documents.sources import ReadSource
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import ExperimentConfig, default_of, identity_of
from sbp_bayes.graph import Stage
from sbp_bayes.model.sizes import size_named
from sbp_bayes.pairing.config import EMBEDDERS
from sbp_bayes.pairing.sentence_models import find_sentence_model

STEP_DOCUMENTS = 64  # of an arm's step, at the lengths and batches of toy worlds


@dataclass(frozen=True)
class SeedPlan:
    """The stages of one seed by role; ``evaluation`` reads all the others."""

    seed: int
    corpus: Stage
    models: dict[str, Stage]
    pairs: dict[str, Stage]
    synthetic: dict[str, Stage]
    evaluation: Stage

    @property
    def stages(self) -> dict[str, Stage]:
        """Every stage but the evaluation, by a name fit for a file."""
        groups = {"model": self.models, "pairs": self.pairs, "synthetic": self.synthetic}
        return {"corpus": self.corpus} | {f"{g}/{n}": s for g, stages in groups.items() for n, s in stages.items()}


def plan_seed(config: ExperimentConfig, seed: int) -> SeedPlan:
    """The stages of one seed. Only what an arm in ``arms.names`` needs is planned."""
    plain = dataclasses.asdict
    source = plugins.load("sbp_bayes.sources", config.corpus.source).from_options(config.corpus.options, seed)
    arms = _arms(config, isinstance(source, ReadSource))
    pairing = config.pairing
    if pairing.rule == "auto":
        pairing = dataclasses.replace(pairing, rule=source.pairing_rule)

    arm_cost = _arm_cost(config)

    def stage(kind: str, name: str, settings: dict, inputs: dict[str, Stage], cost: float = 0.0) -> Stage:
        """``cost`` is a multiple of an arm's."""
        config = {"seed": seed, **settings}
        named = identity_of(config)
        if "experiment" in settings:
            named["experiment"] = identity_of(settings["experiment"])
        return Stage(kind, f"seed {seed}: {name}", config, inputs, arm_cost * (cost + 0.01), named)

    corpus_settings = {
        "corpus": plain(config.corpus),
        "tokenizer": plain(config.tokenizer),
        "identity": source.identity(),
    }
    corpus = stage("corpus", "corpus", corpus_settings, {}, 0.02)
    model = {"model": plain(config.model), "training": plain(config.training)}
    models: dict[str, Stage] = {}
    pairs: dict[str, Stage] = {}
    synthetic: dict[str, Stage] = {}
    # Without arms the synthesizer itself is the subject.
    pairings = list(dict.fromkeys(arm.pairing for arm in arms.values() if arm.pairing)) if arms else ["related"]
    if pairings or any(arm.base for arm in arms.values()):
        models["base"] = stage(
            "base", "base model", {**model, "base": plain(config.base)}, {"corpus": corpus}, config.base.share
        )
    if pairings:
        related = {"pairing": plain(pairing)}
        if pairing.plugin_embedder:
            related["version"] = plugins.version(EMBEDDERS, pairing.plugin_embedder)
        embedder = {"base": models["base"]} if pairing.uses_base_model else {}
        if pairing.sentence_embedder:
            found = find_sentence_model(pairing.sentence_embedder, pairing.embedding_dtype).identity()
            settings = {"embedder": pairing.sentence_embedder, "found": found}
            embedder = {"embeddings": stage("embeddings", "embeddings", settings, {"corpus": corpus}, 0.3)}
        pairs["related"] = stage("pairs", "related pairs", related, {"corpus": corpus, **embedder})
    if "random" in pairings:
        random = {"pairing": plain(dataclasses.replace(pairing, rule="random"))}
        pairs["random"] = stage("pairs", "random pairs", random, {"corpus": corpus, "like": pairs["related"]})
    if not arms:
        models["synthesizer"] = _tuning(config, "synthesizer", "related", corpus, models, pairs, model, stage)
    for name, arm in arms.items():
        if arm.is_synthetic:
            synthetic[name] = _synthesis(config, name, arm, corpus, models, pairs, model, stage)
        inputs = {"corpus": corpus} | ({"synthetic": synthetic[name]} if arm.is_synthetic else {})
        share = config.arms.synthetic_share if arm.is_synthetic else 0.0
        settings = {**model, "documents": arm.documents, "synthetic_share": share}
        models[f"arm {name}"] = stage("arm", f"arm {name}", settings, inputs, 1.0)
    if pairings == ["random"]:
        del pairs["related"]
    inputs = {"corpus": corpus}
    inputs |= {f"model {name}": s for name, s in models.items()}
    inputs |= {f"pairs {name}": s for name, s in pairs.items()}
    inputs |= {f"synthetic {name}": s for name, s in synthetic.items()}
    settings = {
        "experiment": {**plain(config), "name": "", "seeds": []},
        "evaluators": {n: plugins.version("sbp_bayes.evaluators", n) for n in plugins.names("sbp_bayes.evaluators")},
    }
    evaluation = stage("evaluation", "evaluation", settings, inputs, 0.1)
    return SeedPlan(seed, corpus, models, pairs, synthetic, evaluation)


def _arms(config: ExperimentConfig, is_read: bool) -> dict[str, Arm]:
    """The arms by name. Documents that are read have no known law: the default arms do without what needs it."""
    arms = {name: ARMS[name] for name in config.arms.names}
    unknown = [name for name, arm in arms.items() if arm.plugin] if is_read else []
    if unknown and config.arms.names != default_of("arms.names"):
        where = f"[corpus.{config.corpus.source}]"
        raise UserError(f'arms.names: "{unknown[0]}" is for worlds, whose law is known, not for {where}')
    return {name: arm for name, arm in arms.items() if name not in unknown}


def _synthesis(config, name: str, arm: Arm, corpus: Stage, models, pairs, model: dict, stage) -> Stage:
    """The stage that writes one arm's synthetic corpus, and before it the one that tunes its synthesizer."""
    sampling = {
        "synthesis": dataclasses.asdict(config.synthesis),
        **model,
        "share": config.arms.synthetic_share,
    }
    if arm.plugin:
        settings = {**sampling, "plugin": arm.plugin, "version": plugins.version("sbp_bayes.synthesizers", arm.plugin)}
        return stage("plugin-synthesis", f"synthesis {name}", settings, {"corpus": corpus}, 0.05)
    if arm.base:
        prefix = config.arms.prefix if arm.base == "continuation" else 0.0
        inputs = {"corpus": corpus, "base": models["base"]}
        return stage("base-synthesis", f"synthesis {name}", {**sampling, "prefix": prefix}, inputs, 0.2)
    subject = "synthesizer" if arm.pairing == "related" else f"synthesizer {name}"
    if subject not in models:
        models[subject] = _tuning(config, subject, arm.pairing, corpus, models, pairs, model, stage)
    inputs = {"corpus": corpus, "synthesizer": models[subject]}
    return stage("synthesis", f"synthesis {name}", sampling, inputs, 0.2)


def _tuning(config, subject: str, pairing: str, corpus: Stage, models, pairs, model: dict, stage) -> Stage:
    """The stage that tunes a synthesizer on the pairs of one pairing."""
    settings = {**model, "synthesizer": dataclasses.asdict(config.synthesizer)}
    inputs = {"corpus": corpus, "base": models["base"], "pairs": pairs[pairing]}
    tuned = config.synthesizer
    # A step of tuning has twice the tokens of an arm's step, unless the file says otherwise.
    read = config.corpus.real * config.training.epochs
    cost = 2 * tuned.steps * STEP_DOCUMENTS / read if tuned.steps else 2 * tuned.share
    return stage("synthesizer", subject, settings, inputs, cost)


def _arm_cost(config: ExperimentConfig) -> float:
    """Expected time of an arm, in no particular unit; what a stage costs is only for the estimate of time left."""
    return config.corpus.real * config.training.epochs * _cost_of_a_document(config)


def _cost_of_a_document(config: ExperimentConfig) -> float:
    """Time goes as the matrices' size, but for what a step costs however small the model is (fitted at 0.03M to 1M)."""
    size = size_named(config.model.size)
    return 12e-6 * size.layers * size.width**2 + 0.03
