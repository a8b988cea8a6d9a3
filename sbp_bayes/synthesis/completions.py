"""What is asked of an OpenAI-compatible completions server and what is read from its answers.

Prompts go out as token ids, and documents are read as token ids with their log-probabilities, never as text: text
encodes to other ids than those that were drawn. Servers that give ids back: vLLM (``return_token_ids``, or log-probs of
``token_id:N``) and `sbp serve`.
"""

from typing import Any

import numpy as np

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.synthesis.sampler import SamplingConfig, Written

NEVER = -100  # the logit bias that OpenAI's API reads as a ban
PLACEHOLDER = "token_id:"


def completion_request(
    prompt: np.ndarray, config: SamplingConfig, tokenizer: Tokenizer, copies: int, seed: int
) -> dict[str, Any]:
    """The body of a request for ``copies`` documents after ``prompt`` (token ids), under the law of the own sampler.

    A document may be as long as ``config.max_tokens`` and end after that, so one token more is asked for, but where
    all documents have a given length. bos and sep are never drawn.
    """
    fixed = config.min_tokens == config.max_tokens
    return {
        "prompt": [int(token) for token in prompt],
        "n": copies,
        "max_tokens": config.max_tokens + (not fixed),
        "min_tokens": config.min_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "seed": seed,
        "logprobs": 1,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "stop_token_ids": [tokenizer.eos],
        "logit_bias": {str(tokenizer.bos): NEVER, str(tokenizer.sep): NEVER},
    }


def read_choice(choice: dict[str, Any], config: SamplingConfig, tokenizer: Tokenizer) -> Written:
    """One document of an answer, without its eos; cut and unfinished where it did not end after ``max_tokens``, or
    where a server that ignores ``logit_bias`` drew bos or sep.

    Raises UserError for an answer without token ids or without their log-probabilities.
    """
    log_probs = (choice.get("logprobs") or {}).get("token_logprobs")
    tokens = _token_ids(choice)
    if tokens is None:
        raise UserError("the server gives no token ids back (return_token_ids); vLLM from 0.10.2 and sbp serve do")
    if log_probs is None or len(log_probs) != len(tokens):
        raise UserError("the server gives no log-probabilities of the tokens (logprobs) back")
    ids = np.array(tokens, dtype=np.int64)
    ended = choice.get("finish_reason") == "stop" or tokenizer.eos in tokens
    whole = ended or (config.min_tokens == config.max_tokens == len(ids))
    special = np.flatnonzero(ids >= tokenizer.symbols)
    length = min(int(special[0]) if len(special) else len(ids), config.max_tokens)
    finished = whole and (length == len(ids) or ids[length] == tokenizer.eos)
    return Written(ids[:length], np.array(log_probs[: length + finished], dtype=np.float64), finished)


def _token_ids(choice: dict[str, Any]) -> list[int] | None:
    for name in ("token_ids", "response_token_ids"):
        if choice.get(name) is not None:
            return choice[name]
    tokens = (choice.get("logprobs") or {}).get("tokens")
    if tokens is None or not all(str(token).startswith(PLACEHOLDER) for token in tokens):
        return None
    return [int(token.removeprefix(PLACEHOLDER)) for token in tokens]
