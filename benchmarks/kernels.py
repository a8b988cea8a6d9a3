"""Every kernel against eager PyTorch, torch.compile and what other libraries have, in one process.

    python benchmarks/kernels.py

Milliseconds (median, caches cold) and peak memory, gradients included where there are any; beside them what the GPU
copies and multiplies in a second. Liger and cut-cross-entropy take part where they are installed (pip install
liger-kernel cut-cross-entropy). Writes benchmarks/results/kernels.json with device and versions. Without a CUDA device
nothing is timed and nothing estimated: numbers are null in the record, which is written only where there is none yet.
"""

import platform
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from kernel_rivals import RIVALS, Rival

from sbp_bayes.bench import measure_form
from sbp_bayes.bench_cases import BenchCase, cases
from sbp_bayes.bench_timing import NO_DEVICE, Measured, measure
from sbp_bayes.files import write_json
from sbp_bayes.run_folder import package_version

RESULT = Path(__file__).parent / "results" / "kernels.json"
PACKAGES = ("torch", "triton", "liger-kernel", "cut-cross-entropy")
# On one H200, whose measured ceilings are 790 TFLOP/s in bfloat16 products and 4.3 TB/s in copies.
BARS = {
    "linear_cross_entropy": "at most 43 ms, 23 ms half weighted",
    "rms_norm": "no slower than torch.compile and less memory",
    "qk_norm_rope": "no slower than torch.compile and less memory",
    "swiglu": "no slower than torch.compile and less memory",
    "adamw": "at least 85 % of copy bandwidth",
    "top_p": "at least 4 times the sort",
    "cosine_top_k": "at least 1.3 times matmul + topk, 60 % of the product rate",
    "minhash": "at least 50 % of copy bandwidth",
}


def measured(case: BenchCase) -> Iterator[tuple[str, Measured]]:
    """Every form of one case by name."""
    for form in ("kernel", "eager", "compile"):
        yield form, measure_form(case, form) if torch.cuda.is_available() else NO_DEVICE
    for rival in RIVALS:
        if rival.kernel == case.kernel:
            yield rival.name, measure_rival(rival, case)


def measure_rival(rival: Rival, case: BenchCase) -> Measured:
    """A rival's numbers, or why there are none."""
    if find_spec(rival.needs) is None:
        return Measured(note=f"{rival.needs} is not installed")
    if not torch.cuda.is_available():
        return NO_DEVICE
    run: list = []

    def first_prepare() -> object:
        if not run:
            run.append(rival.prepare(case, case.inputs("cuda")))
        return run[0]()

    return measure(first_prepare)


def ceilings() -> dict[str, float | None]:
    """What the GPU does at best: bytes copied (read and written) and bfloat16 operations, a second."""
    if not torch.cuda.is_available():
        return {"copy_bytes_per_second": None, "product_flops": None}
    source, side = torch.empty(2**30, dtype=torch.uint8, device="cuda"), 8192
    target, matrix = torch.empty_like(source), torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    copied, product = measure(lambda: target.copy_(source)), measure(lambda: matrix @ matrix)
    return {"copy_bytes_per_second": 2e3 * source.numel() / copied.ms, "product_flops": 2e3 * side**3 / product.ms}


def main() -> None:
    """Time what there is a device for and write the record."""
    there = torch.cuda.is_available()
    rows = []
    for case in cases():
        print(f"{case.name} (bar: {BARS[case.kernel]})")
        for name, found in measured(case):
            rows.append({"kernel": case.kernel, "size": case.size, "form": name, "ms": found.ms, "mib": found.mib})
            if found.note:
                rows[-1]["note"] = found.note
            print(f"  {name:<50} " + (found.note or f"{found.ms:10.3f} ms {found.mib or 0:10,.0f} MiB"))
    if not there and RESULT.exists():
        print(f"no CUDA device: {RESULT} is left as it is")
        return
    record = {
        "bars": BARS,
        "ceilings": ceilings(),
        "rows": rows,
        "device": torch.cuda.get_device_name() if there else None,
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
    }
    write_json(RESULT, record)
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
