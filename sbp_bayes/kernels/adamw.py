"""AdamW on many tensors in one launch: bfloat16 moments, stochastic rounding, each number read and written once.

Definition: `sbp_bayes.training.adamw_bf16.adamw`, and for the random bits `sbp_bayes.training.stochastic_rounding`.
A program takes one tile of one tensor. Where the tensors are it reads from a table of addresses.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from sbp_bayes.kernels import CompileCase
from sbp_bayes.training import stochastic_rounding

HALF = tl.constexpr(stochastic_rounding.TILE // 2)
ROUNDS = tl.constexpr(stochastic_rounding.ROUNDS)
TYPES = {torch.bfloat16: tl.bfloat16, torch.float32: tl.float32}
ALIGNMENT = 16  # bytes of an address, numbers in a tensor
OPTIONS = {"num_warps": 4}


@triton.jit
def rounded(x, noise):
    """float32 to bfloat16, up with the probability that the digits cut off say."""
    bits = x.to(tl.uint32, bitcast=True)
    bits = tl.where((bits & 0x7F800000) == 0x7F800000, bits, bits + noise)  # infinities and NaN as they are
    return (bits >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)


@triton.jit(do_not_specialize=["step", "seed"])
def update_kernel(
    table,
    owners,
    tensors,
    keep,
    size,
    gain1,
    gain2,
    root,
    eps,
    step,
    seed,
    PARAMETER: tl.constexpr,
    GRADIENT: tl.constexpr,
    ALIGNED: tl.constexpr,
):
    """One tile a program. table (7, tensors): addresses of the four tensors, numbers in each, stream, first program.

    ALIGNED: addresses and numbers are multiples of 16, so that 16 bytes are read at a time.
    """
    program = tl.program_id(0)
    row = table + tl.load(owners + program)
    parameter = tl.cast(tl.load(row), tl.pointer_type(PARAMETER))
    gradient = tl.cast(tl.load(row + tensors), tl.pointer_type(GRADIENT))
    mean = tl.cast(tl.load(row + 2 * tensors), tl.pointer_type(tl.bfloat16))
    square = tl.cast(tl.load(row + 3 * tensors), tl.pointer_type(tl.bfloat16))
    numbers = tl.load(row + 4 * tensors)
    if ALIGNED:
        parameter, gradient = tl.multiple_of(parameter, 16), tl.multiple_of(gradient, 16)
        mean, square = tl.multiple_of(mean, 16), tl.multiple_of(square, 16)
        numbers = tl.multiple_of(numbers, 16)
    tile = program - tl.load(row + 6 * tensors)  # int64
    lane = tl.arange(0, HALF)
    counter = tl.cast(tile * HALF + lane, tl.uint32)
    stream = counter * 0 + tl.cast(tl.load(row + 5 * tensors), tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, counter, stream, counter * 0 + tl.cast(step, tl.uint32), counter * 0, ROUNDS)
    for half in tl.static_range(2):
        place = (2 * tile + half) * HALF + lane
        inside = place < numbers
        low = w0 if half == 0 else w2
        high = w1 if half == 0 else w3
        g = tl.load(gradient + place, mask=inside, other=0.0).to(tl.float32)
        m = tl.load(mean + place, mask=inside, other=0.0).to(tl.float32)
        v = tl.load(square + place, mask=inside, other=0.0).to(tl.float32)
        p = tl.load(parameter + place, mask=inside, other=0.0).to(tl.float32)
        m += (g - m) * gain1
        v += (g * g - v) * gain2
        p = p * keep - size * m / (tl.sqrt(v) * root + eps)
        tl.store(mean + place, rounded(m, low >> 16), mask=inside)
        tl.store(square + place, rounded(v, high & 0xFFFF), mask=inside)
        if tl.bfloat16 == PARAMETER:
            tl.store(parameter + place, rounded(p, low & 0xFFFF), mask=inside)
        else:
            tl.store(parameter + place, p, mask=inside)


def compile_cases() -> Iterator[CompileCase]:
    """bfloat16 or float32 parameters, aligned or shards that begin anywhere."""
    scalars = dict.fromkeys(("keep", "size", "gain1", "gain2", "root", "eps"), "fp32")
    arguments = {"table": "*i64", "owners": "*i64", "tensors": "i32", **scalars, "step": "i32", "seed": "i64"}
    for parameter, gradient in ((tl.bfloat16,) * 2, (tl.float32,) * 2, (tl.float32, tl.bfloat16)):
        for aligned in (True, False):
            kinds = {"PARAMETER": parameter, "GRADIENT": gradient, "ALIGNED": aligned}
            yield CompileCase(update_kernel, {**arguments, **kinds, **OPTIONS})


@torch.library.custom_op("sbp_bayes::adamw", mutates_args=("parameters", "means", "squares"))
def adamw(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    streams: list[int],
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    step: int,
    seed: int,
) -> None:
    """One step in place, as `sbp_bayes.training.adamw_bf16.adamw`; all tensors on one device."""
    device = parameters[0].device
    gradients = [gradient.contiguous() for gradient in gradients]  # kept until the launch: the table has no claim
    launches = {True: [], False: []}
    for stream, *tensors in zip(streams, parameters, gradients, means, squares, strict=True):
        row = [*(tensor.data_ptr() for tensor in tensors), tensors[0].numel()]
        launches[all(number % ALIGNMENT == 0 for number in row)].append([*row, stream])
    numbers = 1 - rate * decay, rate / (1 - beta1**step), 1 - beta1, 1 - beta2, (1 - beta2**step) ** -0.5, eps
    types = {"PARAMETER": TYPES[parameters[0].dtype], "GRADIENT": TYPES[gradients[0].dtype]}
    for aligned, rows in launches.items():
        table = torch.tensor(rows, dtype=torch.int64).view(-1, 6)
        tiles = -(-table[:, 4] // stochastic_rounding.TILE)
        programs = int(tiles.sum())
        if programs:
            first = tiles.cumsum(0) - tiles
            table, tiles = torch.cat((table, first[:, None]), 1).T.contiguous().to(device), tiles.to(device)
            # Which tensor a program works on, made on the device: a model has hundreds of tensors, millions of tiles.
            owners = torch.repeat_interleave(torch.arange(len(rows), device=device), tiles, output_size=programs)
            arguments = table, owners, len(rows), *numbers, step, seed
            update_kernel[(programs,)](*arguments, **types, ALIGNED=aligned, **OPTIONS)


@adamw.register_fake
def _(*_: object) -> None:
    return None
