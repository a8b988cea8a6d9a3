"""One thread a test process, and kernels without a GPU: where their tests run, the table of what they compile to."""

import os
from collections.abc import Callable

# Two test processes with two threads each on two cores wait for one another most of the time. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from interpreter import Interpreter
from kernel_compile import Compiled, table

INTERPRETER = pytest.StashKey[Interpreter]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "interpreter: runs Triton kernels on the CPU, in a process of their own")
    config.stash[INTERPRETER] = Interpreter()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker("interpreter") is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.config.stash[INTERPRETER].run(str(pyfuncitem.path), pyfuncitem.originalname, arguments)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[INTERPRETER].close()


@pytest.fixture
def kernel_table(record_property: Callable[[str, object], None]) -> Callable[[Compiled], None]:
    """Puts a compiled kernel in the table at the end of the session."""
    return lambda compiled: record_property("kernel", compiled.row)


def pytest_terminal_summary(terminalreporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    rows = [row for report in reports for name, row in report.user_properties if name == "kernel"]
    if rows:
        terminalreporter.section("kernels compiled without a GPU (registers a thread, spills and shared in bytes)")
        for line in table(rows):
            terminalreporter.write_line(line)
