"""Narrations as texts of a language model: exact draws, and log-probabilities sentence by sentence.

A text and its sentence symbols (with names) determine each other, so what is exact of symbols is exact of texts, and
the tokens of a model are summed to sentences. Shapes: B documents, L sentences.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.synthesis.prompt import prompt_of
from sbp_bayes.synthesis.scoring import score
from synthetic_worlds import exact, narration_text
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_grammar import SENTENCE_END


def related_texts(world: Narration, d1: Sequence[str], generator: torch.Generator) -> list[str]:
    """One text for each of ``d1`` about the same person, drawn from p(d2 | d1). Every d1 must be one of the world's."""
    parsed = narration_text.parse(world, d1)
    assert parsed.valid.all(), "a seed document that the world never writes"
    return world.texts(
        world.sample_from_belief(exact.map_beliefs(world, lambda belief: belief, parsed.tokens), generator)
    )


def exact_sentence_log_probs(world: Narration, d2: narration_text.Parsed, *given: Tensor) -> Tensor:
    """(B, L) log p(sentence t | given, sentences before), the name and where it stands included.

    given: symbols (B, L) of related documents. Rows sum to `narration_text.text_log_predictive`.
    """
    laws = exact.next_token_log_probs(world, d2.tokens, *given)
    symbols = laws.gather(2, d2.tokens[..., None]).squeeze(2)
    name, named = d2.latents["name"], d2.latents["named"]
    naming = [narration_text.log_prob_of_naming({"name": name, "named": named[:, : t + 1]}) for t in range(world.L)]
    return symbols + torch.stack(naming, 1).diff(dim=1, prepend=torch.zeros(len(name), 1, dtype=torch.float64))


def model_sentence_log_probs(
    model: Transformer, tokenizer: Tokenizer, texts: Sequence[str], given: Sequence[str] | None = None
) -> Tensor:
    """(B, L) log q(sentence t | given, sentences before) of texts with L sentences each; the end counts for the last.

    q is of the tokens that ``tokenizer`` makes of the text: what a model spends on other ways to spell it is lost. A
    space belongs to the sentence that it opens.
    """
    pieces = [[text if t == 0 else f" {text}" for t, text in enumerate(SENTENCE_END.split(text))] for text in texts]
    encoded = [tokenizer.encode(sentences) for sentences in pieces]
    prompts = [np.array([tokenizer.bos])] * len(texts)
    if given is not None:
        prompts = [prompt_of([d1], tokenizer) for d1 in tokenizer.encode(given)]
    sequences = [
        np.concatenate((prompt, *sentences, [tokenizer.eos]))
        for prompt, sentences in zip(prompts, encoded, strict=True)
    ]
    rows = []
    for prompt, sentences, log_probs in zip(prompts, encoded, score(model, sequences), strict=True):
        own = log_probs[len(prompt) - 1 :]
        starts = np.cumsum([0, *(len(sentence) for sentence in sentences[:-1])])
        rows.append(np.add.reduceat(own, starts))
    return torch.from_numpy(np.stack(rows))
