"""What tests of kernels need to compile them; `tests/conftest.py` has the fixture that tabulates the reports."""

from sbp_bayes.kernels.compilation import ARCHITECTURES, Compiled, compile_kernel, table

__all__ = ["ARCHITECTURES", "Compiled", "compile_kernel", "table"]
