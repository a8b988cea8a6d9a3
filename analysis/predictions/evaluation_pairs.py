"""A run's own pairs: those that tuning saw and those kept out of it, and P13's alarm on the latter.

Do pairs kept out of tuning say more of one another than related documents can?
"""

import math

import torch
from torch import Tensor

from analysis import measures
from analysis.predictions.information_bound import information_alarm
from analysis.predictions.subject import Subject
from analysis.rows import Rows
from analysis.synthesizers import ExactSynthesizer
from analysis.world_source import tokens_of
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import load_tokenizer
from sbp_bayes.experiment import SeedContext
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.seeds import seed_for

RELATED = "related"


def add_alarm(rows: Rows, context: SeedContext, subject: Subject) -> None:
    """A row for ``subject`` on held-out pairs: E log q(d2|d1) / p(d2), its null I(d1;d2) as measured on fresh pairs.

    More than the null by three standard errors (of the difference) means that pairs are duplicates, or were learnt by
    heart, whatever the synthesizer is otherwise worth.
    """
    d1, d2 = heldout_pairs(context)
    bound = context.source["information"][measures.PAIR_INFORMATION]
    alarm = information_alarm(subject.synthesizer, ExactSynthesizer(subject.world), d1, d2, *bound)
    se = math.hypot(alarm.information_se, alarm.bound_se)
    measure = measures.HELDOUT_PAIR_INFORMATION
    rows.add(measure, subject.name, alarm.information, se, len(d1), alarm.bound, "nats/document")


def heldout_pairs(context: SeedContext) -> tuple[Tensor, Tensor]:
    """The documents (M, L) of pairs that tuning was stopped by, of each d1 one, at most ``evaluation.documents``."""
    held = _split(context)[1]
    # Pairs of one d1 are not independent: one of each.
    first = torch.cat([torch.ones(1, dtype=torch.bool), held[1:, 0] != held[:-1, 0]])
    held = held[first][: context.config.evaluation.documents]
    corpus = Corpus.open(context.corpus["real"], load_tokenizer(context.tokenizer))
    tokens = tokens_of(corpus)
    return tokens[held[:, 0]], tokens[held[:, 1]]


def tuning_pairs(context: SeedContext) -> Tensor:
    """(M, 2) document numbers of the pairs that tuning learnt from; none of these documents is in `heldout_pairs`."""
    return _split(context)[0]


def _split(context: SeedContext) -> tuple[Tensor, Tensor]:
    pairs, share = load_pairs(context.pairs[RELATED]).kept, context.config.synthesizer.heldout_share
    tuning, held = split_pairs(pairs, seed_for(context.seed, "split pairs"), share)
    return torch.from_numpy(tuning), torch.from_numpy(held)
