"""Multiple-choice questions on a person's attributes, with the exact answer's probabilities.

A question is a broken-off sentence and several ways to end it; a language model answers by the log-likelihood of each
ending after the text so far (``context`` and ``prompt``). The right answer is the person's attribute, which the text
may misreport or leave out, so even exact Bayes is wrong at times: it is right with probability E max_k p(k | context).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds import narration_text
from synthetic_worlds.dials import WorldError
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_grammar import NAMES
from synthetic_worlds.narration_posterior import attribute_log_posterior
from synthetic_worlds.narration_templates import ATTRIBUTES
from synthetic_worlds.world import Documents


@dataclass(frozen=True)
class Cloze:
    """One question. ``context``: texts read before, about the same person; the last goes on with ``prompt`` where
    ``continues``, otherwise the prompt opens a new text. ``options`` start with a space and end the sentence.

    answer: index of the true one; probabilities: exact, of each option given the context, summing to one.
    """

    attribute: str
    context: tuple[str, ...]
    prompt: str
    options: tuple[str, ...]
    answer: int
    probabilities: tuple[float, ...]
    continues: bool

    @property
    def best(self) -> int:
        """What exact Bayes answers: the most probable option."""
        return max(range(len(self.options)), key=self.probabilities.__getitem__)


def continuing_questions(
    world: Narration, documents: Documents, generator: torch.Generator, options: int = 4
) -> list[Cloze]:
    """One question for each document: its text without the last sentence, which then turns to a new attribute.

    A model of single documents can answer these. The attribute is one that the text so far does not mention.
    """
    if world.L < 2:
        raise WorldError(f"world {world.name}: sentences={world.L}; questions that continue a text need 2 or more")
    start = documents.tokens[:, :-1]
    symbols = world.symbols(start)
    mentioned = torch.zeros(len(start), world.A, dtype=torch.int64)
    mentioned.scatter_add_(1, symbols.attribute, symbols.is_fact.long())
    order = torch.rand(mentioned.shape, dtype=torch.float64, generator=generator)
    attribute = order.masked_fill(mentioned > 0, -1.0).argmax(1)
    texts = narration_text.render(world, start, documents.latents)
    name, named = documents.latents["name"], torch.zeros(len(start), dtype=torch.int64)
    truth, posterior = documents.latents["concept"], attribute_log_posterior(world, start)
    contexts = [(text,) for text in texts]
    return _questions(world, contexts, True, attribute, name, named, truth, posterior, generator, options)


def related_questions(
    world: Narration, documents: Sequence[Documents], generator: torch.Generator, options: int = 4
) -> list[Cloze]:
    """One question for each row of related documents: a new text about the same person, broken off in its first
    sentence. Any attribute may be asked; the new text has a first name of its own, as related documents have.
    """
    n = len(documents[0].tokens)
    attribute = torch.randint(world.A, (n,), generator=generator)
    name, named = torch.randint(len(NAMES), (n,), generator=generator), torch.ones(n, dtype=torch.int64)
    contexts = list(zip(*(world.texts(some) for some in documents), strict=True))
    truth = documents[0].latents["concept"]
    posterior = attribute_log_posterior(world, *(some.tokens for some in documents))
    return _questions(world, contexts, False, attribute, name, named, truth, posterior, generator, options)


def expected_accuracy(questions: Sequence[Cloze]) -> tuple[float, float]:
    """How often exact Bayes answers right: the mean of its best option's probability, and the standard error."""
    best = torch.tensor([max(question.probabilities) for question in questions], dtype=torch.float64)
    return float(best.mean()), float(best.std()) / math.sqrt(len(best))


def accuracy(questions: Sequence[Cloze], answers: Sequence[int]) -> tuple[float, float]:
    """The share of questions whose answer (an index of ``options``) is right, and its standard error."""
    right = [answer == question.answer for question, answer in zip(questions, answers, strict=True)]
    share = sum(right) / len(right)
    return share, math.sqrt(share * (1 - share) / len(right))


def _questions(
    world: Narration,
    contexts: Sequence[tuple[str, ...]],
    continues: bool,
    attribute: Tensor,
    name: Tensor,
    named: Tensor,
    concepts: Tensor,
    posterior: Tensor,
    generator: torch.Generator,
    options: int,
) -> list[Cloze]:
    """The truth among ``options - 1`` other values drawn uniformly, in random order.

    Every set of options that holds the truth is equally likely whatever the truth is, so the exact probabilities are
    the posterior's, renormalised over the options.
    """
    if not 2 <= options <= world.K:
        raise WorldError(f"world {world.name}: options={options}; expected 2 to values={world.K}")
    rows = torch.arange(len(attribute))
    truth = world.attributes_of(concepts)[rows, attribute]
    order = torch.rand(len(rows), world.K, dtype=torch.float64, generator=generator)
    chosen = order.index_put((rows, truth), torch.tensor(2.0, dtype=torch.float64)).topk(options, 1).indices
    shuffle = torch.rand(len(rows), options, generator=generator).argsort(1)
    chosen = chosen.gather(1, shuffle)
    probabilities = torch.softmax(posterior[rows, attribute].gather(1, chosen), 1)
    answers = (chosen == truth[:, None]).int().argmax(1)
    questions = []
    for row in rows.tolist():
        prompt, endings = world.grammar.cloze(int(attribute[row]), int(name[row]), bool(named[row]))
        questions.append(
            Cloze(
                ATTRIBUTES[attribute[row]].name,
                contexts[row],
                prompt,
                tuple(endings[value] for value in chosen[row].tolist()),
                int(answers[row]),
                tuple(probabilities[row].tolist()),
                continues,
            )
        )
    return questions
