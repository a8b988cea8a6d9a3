"""The forward algorithm for many hidden Markov models at once: batched matrix products, rescaled every few steps.

Layout (K, B, S): K models, B documents, S states, so that one `bmm` moves all documents of all models by one token.
Within a block of steps nothing is normalised; float64 has room for that, and the length of a block is chosen so that
no positive number can underflow in it. Where a state's share is too small at the start of a block for that to be
certain, the document is done again in log space, so that -inf always means impossible.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic_worlds import kernels

CHUNK_ELEMENTS = 2**17  # K * B * S of one chunk: 1 MiB a buffer, which stays in cache
GPU_CHUNK_ELEMENTS = 2**26  # a GPU wants more documents at a time: 512 MiB
BLOCK_STEPS = 8
SMALLEST_SHARE = 1e-100
LOG_SMALLEST_WEIGHT = -600.0  # a model's weight in a mixture below exp of this may vanish before the block ends ...
SMALLEST_TOKEN = 1e-30  # ... which matters only where a token is this unlikely


@dataclass(frozen=True, eq=False)
class HiddenMarkovModels:
    """K models of S states over V tokens: initial (K, S), transition (K, S, S), emission (K, S, V), float64."""

    initial: Tensor
    transition: Tensor
    emission: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "emission_KVS", self.emission.transpose(1, 2).contiguous())
        object.__setattr__(self, "block", _block_steps(self.transition, self.emission))

    @property
    def S(self) -> int:
        """Number of states."""
        return self.initial.shape[1]

    @property
    def chunk(self) -> int:
        """Documents handled at a time."""
        return max(1, (GPU_CHUNK_ELEMENTS if self.initial.is_cuda else CHUNK_ELEMENTS) // self.initial.numel())

    @property
    def log_space_chunk(self) -> int:
        """Documents handled at a time in log space, whose intermediates are larger and which few documents need."""
        return max(1, CHUNK_ELEMENTS // self.initial.numel())


def _block_steps(transition: Tensor, emission: Tensor) -> int:
    """Steps without normalising: from a share of SMALLEST_SHARE none of them can underflow. 0: not even one step."""
    smallest = (math.log10(float(values[values > 0].min())) for values in (transition, emission))
    return min(BLOCK_STEPS, int((300 + math.log10(SMALLEST_SHARE)) / max(-sum(smallest), 1e-9)))


class ScaledForward:
    """Iterates over t = 0 .. L, each time with ``predicted`` (K, B, S) and ``log_scale`` (K, B) such that

    ``predicted * exp(log_scale) = p(x_<t, s_t | model)``. The buffers are reused: read them before the next step.
    ``lossy`` (B,) says afterwards which documents have shares too small for float64 and need `log_predicted`.
    """

    def __init__(self, models: HiddenMarkovModels, tokens: Tensor):
        self.models, self.tokens = models, tokens
        self.predicted = models.initial[:, None].repeat(1, len(tokens), 1)
        self.log_scale = self.predicted.new_zeros(self.predicted.shape[:2])
        self.lossy = torch.full((len(tokens),), models.block == 0, device=tokens.device)

    def __iter__(self) -> Iterator[int]:
        models, spare, emitted = self.models, torch.empty_like(self.predicted), torch.empty_like(self.predicted)
        length = self.tokens.shape[1]
        for t in range(length):
            if t and t % max(models.block, 1) == 0:
                self._rescale()
            yield t
            torch.index_select(models.emission_KVS, 1, self.tokens[:, t], out=emitted)
            torch.bmm(self.predicted.mul_(emitted), models.transition, out=spare)
            self.predicted, spare = spare, self.predicted
        yield length

    def _rescale(self) -> None:
        total = self.predicted.sum(-1)
        self.log_scale += total.log()
        self.predicted /= total.masked_fill_(total == 0, 1.0)[..., None]
        self.lossy |= ((self.predicted > 0) & (self.predicted < SMALLEST_SHARE)).flatten(2).any(2).any(0)


def log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    """(B, K) log p(tokens | model) in nats."""
    return torch.cat([_log_likelihood(models, some) for some in tokens.split(models.chunk)])


def _log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    if kernels.serve(tokens, models.S, kernels.HMM_STATES):
        result, lossy = _kernel(models, tokens, every=False)
    else:
        result, lossy = scaled_log_likelihood(models, tokens)
    for rows in lossy.nonzero()[:, 0].split(models.log_space_chunk):
        result[rows] = log_predicted(models, tokens[rows])[:, :, -1].logsumexp(-1)
    return result


def scaled_log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) log p(tokens | model), but for the documents (B,) that are lossy: see `ScaledForward`."""
    forward = ScaledForward(models, tokens)
    for _ in forward:
        pass
    return (forward.predicted.sum(-1).log() + forward.log_scale).T.contiguous(), forward.lossy


def _kernel(models: HiddenMarkovModels, tokens: Tensor, every: bool) -> tuple[Tensor, Tensor]:
    from synthetic_worlds.kernels import hmm

    parameters = models.initial, models.transition, models.emission_KVS
    return hmm.forward(*parameters, tokens, models.block, SMALLEST_SHARE, every)


def prefix_log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    """(B, K, L+1) log p(x_<t | model) for t = 0 .. L."""
    return torch.cat([_prefix_log_likelihood(models, some) for some in tokens.split(models.chunk)])


def _prefix_log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    if kernels.serve(tokens, models.S, kernels.HMM_STATES):
        result, lossy = _kernel(models, tokens, every=True)
    else:
        result, lossy = scaled_prefix_log_likelihood(models, tokens)
    for rows in lossy.nonzero()[:, 0].split(models.log_space_chunk):
        result[rows] = log_predicted(models, tokens[rows]).logsumexp(-1)
    return result


def scaled_prefix_log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, L+1) log p(x_<t | model) for t = 0 .. L, but for the documents (B,) that are lossy."""
    forward = ScaledForward(models, tokens)
    steps = [forward.predicted.sum(-1).log() + forward.log_scale for _ in forward]
    return torch.stack(steps, -1).transpose(0, 1).contiguous(), forward.lossy


def next_token_log_likelihood(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    """(B, K, L, V) log p(x_t = v | x_<t, model); -inf throughout after a prefix that the model never produces."""
    forward = ScaledForward(models, tokens)
    steps = [torch.bmm(forward.predicted, models.emission) for t in forward if t < tokens.shape[1]]
    joint = torch.stack(steps, 2).transpose(0, 1)
    result = (joint / joint.sum(-1, keepdim=True).clamp_min(torch.finfo(joint.dtype).tiny)).log()
    if forward.lossy.any():
        states = log_predicted(models, tokens[forward.lossy])[:, :, :-1]
        joint = (states[..., None] + models.emission.log()[:, None]).logsumexp(-2)
        total = joint.logsumexp(-1, keepdim=True)
        result[forward.lossy] = joint - total.masked_fill(total == -torch.inf, 0.0)
    return result


def mixture_next_token_log_probs(
    models: HiddenMarkovModels, log_weights: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """(B, L, V) log p(x_t = v | x_<t) under a mixture of the models with ``log_weights`` (B, K), and ``lossy`` (B,).

    Model and state are summed over in one matrix product a step. Rows marked lossy must be computed in log space
    instead (`next_token_log_likelihood`): a model's weight had vanished where it may matter.
    """
    result = log_weights.new_empty(*tokens.shape, models.emission.shape[2])
    lossy = torch.empty(len(tokens), dtype=torch.bool, device=tokens.device)
    for start in range(0, len(tokens), models.chunk):
        rows = slice(start, start + models.chunk)
        lossy[rows] = _mixture_into(result[rows], models, log_weights[rows], tokens[rows])
    return result, lossy


def _mixture_into(result: Tensor, models: HiddenMarkovModels, log_weights: Tensor, tokens: Tensor) -> Tensor:
    rows, length = tokens.shape
    emission = models.emission.flatten(0, 1)
    joint = log_weights.new_empty(rows, *models.initial.shape)
    steps = log_weights.new_empty(length, rows, emission.shape[1])
    vanishing = torch.zeros(rows, dtype=torch.bool, device=tokens.device)
    forward = ScaledForward(models, tokens)
    for t in forward:
        if t == length:
            break
        if t % max(models.block, 1) == 0:  # between rescalings the models' weights need no attention
            log_total = log_weights + (forward.log_scale + forward.predicted.sum(-1).log()).T
            top = log_total.amax(1, keepdim=True)
            top = top.masked_fill(top == -torch.inf, 0.0)
            vanishing |= (torch.isfinite(log_total) & (log_total - top < LOG_SMALLEST_WEIGHT)).any(1)
            weights = (log_weights + forward.log_scale.T - top).exp()[..., None]
        torch.mul(forward.predicted.transpose(0, 1), weights, out=joint)
        torch.mm(joint.flatten(1), emission, out=steps[t])
    total = steps.sum(-1, keepdim=True)
    steps /= total.masked_fill_(total == 0, 1.0)
    torch.log(steps.transpose(0, 1), out=result)
    return forward.lossy | (vanishing & (result.amin((1, 2)) < math.log(SMALLEST_TOKEN)))


def log_predicted(models: HiddenMarkovModels, tokens: Tensor) -> Tensor:
    """(B, K, L+1, S) log p(x_<t, s_t | model) by logsumexp: slow, never underflows; the reference for the above."""
    transition, emission = models.transition.log(), models.emission_KVS.log()
    state = models.initial.log().expand(len(tokens), -1, -1)
    steps = [state]
    for t in range(tokens.shape[1]):
        seen = state + emission[:, tokens[:, t]].transpose(0, 1)
        state = (seen[..., None] + transition).logsumexp(-2)
        steps.append(state)
    return torch.stack(steps, 2)
