"""Worlds and documents that the predictions are tested in."""

from collections.abc import Callable

import pytest

from analysis.predictions.finding import Finding
from analysis.predictions.verdict import decide


@pytest.fixture
def outcomes() -> Callable[[list[Finding]], dict[str, str]]:
    """Quantity -> outcome of the findings of one subject."""
    return lambda findings: {decision.finding.quantity: decision.outcome for decision in decide(findings)}
