"""Judgement of synthetic text by something that can read it: a plug-in (entry point group ``sbp_bayes.judges``).

A plug-in is a class with ``from_options(options)`` that makes a `Judge`; `analysis.quality.endpoint_judge` is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from analysis.quality.estimate import Estimate, mean
from sbp_bayes import plugins

JUDGES = "sbp_bayes.judges"
Answers = Sequence[bool | None]
"""One a document; None where the judge gave no answer that could be read."""


class Judge(Protocol):
    """What a judge is asked, as the paper asks its language model (arXiv 2509.15248, Table 2)."""

    def not_factual(self, documents: Sequence[str]) -> Answers:
        """Whether each document states something false."""
        ...

    def irrelevant(self, d1: Sequence[str], d2: Sequence[str]) -> Answers:
        """Whether each d2 has nothing to do with the document d1 it was written from."""
        ...


def judge_from(table: Mapping[str, Any]) -> Judge:
    """The judge that ``evaluation.judge`` names, given the table's other keys. UserError for wrong options."""
    options = {key: value for key, value in table.items() if key not in ("name", "documents")}
    return plugins.load(JUDGES, table["name"]).from_options(options)


def share_of(answers: Answers, groups: np.ndarray) -> tuple[Estimate, float]:
    """The share of yes among the answers that could be read, and the share that could not."""
    read = np.array([answer is not None for answer in answers], dtype=bool)
    yes = np.array([bool(answer) for answer in answers])
    return mean(yes[read], groups[read]), float(1 - read.mean())
