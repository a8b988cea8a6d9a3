"""From an experiment to its graph of stages: which stage reads which, and what identifies each."""

import dataclasses
from dataclasses import asdict as plain
from dataclasses import dataclass

from sbp_bayes import plugins
from sbp_bayes.arms import ARMS, Arm
from sbp_bayes.documents.sources import ReadSource, Source
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import ExperimentConfig, default_of, identity_of
from sbp_bayes.graph import Stage, in_order
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
    source = plugins.load("sbp_bayes.sources", config.corpus.source).from_options(config.corpus.options, seed)
    arms = _arms(config, isinstance(source, ReadSource))
    planner = _Planner(config, seed, source, any(arm.documents == "oracle" for arm in arms.values()))
    # Without arms the synthesizer itself is the subject.
    pairings = set().union(*(arm.pairings for arm in arms.values())) if arms else {"related"}
    if pairings or any(arm.base for arm in arms.values()):
        planner.base()
    if "related" in pairings:
        planner.pairs("related")
    if not arms:
        planner.synthesizer("synthesizer", ARMS["sbp"])
    for name in arms:
        planner.arm(name)
    return SeedPlan(seed, planner.corpus, planner.models, planner.paired, planner.synthetic, planner.evaluation())


def _arms(config: ExperimentConfig, is_read: bool) -> dict[str, Arm]:
    """The arms by name. Documents that are read have no known law: the default arms do without what needs it."""
    arms = {name: ARMS[name] for name in config.arms.names}
    unknown = [name for name, arm in arms.items() if arm.plugin] if is_read else []
    if unknown and config.arms.names != default_of("arms.names"):
        where = f"[corpus.{config.corpus.source}]"
        raise UserError(f'arms.names: "{unknown[0]}" is for worlds, whose law is known, not for {where}')
    return {name: arm for name, arm in arms.items() if name not in unknown}


class _Planner:
    """The stages of one seed as they are asked for, each made once.

    models, synthetic: by role, what is measured; paired: pairs that an arm or the synthesizer learns from;
    oracle_read: whether an arm is trained on the oracle's corpus.
    """

    def __init__(self, config: ExperimentConfig, seed: int, source: Source, oracle_read: bool):
        self.config, self.seed = config, seed
        rule = source.pairing_rule if config.pairing.rule == "auto" else config.pairing.rule
        self.pairing = dataclasses.replace(config.pairing, rule=rule)
        self.cost = _arm_cost(config)
        self.trained = {"model": plain(config.model), "training": plain(config.training)}
        self.models: dict[str, Stage] = {}
        self.paired: dict[str, Stage] = {}
        self.synthetic: dict[str, Stage] = {}
        settings = {
            "corpus": plain(config.corpus),
            "tokenizer": plain(config.tokenizer),
            "identity": source.identity(),
        }
        if config.corpus.fit:
            settings["oracle_read"] = oracle_read
        self.corpus = self._stage("corpus", "corpus", settings, {}, 0.02)

    def base(self) -> Stage:
        """The base model."""
        if "base" not in self.models:
            settings = {**self.trained, "base": plain(self.config.base)}
            share = self.config.base.share
            self.models["base"] = self._stage("base", "base model", settings, {"corpus": self.corpus}, share)
        return self.models["base"]

    def pairs(self, name: str, start: str = "base") -> Stage:
        """Pairs to learn from: ``related``, ``random``, or ``repaired`` by the activations of ``start``'s model."""
        if name not in self.paired:
            self.paired[name] = self._related() if name == "related" else self._other_pairs(name, start)
        return self.paired[name]

    def synthesizer(self, subject: str, arm: Arm) -> Stage:
        """A model tuned on an arm's pairs."""
        if subject not in self.models:
            tuning = self.config.synthesizer
            if arm.several:
                tuning = dataclasses.replace(tuning, group=self.config.arms.several)
            inputs = {"corpus": self.corpus, "pairs": self.pairs(arm.pairing, arm.start)}
            if arm.start != "scratch":
                inputs["base"] = self._start(arm.start)
            # A step of tuning has twice the tokens of an arm's step, unless the file says otherwise.
            read = self.config.corpus.real * self.config.training.epochs
            cost = 2 * tuning.steps * STEP_DOCUMENTS / read if tuning.steps else 2 * tuning.share
            settings = {**self.trained, "synthesizer": plain(tuning)}
            self.models[subject] = self._stage("synthesizer", subject, settings, inputs, cost)
        return self.models[subject]

    def arm(self, name: str) -> Stage:
        """The model of an arm."""
        if f"arm {name}" not in self.models:
            arm, arms, inputs = ARMS[name], self.config.arms, {"corpus": self.corpus}
            settings = {**self.trained, "documents": arm.documents, "synthetic_share": 0.0}
            cost = 1.0
            if arm.is_synthetic:
                inputs["synthetic"] = self._synthesis(name, arm)
                settings["synthetic_share"] = arms.synthetic_share
            if arm.joined:
                inputs["pairs"] = self.pairs("related")
                settings |= {"joined": arm.joined, "synthetic_share": arms.synthetic_share, "documents_joined": 2}
            if arm.joined == "path":
                settings |= {"synthetic_share": 1.0, "documents_joined": arms.joined}
            if arm.tuned:
                settings["grid"] = [[decay, part] for decay in arms.tuned_weight_decay for part in arms.tuned_budget]
                cost = sum(part / 100 for _, part in settings["grid"])
            if arm.compute:
                inputs["repetition"] = self.arm("repetition")
                spent = [stage for stage in in_order([self.arm(arm.compute)]) if stage.kind != "corpus"]
                inputs |= {f"spent {place}": stage for place, stage in enumerate(spent)}
                cost = sum(stage.cost for stage in spent) / self.cost
            self.models[f"arm {name}"] = self._stage("arm", f"arm {name}", settings, inputs, cost)
        return self.models[f"arm {name}"]

    def evaluation(self) -> Stage:
        """The last stage, which reads all that is measured."""
        inputs = {"corpus": self.corpus}
        inputs |= {f"model {name}": stage for name, stage in self.models.items()}
        # Results call pairs by their rule, and those of a second round may have the rule of the first.
        inputs |= {f"pairs {name}": stage for name, stage in self.paired.items() if name != "repaired"}
        inputs |= {f"synthetic {name}": stage for name, stage in self.synthetic.items()}
        group = "sbp_bayes.evaluators"
        settings = {
            "experiment": {**plain(self.config), "name": "", "seeds": []},
            "evaluators": {name: plugins.version(group, name) for name in plugins.names(group)},
        }
        return self._stage("evaluation", "evaluation", settings, inputs, 0.1)

    def _start(self, start: str) -> Stage:
        return self.base() if start == "base" else self.arm(start)

    def _related(self) -> Stage:
        """Pairs by the experiment's own rule; random pairs are as many."""
        settings, inputs = {"pairing": plain(self.pairing)}, {"corpus": self.corpus}
        if self.pairing.plugin_embedder:
            settings["version"] = plugins.version(EMBEDDERS, self.pairing.plugin_embedder)
        if self.pairing.uses_base_model:
            inputs["base"] = self.base()
        if self.pairing.sentence_embedder:
            embedder = self.pairing.sentence_embedder
            found = find_sentence_model(embedder, self.pairing.embedding_dtype).identity()
            embedding = {"embedder": embedder, "found": found}
            inputs["embeddings"] = self._stage("embeddings", "embeddings", embedding, {"corpus": self.corpus}, 0.3)
        return self._stage("pairs", "related pairs", settings, inputs)

    def _other_pairs(self, name: str, start: str) -> Stage:
        if name == "random":
            pairing, inputs = dataclasses.replace(self.pairing, rule="random"), {"like": self._related()}
        else:
            # Cosines of activations have a scale of their own, so that the nearest are taken, however near.
            pairing = dataclasses.replace(self.pairing, rule="similarity", embedder="base-model", alpha=-1.0)
            inputs = {"base": self._start(start)}
        return self._stage("pairs", f"{name} pairs", {"pairing": plain(pairing)}, {"corpus": self.corpus, **inputs})

    def _synthesis(self, name: str, arm: Arm) -> Stage:
        """The stage that writes an arm's synthetic corpus, and before it the one that tunes its synthesizer."""
        arms, inputs = self.config.arms, {"corpus": self.corpus}
        settings = {"synthesis": plain(self.config.synthesis), **self.trained, "share": arms.synthetic_share}
        kind, cost = "synthesis", 0.2
        if arm.plugin:
            kind, cost = "plugin-synthesis", 0.05
            settings |= {"plugin": arm.plugin, "version": plugins.version("sbp_bayes.synthesizers", arm.plugin)}
        elif arm.base:
            kind = "base-synthesis"
            settings["prefix"] = arms.prefix if arm.base == "continuation" else 0.0
            inputs["base"] = self.base()
        else:
            inputs["synthesizer"] = self.synthesizer("synthesizer" if name == "sbp" else f"synthesizer {name}", arm)
            if arm.several:
                settings["given"] = arms.several - 1
                inputs["pairs"] = self.pairs(arm.pairing)
        self.synthetic[name] = self._stage(kind, f"synthesis {name}", settings, inputs, cost)
        return self.synthetic[name]

    def _stage(self, kind: str, name: str, settings: dict, inputs: dict[str, Stage], cost: float = 0.0) -> Stage:
        """``cost`` is a multiple of an arm's."""
        config = {"seed": self.seed, **settings}
        named = identity_of(config)
        if "experiment" in settings:
            named["experiment"] = identity_of(settings["experiment"])
        return Stage(kind, f"seed {self.seed}: {name}", config, inputs, self.cost * (cost + 0.01), named)


def _arm_cost(config: ExperimentConfig) -> float:
    """Expected time of an arm, in no particular unit; what a stage costs is only for the estimate of time left."""
    return config.corpus.real * config.training.epochs * _cost_of_a_document(config)


def _cost_of_a_document(config: ExperimentConfig) -> float:
    """Time goes as the matrices' size, but for what a step costs however small the model is (fitted at 0.03M to 1M)."""
    size = size_named(config.model.size)
    return 12e-6 * size.layers * size.width**2 + 0.03
