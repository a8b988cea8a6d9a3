"""The tasks that the paper reports, by name, as lm-evaluation-harness has them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedTask:
    """harness: its name there; shots: solved examples in the prompt, the paper's; metrics: those shown, the harness's;
    chance: of guessing, None where there is none; note: what differs from the paper.
    """

    harness: str
    shots: int
    metrics: tuple[str, ...]
    chance: float | None = None
    note: str = ""


ACCURACIES = ("acc", "acc_norm")
SHARES = (*ACCURACIES, "exact_match")

PUBLISHED = {
    "arc-challenge": PublishedTask("arc_challenge", 0, ACCURACIES, 0.25),
    "arc-easy": PublishedTask("arc_easy", 0, ACCURACIES, 0.25),
    "sciq": PublishedTask("sciq", 0, ACCURACIES, 0.25),
    "winogrande": PublishedTask("winogrande", 0, ("acc",), 0.5),
    "triviaqa": PublishedTask("triviaqa", 1, ("exact_match",)),
    "webqs": PublishedTask("webqs", 1, ("exact_match",)),
    "mmlu": PublishedTask(
        "mmlu", 5, ("acc",), 0.25, "the paper reports the perplexity of answers; the harness gives accuracy"
    ),
    "lambada": PublishedTask("lambada_openai", 0, ("perplexity", "acc")),
    "openwebtext2": PublishedTask(
        "pile_openwebtext2", 0, ("word_perplexity", "byte_perplexity"), None, "a word or byte, whatever the tokenizer"
    ),
}
"""Name -> task. The paper does not say which of the two accuracies of ARC and SciQ it reports."""
