"""What the paper says, beside ours: its statements and numbers, each with how sure we are of it."""

from paper_figs.run_files import read_published

MARKS = (
    "Certainty of published numbers: A, read in the abstract or in two agreeing reports; B, reported once; C, recalled "
    "and unchecked. No error bars were published."
)


def statements(figure: str) -> str:
    """What the paper says of its figure, as sentences with certainty marks; empty where we know of nothing."""
    rows = [row for row in read_published("statements") if row["figure"] == figure]
    return " ".join(f"The paper: {row['statement'].rstrip('.')} ({row['certainty']})." for row in rows)


def scale(row: dict[str, str]) -> str:
    """``1T, 3B``: tokens of training and the model of a published row."""
    return ", ".join(filter(None, [row["scale"].removesuffix(" tokens"), row["model"]]))
