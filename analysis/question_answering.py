"""Multiple-choice questions answered by a language model: the ending that it finds most probable."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.synthesis.scoring import score
from synthetic_worlds import narration_cloze
from synthetic_worlds.narration_cloze import Cloze


@dataclass(frozen=True)
class Accuracy:
    """share: of questions answered right, with its standard error; over ``n`` questions; chance: of guessing."""

    share: float
    se: float
    n: int
    chance: float


def answers(model: Transformer, tokenizer: Tokenizer, questions: Sequence[Cloze]) -> list[int]:
    """For each question the index of the option with the greatest log q(text so far, prompt and option).

    The options of a question share all before them, so this is the log-likelihood of the option given the rest; its
    full stop counts, and nothing is divided by length: an option is an event, not a rate. Texts read before stand
    before separators as d1 does in synthesis; a question that ``continues`` a text goes on within the last.
    """
    options = [len(question.options) for question in questions]
    texts = [_last_text(question) + option for question in questions for option in question.options]
    encoded = iter(tokenizer.encode(texts))
    sequences = []
    for question in questions:
        prefix = _prefix(tokenizer, question)
        sequences += [np.concatenate((prefix, next(encoded))) for _ in question.options]
    totals = np.array([log_probs.sum() for log_probs in score(model, sequences)])
    return [int(np.argmax(part)) for part in np.split(totals, np.cumsum(options)[:-1])]


def accuracy(questions: Sequence[Cloze], answered: Sequence[int]) -> Accuracy:
    """How often ``answered`` (an option's index for each question) is right."""
    share, se = narration_cloze.accuracy(questions, answered)
    return Accuracy(share, se, len(questions), chance(questions))


def bayes_accuracy(questions: Sequence[Cloze]) -> Accuracy:
    """How often exact Bayes is right in expectation: nobody who reads the same can be right more often."""
    share, se = narration_cloze.expected_accuracy(questions)
    return Accuracy(share, se, len(questions), chance(questions))


def chance(questions: Sequence[Cloze]) -> float:
    """The accuracy of guessing."""
    return math.fsum(1 / len(question.options) for question in questions) / len(questions)


def _prefix(tokenizer: Tokenizer, question: Cloze) -> np.ndarray:
    """Specials and the texts that were read to their end."""
    parts: list[np.ndarray] = [np.array([tokenizer.bos])]
    read = question.context[:-1] if question.continues else question.context
    for text in tokenizer.encode(list(read)):
        parts += [text, np.array([tokenizer.sep])]
    return np.concatenate(parts)


def _last_text(question: Cloze) -> str:
    """The text that the option ends."""
    return f"{question.context[-1]} {question.prompt}" if question.continues else question.prompt
