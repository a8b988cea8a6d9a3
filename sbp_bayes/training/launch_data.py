"""What a launch trains on and what it holds out, as sequences that fit its context."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.long_sequences import fitted
from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed, PairSequences, Sequences
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.pairs import load_pairs
from sbp_bayes.pairing.split import split_pairs
from sbp_bayes.seeds import numpy_generator, seed_for

if TYPE_CHECKING:
    from sbp_bayes.training.launch import Launch

HELD_OUT_PAIRS = 0.125  # share of the paired documents whose pairs the held-out loss is measured on


@dataclass(frozen=True)
class LaunchData:
    """sequences: trained on; held_out: for the held-out loss, None without one; of_pairs: whether they are pairs;
    lines: what became of those longer than the context.
    """

    sequences: Sequences
    held_out: Sequences | None
    of_pairs: bool
    lines: list[str]

    def contents(self) -> dict[str, str]:
        """What both hold, by the option that names it."""
        held_out = "" if self.held_out is None else self.held_out.fingerprint
        of_pairs = {"pairs": self.sequences.fingerprint, "heldout_pairs": held_out}
        return of_pairs if self.of_pairs else {"corpus": self.sequences.fingerprint, "validation": held_out}

    def packed(self, context: int, seed: int) -> tuple[Mixture, Packed | None]:
        """Both in rows of ``context`` targets, the first in an order that ``seed`` fixes."""
        packed = Packed(self.sequences, context, seed_for(seed, "pack"))
        validation = None if self.held_out is None else Packed(self.held_out, context, 0)
        return Mixture([(packed, 1.0)], seed_for(seed, "order")), validation


def launch_data(arguments: "Launch", tokenizer: Tokenizer) -> LaunchData:
    """Documents of the corpus, or pairs of them; nothing is packed yet.

    Raises UserError for a corpus, pairs or a tokenizer that can't be read or don't belong together, and for sequences
    that are longer than the context where ``arguments.long`` refuses them.
    """
    corpus = Corpus.open(arguments.corpus, tokenizer)
    if arguments.pairs is not None:
        named = dict(zip(("pairs", "held-out pairs"), _pairs(arguments, corpus, tokenizer), strict=True))
    else:
        named = {"documents": DocumentSequences(corpus, tokenizer)}
        if arguments.validation is not None:
            held_out = Corpus.open(arguments.validation, tokenizer)
            named["held-out documents"] = DocumentSequences(held_out, tokenizer)
    found, lines = [], []
    for name, sequences in named.items():
        fitting, line = fitted(sequences, arguments.context, arguments.long)
        found.append(fitting)
        lines += [f"{name}: {line}"] if line else []
    return LaunchData(found[0], found[1] if len(found) > 1 else None, arguments.pairs is not None, lines)


def tell(data: LaunchData) -> None:
    """Say, on standard error, what became of sequences longer than the context."""
    for line in data.lines:
        print(line, file=sys.stderr, flush=True)


def _pairs(arguments: "Launch", corpus: Corpus, tokenizer: Tokenizer) -> list[PairSequences]:
    """Pairs to train on, and some of those whose documents occur in none of them."""
    if arguments.validation is not None:
        raise UserError("--validation: pairs are held out of --pairs themselves; leave one of the two out")
    if arguments.long == "split":
        raise UserError("--long split: a part of a pair would lack its d1; --long drop leaves long pairs out")
    seed = seed_for(arguments.seed, "split pairs")
    training, held_out = split_pairs(load_pairs(arguments.pairs).kept, seed, HELD_OUT_PAIRS)
    if 0 < arguments.heldout_pairs < len(held_out):
        chosen = numpy_generator("held-out pairs", seed).choice(len(held_out), arguments.heldout_pairs, replace=False)
        held_out = held_out[np.sort(chosen)]
    return [PairSequences(corpus, pairs, tokenizer) for pairs in (training, held_out)]
