"""The residual stream at the separator: read it, put another in its place, or take a subspace out of it.

Through forward hooks on the blocks, so that the model's code knows nothing of it. The separator is where a model that
infers first and writes then would keep what it inferred: it has read all of d1 and comes before all of d2.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from analysis.synthesizers import TransformerSynthesizer

Change = Callable[[int, Tensor], Tensor]  # (layer, what the block wrote (B, T, D)) -> what is handed on (B, T, D)


def separator_place(d1: Tensor) -> int:
    """Where in [bos] d1 [sep] the separator stands."""
    return d1.shape[1] + 1


def prompt_states(synthesizer: TransformerSynthesizer, d1: Tensor) -> Tensor:
    """(layers, B, L + 2, D): what each block wrote at every token of [bos] d1 [sep]; on the CPU, float32."""
    return _states(synthesizer, d1[:, :1], d1)


def separator_states(synthesizer: TransformerSynthesizer, d1: Tensor) -> Tensor:
    """(layers, B, D): what each block wrote at the separator after ``d1`` (B, L); on the CPU, float32."""
    return prompt_states(synthesizer, d1)[:, :, separator_place(d1)]


@contextmanager
def changed(synthesizer: TransformerSynthesizer, change: Change) -> Iterator[None]:
    """Within it, ``change`` is applied to what every block hands on."""

    def hook(layer: int):
        return lambda module, inputs, output: change(layer, output)

    handles = [block.register_forward_hook(hook(layer)) for layer, block in enumerate(synthesizer.model.layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def patched_log_probs(
    synthesizer: TransformerSynthesizer, d2: Tensor, d1: Tensor, other: Tensor, places: Sequence[int] | None = None
) -> Tensor:
    """Next-token laws (B, L, V) of ``d2`` given ``d1`` with the separator's residual stream as it is after ``other``.

    places: which tokens of the prompt are replaced, the separator alone where not given. In every layer; the tokens of
    d1 themselves stay in sight, so that laws move as far as d2 is written from the separator.
    """
    places = [separator_place(d1)] if places is None else list(places)
    parts = []
    for rows in torch.arange(len(d1)).split(synthesizer.batch):
        states = prompt_states(synthesizer, other[rows])

        def replace(layer: int, output: Tensor, states: Tensor = states) -> Tensor:
            output = output.clone()
            output[:, places] = states[layer][:, places].to(output)
            return output

        with changed(synthesizer, replace):
            parts.append(synthesizer.next_token_log_probs(d2[rows], d1[rows]))
    return torch.cat(parts)


def writing_states(synthesizer: TransformerSynthesizer, d2: Tensor, d1: Tensor) -> Tensor:
    """(layers, B, L, D): what each block wrote where the tokens of ``d2`` are predicted, the separator first."""
    return _states(synthesizer, d2, d1)[:, :, separator_place(d1) :]


def ablated_log_probs(
    synthesizer: TransformerSynthesizer, d2: Tensor, d1: Tensor, subspaces: Sequence[Tensor], means: Tensor
) -> Tensor:
    """Next-token laws (B, L, V) of ``d2`` given ``d1`` with a subspace held at its mean from the separator on.

    subspaces: for each layer orthonormal directions (D, K); means: (layers, L, D), the mean of `writing_states`. Only
    the tokens of d1 keep the subspace.
    """
    start = separator_place(d1)

    def flatten(layer: int, output: Tensor) -> Tensor:
        output, basis = output.clone(), subspaces[layer].to(output)
        off = output[:, start:] - means[layer].to(output)
        output[:, start:] -= (off @ basis) @ basis.T
        return output

    with changed(synthesizer, flatten):
        return synthesizer.next_token_log_probs(d2, d1)


@torch.no_grad()
def _states(synthesizer: TransformerSynthesizer, d2: Tensor, d1: Tensor) -> Tensor:
    """(layers, B, 1 + L + L', D): what each block wrote at every token read; on the CPU, float32."""
    found: list[list[Tensor]] = [[] for _ in synthesizer.model.layers]

    def keep(layer: int, states: Tensor) -> Tensor:
        found[layer].append(states.float().cpu())
        return states

    with changed(synthesizer, keep):
        synthesizer.next_token_log_probs(d2, d1)
    return torch.stack([torch.cat(parts) for parts in found])
