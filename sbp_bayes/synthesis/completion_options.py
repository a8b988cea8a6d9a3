"""What a completions request may ask of `sbp_bayes.synthesis.server`, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.synthesis.sampler import SamplingConfig

MOST_COPIES = 1024


@dataclass(frozen=True)
class Options:
    """A request's options; ids: log-probs name their tokens by number; sampling: None where nothing is drawn."""

    n: int
    max_tokens: int
    sampling: SamplingConfig | None
    seed: int | None
    logprobs: bool
    echo: bool
    return_token_ids: bool
    ids: bool
    stop: tuple[str, ...]

    def cut(self, tokens: list[int], decode: Callable[[list[int]], str]) -> tuple[str, int]:
        """The text of ``tokens`` up to the first stop string, and how many tokens it took to write that string."""
        text = decode(tokens)
        places = [text.find(stop) for stop in self.stop if stop in text]
        if not places:
            return text, len(tokens)
        kept = next(k for k in range(1, len(tokens) + 1) if any(stop in decode(tokens[:k]) for stop in self.stop))
        return text[: min(places)], kept


def read_options(body: dict[str, Any], tokenizer: Tokenizer) -> Options:
    """Read a request's body. Raises UserError for what is out of range and for what this server does not do."""
    if body.get("stream"):
        raise UserError("stream: not served here")
    ours = {str(tokenizer.bos), str(tokenizer.sep)}
    if set(body.get("logit_bias") or {}) - ours:
        raise UserError("logit_bias: not served here, but for bos and sep, which are never drawn")
    max_tokens = _number(body, "max_tokens", int, 16, 0)
    sampling = None
    if max_tokens:
        sampling = SamplingConfig(
            temperature=_number(body, "temperature", float, 1.0, 0),
            top_p=_number(body, "top_p", float, 1.0, 0),
            min_tokens=_number(body, "min_tokens", int, 0, 0),
            max_tokens=max_tokens,
        )
    stop = body.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(one, str) and one for one in stop):
        raise UserError("stop: expected a text or a list of texts")
    return Options(
        n=_number(body, "n", int, 1, 1, MOST_COPIES),
        max_tokens=max_tokens,
        sampling=sampling,
        seed=None if body.get("seed") is None else _number(body, "seed", int, 0),
        logprobs=body.get("logprobs") is not None,
        echo=bool(body.get("echo")),
        return_token_ids=bool(body.get("return_token_ids")),
        ids=bool(body.get("return_tokens_as_token_ids")),
        stop=tuple(stop),
    )


def _number(body: dict, name: str, kind: type, default: float, low: float | None = None, high: float | None = None):
    value = default if body.get(name) is None else body[name]
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        raise UserError(f"{name}: expected a {'whole ' if kind is int else ''}number, got {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise UserError(f"{name}: expected {low} to {high or 'any'}, got {value}")
    return kind(value)
