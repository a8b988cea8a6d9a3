"""The ledger: tokens and floating-point operations of every stage, so that arms can be read at equal compute.

FLOPs are counted from the model's shape (multiply-add = 2), not measured: 2 a parameter and token forward, twice that
backward, and 4 * layers * width * context a token for the attention scores and values, halved where causal.
"""

from dataclasses import dataclass

KINDS = ("training", "prefill", "decoding", "embedding", "scoring")


@dataclass(frozen=True)
class Entry:
    """What one stage spent.

    stage: its name; kind: one of `KINDS`; tokens: tokens that went through the model (padding not counted);
    flops: floating-point operations; seconds: wall-clock time of this process, 0.0 where not timed.
    """

    stage: str
    kind: str
    tokens: int
    flops: float
    seconds: float = 0.0

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind


def forward_flops(matrix_parameters: int, layers: int, width: int, tokens: float, mean_context: float) -> float:
    """FLOPs of one forward pass over ``tokens`` tokens.

    matrix_parameters: weights that multiply each token (embedding table left out, output head counted);
    width: heads * head_dim; mean_context: how many positions a token attends to on average.
    """
    return tokens * (2.0 * matrix_parameters + 4.0 * layers * width * mean_context)


def training_flops(matrix_parameters: int, layers: int, width: int, tokens: float, mean_context: float) -> float:
    """Forward and backward: three forward passes."""
    return 3.0 * forward_flops(matrix_parameters, layers, width, tokens, mean_context)
