"""One dial, from a model that trains in seconds on a CPU to the paper's 3B and 6B."""

from dataclasses import dataclass

from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import ModelConfig


@dataclass(frozen=True)
class Size:
    """A shape, and the peak learning rate (AdamW) and batch (tokens a step) that suit it."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    tied: bool
    rope_theta: float
    learning_rate: float
    batch_tokens: int


# 3B and 6B are the paper's shapes (the 6B's SwiGLU size is not published: 11,008 gives 6.1B). 1B is Llama 3.2's shape,
# 125M and 350M are GPT-3's with SwiGLU, the small ones ours.
# Learning rates follow 6e-4 (125M / parameters)^0.226, within a quarter: the line through 3e-3 at 0.1M, found by trial,
# and GPT-3's 6e-4 at 125M, which goes on through the 3e-4 that Llama 2 and OLMo took for 7B. Batches
# are the paper's 2,048 rows of 4,096 from 3B, GPT-3's or half of them down to 125M, and what a CPU can do below.
SIZES: dict[str, Size] = {
    "0.03M": Size(2, 32, 2, 2, 16, 96, True, 1e4, 4e-3, 1_088),
    "0.1M": Size(2, 64, 2, 2, 32, 192, True, 1e4, 3e-3, 1_088),
    "1M": Size(4, 128, 4, 4, 32, 352, True, 1e4, 2e-3, 2_048),
    "10M": Size(6, 320, 5, 5, 64, 864, True, 1e4, 1e-3, 16_384),
    "125M": Size(12, 768, 12, 12, 64, 2048, True, 1e4, 6e-4, 262_144),
    "350M": Size(24, 1024, 16, 16, 64, 2816, True, 1e4, 5e-4, 524_288),
    "1B": Size(16, 2048, 32, 8, 64, 8192, True, 5e5, 3e-4, 1_048_576),
    "3B": Size(26, 3072, 24, 8, 128, 8064, False, 5e5, 3e-4, 8_388_608),
    "6B": Size(32, 4096, 32, 8, 128, 11008, False, 5e5, 3e-4, 8_388_608),
}


def size_named(name: str) -> Size:
    """The dial's setting ``name``; UserError lists the settings there are."""
    if name not in SIZES:
        raise UserError(f"model size {name!r}: expected one of {', '.join(SIZES)}")
    return SIZES[name]


def model_config(name: str, vocabulary_size: int) -> ModelConfig:
    """The shape of size ``name`` with ``vocabulary_size`` token ids (specials included)."""
    size = size_named(name)
    return ModelConfig(
        vocabulary_size=vocabulary_size,
        width=size.width,
        layers=size.layers,
        heads=size.heads,
        kv_heads=size.kv_heads,
        head_dim=size.head_dim,
        hidden=size.hidden,
        tied=size.tied,
        rope_theta=size.rope_theta,
    )


def size_of(config: ModelConfig) -> str | None:
    """The dial's setting that has the shape ``config``, whatever its vocabulary; None where no setting has it."""
    return next((name for name in SIZES if model_config(name, config.vocabulary_size) == config), None)
