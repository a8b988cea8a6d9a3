"""Compiles a Triton kernel for a GPU that need not be there, and says what it would use of it.

report = compile_kernel(kernel, {"x": "*bf16", "rows": "i32", "BLOCK": 64, "num_warps": 4}, arch=90)
reports = [case_report(case, arch) for case in all_cases() for arch in ARCHITECTURES]
"""

import pkgutil
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sbp_bayes import kernels
from sbp_bayes.kernels import CompileCase

ARCHITECTURES = (80, 90)  # A100, H100 and H200
SHARED_LIMIT = {80: 166_912, 90: 232_448}  # bytes a program may have
TENSOR_CORE = re.compile(r"\b(HGMMA|HMMA|DMMA|IMMA|QGMMA)\b")
LAUNCH_OPTIONS = ("num_warps", "num_stages", "maxnreg")
FUSION = {"enable_fp_fusion": True}  # multiply and add in one instruction, the default; named, or Triton 3.9 warns


@dataclass(frozen=True)
class Compiled:
    """What one configuration of a kernel takes on one architecture.

    registers: of a thread; spills: bytes of loads and stores that registers had no room for; shared: bytes a program;
    tensor_cores: instructions by name, e.g. ``16 HGMMA``.
    """

    kernel: str
    configuration: str
    arch: int
    registers: int
    spills: int
    shared: int
    tensor_cores: str

    @property
    def row(self) -> dict:
        """Plain values, for the table."""
        return asdict(self)

    def check(self, tensor_cores: str | None = None) -> None:
        """No spills, shared memory that fits, and where a name is given instructions of that name."""
        assert self.spills == 0, f"{self}: spills registers"
        assert self.shared <= SHARED_LIMIT[self.arch], f"{self}: more shared memory than sm_{self.arch} has"
        assert self.registers <= 255, self
        if tensor_cores is not None:
            assert tensor_cores in self.tensor_cores, f"{self}: expected {tensor_cores}"


def kernel_modules() -> Iterator[ModuleType]:
    """Every file of `sbp_bayes.kernels` that offers ``compile_cases``, in the order of their names."""
    for name in sorted(module.name for module in pkgutil.iter_modules(kernels.__path__)):
        module = import_module(f"{kernels.__name__}.{name}")
        if hasattr(module, "compile_cases"):
            yield module


def all_cases() -> Iterator[CompileCase]:
    """Every configuration of every kernel."""
    for module in kernel_modules():
        yield from module.compile_cases()


def case_report(case: CompileCase, arch: int) -> Compiled:
    """Compile ``case`` for sm_``arch`` and check it: AssertionError where it breaks a limit or lacks a tensor core."""
    report = compile_kernel(case.kernel, case.arguments, arch)
    report.check(case.tensor_cores and case.tensor_cores[ARCHITECTURES.index(arch)])
    return report


def compile_kernel(kernel, arguments: Mapping[str, object], arch: int) -> Compiled:
    """Compile ``kernel``, a `triton.jit` function, for sm_``arch``; arguments as in `CompileCase`.

    Pointers are taken as aligned to 16 bytes. RuntimeError where ptxas refuses the code.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    options = {name: arguments[name] for name in LAUNCH_OPTIONS if name in arguments}
    unknown = set(arguments) - set(kernel.arg_names) - set(LAUNCH_OPTIONS)
    assert not unknown, f"{kernel.__name__} has no parameters {unknown}"
    signature, constants, aligned = {}, {}, {}
    for place, name in enumerate(kernel.arg_names):
        value = arguments[name]
        if isinstance(value, str):
            signature[name] = value.removesuffix(":16")
            if value.startswith("*") or value.endswith(":16"):
                aligned[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "constexpr"
            constants[name] = value
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options | FUSION)
    usage, instructions = _assemble(compiled.asm["ptx"], arch)
    names = TENSOR_CORE.findall(instructions)
    types = " ".join(dict.fromkeys(kind[1:] for kind in signature.values() if kind[:3] in ("*fp", "*bf")))
    settings = {name: value for name, value in {**constants, **options}.items() if value is not None}
    return Compiled(
        kernel=f"{kernel.fn.__module__.rpartition('.')[2]}.{kernel.__name__.removesuffix('_kernel')}",
        configuration=" ".join(filter(None, [types, *(f"{name}={value}" for name, value in settings.items())])),
        arch=arch,
        registers=_number(r"Used (\d+) registers", usage),
        spills=_number(r"(\d+) bytes spill stores", usage) + _number(r"(\d+) bytes spill loads", usage),
        shared=compiled.metadata.shared,
        tensor_cores=", ".join(f"{names.count(name)} {name}" for name in sorted(set(names))),
    )


def _assemble(ptx: str, arch: int) -> tuple[str, str]:
    """What ptxas says of registers, and the machine code as text: empty where no tensor core can be in it."""
    import triton
    from triton.backends.nvidia.compiler import get_ptxas

    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx, encoding="utf-8")
        target = f"sm_{arch}{'a' if arch >= 90 else ''}"
        usage = _run(get_ptxas(arch).path, "-v", f"--gpu-name={target}", str(source), "-o", str(binary))
        if "mma" not in ptx:  # disassembling takes most of the time
            return usage, ""
        tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
        return usage, _run(str(tools / "nvdisasm"), "-c", str(binary))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return done.stdout + done.stderr


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def table(rows: list[dict]) -> list[str]:
    """Lines of a plain-text table of `Compiled.row`s, sorted, each once."""
    header = ("kernel", "configuration", "arch", "registers", "spills", "shared", "tensor_cores")
    cells = sorted({tuple(str(row[name]) for name in header) for row in rows})
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [header, *cells]]
