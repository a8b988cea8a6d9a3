"""Every kernel and every configuration, compiled for GPUs that are not there."""

import pytest
import triton.language as tl
from triton import JITFunction, jit

from sbp_bayes.kernels import CompileCase
from sbp_bayes.kernels.compilation import ARCHITECTURES, all_cases, case_report, kernel_modules


def named(case):
    """``swiglu.forward_kernel-bf16-2048-8``."""
    file = case.kernel.fn.__module__.rpartition(".")[2]
    types = {value[1:] for value in case.arguments.values() if str(value).startswith(("*fp", "*bf"))}
    constants = [str(value) for value in case.arguments.values() if not isinstance(value, str)]
    return "-".join([f"{file}.{case.kernel.__name__}", *sorted(types), *constants])


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("case", list(all_cases()), ids=named)
def test_compiles_without_spills_and_within_limits(case, arch, kernel_table):
    kernel_table(case_report(case, arch))


def test_no_kernel_is_left_out():
    modules = list(kernel_modules())
    assert len(modules) >= 8
    for module in modules:
        written = {f for name, f in vars(module).items() if isinstance(f, JITFunction) and name.endswith("_kernel")}
        assert written == {case.kernel for case in module.compile_cases()} != set(), module.__name__


@jit
def greedy_kernel(x, result, N: tl.constexpr):
    places = tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(result + places, tl.dot(tl.load(x + places), tl.load(x + places)))


def greedy(tensor_cores, **options):
    arguments = {"x": "*bf16", "result": "*fp32", "N": 64, "num_warps": 4, **options}
    return CompileCase(greedy_kernel, arguments, tensor_cores)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_kernel_that_lacks_its_instructions_is_refused(arch):
    assert case_report(greedy(("HMMA", "HGMMA")), arch).registers > 0
    with pytest.raises(AssertionError, match="expected IMMA"):
        case_report(greedy(("IMMA", "IMMA")), arch)


def test_a_kernel_that_spills_is_refused():
    with pytest.raises(AssertionError, match="spills"):
        case_report(greedy(None, maxnreg=40), 80)
