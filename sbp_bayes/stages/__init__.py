"""The stages of SBP: what each reads, does and writes. One function a kind of stage (`sbp_bayes.graph.Kind`)."""

from sbp_bayes.graph import Kind
from sbp_bayes.stages.corpus import build_corpus
from sbp_bayes.stages.embeddings import build_embeddings
from sbp_bayes.stages.evaluation import evaluate
from sbp_bayes.stages.models import train_arm, train_base, tune_synthesizer
from sbp_bayes.stages.pairs import build_pairs
from sbp_bayes.stages.synthesis import synthesize, synthesize_by_plugin, synthesize_from_base

KINDS: dict[str, Kind] = {
    "corpus": Kind(build_corpus),
    "base": Kind(train_base, resumable=True),
    "embeddings": Kind(build_embeddings, resumable=True),
    "pairs": Kind(build_pairs),
    "synthesizer": Kind(tune_synthesizer, resumable=True),
    "synthesis": Kind(synthesize, resumable=True),
    "base-synthesis": Kind(synthesize_from_base),
    "plugin-synthesis": Kind(synthesize_by_plugin),
    "arm": Kind(train_arm, resumable=True),
    "evaluation": Kind(evaluate),
}
