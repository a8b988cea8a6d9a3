"""docs/findings.md shows what is stored, and says of each prediction nothing that the stored verdicts do not."""

from paper_figs.findings_tables import END, PAGE, START, STORED, tables
from paper_figs.run_files import read_verdicts


def test_the_tables_are_those_of_the_stored_results():
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition(START)[2].partition(END)[0].strip()
    assert shown == tables().strip(), "run: python -m paper_figs.findings_tables"


def test_every_prediction_was_put_to_some_synthesizer():
    predictions = {row["prediction"] for row in read_verdicts(STORED)}
    assert predictions == {f"P{number}" for number in range(1, 17)}
