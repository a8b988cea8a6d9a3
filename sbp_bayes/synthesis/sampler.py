"""Sampling documents after prompts: batched, with a key-value cache, exact log-probabilities alongside."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sbp_bayes import kernels
from sbp_bayes.errors import UserError
from sbp_bayes.ledger import forward_flops
from sbp_bayes.model import cpu_decoding
from sbp_bayes.model.cache import KeyValueCache
from sbp_bayes.model.cpu_decoding import CpuDecoder
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress

if TYPE_CHECKING:
    from sbp_bayes.documents.tokenizer import Tokenizer

WINDOW = 4096  # prompts that share one draw of random numbers and are sorted by length together
LEAST_TEMPERATURE = 1e-6  # logits over less need not be finite; at it the most likely token is as good as certain
SHRINK_AT = 0.75  # finished rows leave a batch once fewer than this share are still being written


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How documents are drawn.

    temperature: 0 takes the most likely token, others are at least `LEAST_TEMPERATURE`; top_p: keep the smallest set of
    tokens with this much probability.
    min_tokens, max_tokens: length of a document without specials; where they are equal the length is given, and the end
    is neither drawn before nor missed after; otherwise a document that does not end after max_tokens is unfinished.
    batch_size: documents written at a time; it does not change which random number decides which token.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    min_tokens: int = 1
    max_tokens: int
    batch_size: int = 512

    @classmethod
    def like(cls, lengths: np.ndarray, max_tokens: int = 0, **law: float) -> "SamplingConfig":
        """For documents like those of so many tokens (N,): of their length where all have one, else of 1 to max_tokens;
        0: as many as the longest has.
        """
        shortest, longest = int(lengths.min()), int(lengths.max())
        return cls(min_tokens=shortest if shortest == longest else 1, max_tokens=max_tokens or longest, **law)

    def __post_init__(self) -> None:
        _check_law(self.temperature, self.top_p)
        if not 0 <= self.min_tokens <= self.max_tokens or self.max_tokens < 1:
            raise UserError(
                "sampling: expected 0 <= min_tokens <= max_tokens and max_tokens >= 1, "
                f"got {self.min_tokens} and {self.max_tokens}"
            )
        if self.batch_size < 1:
            raise UserError(f"sampling.batch_size: expected a positive whole number, got {self.batch_size}")

    @property
    def law(self) -> dict:
        """What decides the documents, as plain JSON: all but the batch size."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "batch_size"}


class Written(NamedTuple):
    """One document: tokens and log_probs as in `Samples`; finished: whether it ended."""

    tokens: np.ndarray
    log_probs: np.ndarray
    finished: bool


@dataclass(frozen=True)
class Samples:
    """Documents in the order of their prompts.

    tokens: int64 arrays without specials; log_probs: float64 arrays, log p (nats) of each token and of the eos where
    one was written, under the model itself (no temperature, no truncation); finished (N,) bool; prefill_tokens,
    decoded_tokens: tokens that went through the model; prefill_flops, decoding_flops.
    """

    tokens: list[np.ndarray]
    log_probs: list[np.ndarray]
    finished: np.ndarray
    prefill_tokens: int
    decoded_tokens: int
    prefill_flops: float
    decoding_flops: float

    @property
    def documents(self) -> list[Written]:
        """Document by document."""
        return [Written(*document) for document in zip(self.tokens, self.log_probs, self.finished, strict=True)]


@torch.no_grad()
def sample(
    model: Transformer,
    prompts: Sequence[np.ndarray],
    config: SamplingConfig,
    tokenizer: "Tokenizer",
    generator: torch.Generator,
    name: str = "sample",
    device: torch.device | str | None = None,
) -> Samples:
    """Write one document after each prompt (token ids with their specials, e.g. ``[bos] d1 [sep]``).

    bos and sep are never drawn. Random numbers belong to (prompt, position), drawn from ``generator`` in input order:
    the batch size changes results by no more than rounding, and equal arguments give equal results.
    ``device``: where the model is moved to first. Raises UserError for an empty prompt.
    """
    if device is not None:
        model.to(device)
    if any(len(prompt) == 0 for prompt in prompts):
        raise UserError(f"{name}: a prompt is empty, expected at least one token")
    documents = [Written(np.empty(0, dtype=np.int64), np.empty(0), False)] * len(prompts)
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    with Progress(name, len(prompts), "documents") as progress:
        for first in range(0, len(prompts), WINDOW):
            window = np.arange(first, min(first + WINDOW, len(prompts)))
            shape = (len(window), config.max_tokens + 1)
            uniforms = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
            order = np.argsort(lengths[window], kind="stable")
            for start in range(0, len(order), config.batch_size):
                chosen = order[start : start + config.batch_size]
                batch = [prompts[i] for i in window[chosen]]
                written = write(model, batch, config, tokenizer, uniforms[chosen])
                for i, document in zip(window[chosen], written, strict=True):
                    documents[i] = document
                progress.advance(len(chosen))
    return collect(model, lengths, documents)


@torch.no_grad()
def write(
    model: Transformer, prompts: list[np.ndarray], config: SamplingConfig, tokenizer: "Tokenizer", uniforms: Tensor
) -> list[Written]:
    """One batch: a document after each of B prompts; column t of ``uniforms`` (B, max_tokens + 1) decides token t."""
    batch = _Batch(model, prompts, config, tokenizer, uniforms)
    batch.write()
    return batch.documents()


def collect(model: Transformer, prompt_lengths: np.ndarray, documents: Sequence[Written]) -> Samples:
    """``documents`` written after prompts of so many tokens (N,), with what ``model`` spends on them."""
    lengths = np.asarray(prompt_lengths, dtype=np.int64)
    written = np.array([len(document.log_probs) for document in documents], dtype=np.int64)
    # The last token drawn is never read, so a document of n draws costs n - 1 decoding steps.
    read = np.maximum(written - 1, 0)
    return Samples(
        [document.tokens for document in documents],
        [document.log_probs for document in documents],
        np.array([document.finished for document in documents], dtype=bool),
        prefill_tokens=int(lengths.sum()),
        decoded_tokens=int(read.sum()),
        prefill_flops=_flops(model, lengths.sum(), (lengths * (lengths + 1) / 2).sum()),
        decoding_flops=_flops(model, read.sum(), (read * lengths + read * (read + 1) / 2).sum()),
    )


def _flops(model: Transformer, tokens: float, attended: float) -> float:
    """FLOPs of reading ``tokens`` tokens that look at ``attended`` positions altogether."""
    mean_context = float(attended) / float(tokens) if tokens else 0.0
    return forward_flops(
        model.matrix_parameters, model.config.layers, model.attention_width, float(tokens), mean_context
    )


class _Batch:
    """Documents being written together. Row r of the outputs is prompt r; ``rows`` are those still being written."""

    def __init__(
        self,
        model: Transformer,
        prompts: list[np.ndarray],
        config: SamplingConfig,
        tokenizer: "Tokenizer",
        uniforms: Tensor,
    ):
        self.model, self.config, self.tokenizer = model, config, tokenizer
        self.decoder = CpuDecoder(model) if cpu_decoding.serves(model) else None
        device = model.norm.weight.device
        self.lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        longest = int(self.lengths.max())
        padded = np.full((len(prompts), longest), tokenizer.eos, dtype=np.int64)
        for row, prompt in enumerate(prompts):
            padded[row, : len(prompt)] = prompt
        self.prompts = torch.from_numpy(padded).to(device)
        self.ragged = bool((self.lengths != longest).any())
        self.uniforms = uniforms.to(device)
        self.rows = torch.arange(len(prompts), device=device)
        shape = (len(prompts), config.max_tokens + 1)
        self.tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        self.log_probs = torch.zeros(shape, dtype=torch.float64, device=device)
        self.counts = torch.zeros(len(prompts), dtype=torch.int64, device=device)  # draws of each row, its eos included
        self.finished = torch.zeros(len(prompts), dtype=torch.bool, device=device)

    def write(self) -> None:
        """Draw until every document has ended or has reached max_tokens."""
        config, eos = self.config, self.tokenizer.eos
        cache = self.model.new_cache(len(self.rows), self.prompts.shape[1] + config.max_tokens)
        if self.decoder is not None:
            hidden = self.decoder.prompt(self.prompts, self.lengths, cache)
        else:
            hidden = self.model.hidden(self.prompts, cache=cache)[self.rows, self.lengths - 1]
        for step in range(config.max_tokens + 1):
            drawn, log_prob = self._draw(self.model.logits(hidden).double(), step)
            going = ~self.finished[self.rows]  # rows that have ended stay until enough of them leave together
            ended = going & (drawn == eos)
            # A document still going at max_tokens is cut there: its next token is not part of it.
            kept = ended if step == config.max_tokens else going
            rows = self.rows[kept]
            self.tokens[rows, step], self.log_probs[rows, step] = drawn[kept], log_prob[kept]
            self.counts[rows] += 1
            self.finished[self.rows[ended]] = True
            if step == config.max_tokens:
                break
            drawn, cache = self._drop_finished(drawn, cache)
            if len(self.rows) == 0:
                break
            hidden = self._read(drawn, step, cache)

    def documents(self) -> list[Written]:
        """The documents in the order of their prompts."""
        tokens, log_probs = self.tokens.cpu().numpy(), self.log_probs.cpu().numpy()
        ends = zip(self.counts.tolist(), self.finished.tolist(), strict=True)
        return [
            Written(tokens[row, : count - ended].copy(), log_probs[row, :count].copy(), ended)
            for row, (count, ended) in enumerate(ends)
        ]

    def _draw(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The next token of each row and its log-probability under the model, from logits (R, V) in float64, which are
        overwritten where a token may not be drawn."""
        config, special = self.config, self.tokenizer
        normaliser = logits.logsumexp(dim=-1)
        for banned in (special.bos, special.sep):
            logits[:, banned] = -torch.inf
        if step < config.min_tokens:
            logits[:, special.eos] = -torch.inf
        elif config.min_tokens == config.max_tokens:
            logits[:, : special.eos] = -torch.inf
            logits[:, special.eos + 1 :] = -torch.inf
        drawn = draw(logits, config.temperature, config.top_p, self.uniforms[self.rows, step])
        return drawn, logits.gather(-1, drawn[:, None])[:, 0] - normaliser

    def _drop_finished(self, drawn: Tensor, cache: KeyValueCache) -> tuple[Tensor, KeyValueCache]:
        """Let finished rows leave; in between shrinkings they are computed and ignored."""
        going = ~self.finished[self.rows]
        if int(going.sum()) <= SHRINK_AT * len(going):
            cache.keep(going.nonzero()[:, 0])
            self.rows, drawn = self.rows[going], drawn[going]
        return drawn, cache

    def _read(self, drawn: Tensor, step: int, cache: KeyValueCache) -> Tensor:
        positions = self.lengths[self.rows] + step
        if self.decoder is not None:
            return self.decoder.step(drawn, positions, cache, int(positions.max()) + 1, self.ragged)
        hidden = self.model.hidden(
            drawn[:, None], positions[:, None], cache=cache, slots=int(positions.max()) + 1, ragged=self.ragged
        )
        return hidden[:, 0]


def draw(logits: Tensor, temperature: float, top_p: float, uniforms: Tensor) -> Tensor:
    """One token per row of logits (R, V), of its nucleus at this temperature, by uniforms (R,) in [0, 1).

    temperature: 0 takes the most likely token. Raises UserError for settings that `SamplingConfig` would refuse, and
    for a row that holds a NaN or infinity, or has no finite number at all; -inf is a token that is never drawn.
    """
    _check_law(temperature, top_p)
    if not logits.amax(dim=-1).isfinite().all():
        raise UserError("sampling: a row of logits holds NaN or infinity, or nothing that may be drawn")
    if temperature == 0:
        return logits.argmax(dim=-1)
    if kernels.serve("top_p", logits):
        from sbp_bayes.kernels import top_p as kernel

        return kernel.draw(logits.float(), uniforms, temperature, top_p)
    return inverse_cdf(truncate((logits / temperature).softmax(dim=-1), top_p), uniforms)


def _check_law(temperature: float, top_p: float) -> None:
    """Raise UserError for what nothing can be drawn at."""
    if temperature != 0 and not LEAST_TEMPERATURE <= temperature < math.inf:
        raise UserError(f"sampling.temperature: expected 0 or at least {LEAST_TEMPERATURE:g}, got {temperature}")
    if not 0 < top_p <= 1:
        raise UserError(f"sampling.top_p: expected a share above 0 and up to 1, got {top_p}")


def truncate(probs: Tensor, top_p: float) -> Tensor:
    """Probabilities (R, V) with all but each row's nucleus set to zero (Holtzman et al. 2020), not renormalised.

    The nucleus is the smallest set of most likely tokens whose probability reaches ``top_p``; tokens as likely as its
    least likely one belong to it. It is never empty.
    """
    if top_p >= 1:
        return probs
    values = _descending(probs)
    inside = values.cumsum(dim=-1) - values < top_p
    least = values.gather(-1, inside.sum(dim=-1, keepdim=True) - 1)
    return probs.masked_fill(probs < least, 0.0)


def _descending(values: Tensor) -> Tensor:
    """Each row sorted, largest first. On a CPU by NumPy, which needs no indices and takes a ninth of the time."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=-1)).flip(-1)
    return values.sort(dim=-1, descending=True).values


def inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """One index per row of unnormalised weights (R, V), by uniforms (R,) in [0, 1); weight 0 is never drawn."""
    cdf = weights.cumsum(dim=-1)
    # The first place whose cumulative weight exceeds the target has a positive weight of its own.
    targets = (uniforms[:, None] * cdf[:, -1:]).minimum(torch.nextafter(cdf[:, -1:], cdf.new_zeros(())))
    return torch.searchsorted(cdf, targets, right=True)[:, 0]
