"""What every configuration of every kernel compiles to for A100 (sm_80) and H100/H200 (sm_90), without a GPU.

    python benchmarks/compile_table.py

Registers a thread, bytes spilled, bytes of shared memory, tensor-core instructions; the same limits as the tests hold.
Prints the table and writes it, with the versions, to benchmarks/results/compile_table.json.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

from sbp_bayes.bench import compile_rows
from sbp_bayes.files import write_json
from sbp_bayes.kernels.compilation import SHARED_LIMIT, table

RESULT = Path(__file__).parent / "results" / "compile_table.json"


def main() -> None:
    """Compile all and write the record."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.parse_args()
    rows = compile_rows()
    for line in table(rows):
        print(line)
    record = {
        "units": {"registers": "a thread", "spills": "bytes", "shared": "bytes a program"},
        "shared_limit": {f"sm_{arch}": limit for arch, limit in SHARED_LIMIT.items()},
        "largest_spill": max(row["spills"] for row in rows),
        "versions": {name: version(name) for name in ("torch", "triton")},
        "rows": rows,
    }
    write_json(RESULT, record)
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
