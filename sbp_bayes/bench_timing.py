"""Time and memory of one call on a GPU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

WARM_UP_MS, REPEAT_MS = 100, 500


@dataclass(frozen=True)
class Measured:
    """ms: median milliseconds of a call, caches cold; mib: peak memory beyond the inputs, MiB; note: why there is none.

    Without a measurement both numbers are None, never estimated.
    """

    ms: float | None = None
    mib: float | None = None
    note: str = ""


NO_DEVICE = Measured(note="no CUDA device")


def call(function: Callable, inputs: list, learnt: Sequence[int] = ()) -> Callable[[], object]:
    """``function(*inputs)``, with the gradients of the inputs at the places ``learnt``, to be called again and again.

    The gradients that come from above are all ones. The call returns the outputs followed by the gradients.
    """
    if not learnt:
        return lambda: function(*inputs)
    inputs = [x.detach().requires_grad_() if place in learnt else x for place, x in enumerate(inputs)]
    wanted = [inputs[place] for place in learnt]

    def both() -> tuple:
        outputs = function(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        ones = [torch.ones_like(output) for output in outputs]
        return *outputs, *torch.autograd.grad(outputs, wanted, ones)

    return both


def measure(run: Callable[[], object]) -> Measured:
    """Time ``run`` on the current CUDA device; whatever it raises (no memory, no support there) becomes the note."""
    if not torch.cuda.is_available():
        return NO_DEVICE
    from triton.testing import do_bench

    try:
        run()  # compiles
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        mib = (torch.cuda.max_memory_allocated() - before) / 2**20
        return Measured(do_bench(run, warmup=WARM_UP_MS, rep=REPEAT_MS, return_mode="median"), mib)
    except torch.cuda.OutOfMemoryError:
        return Measured(note="out of memory")
    except Exception as error:
        return Measured(note=f"{type(error).__name__}: {error}".splitlines()[0][:200])
    finally:
        torch.cuda.empty_cache()
