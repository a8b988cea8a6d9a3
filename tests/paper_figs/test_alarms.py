from paper_figs.alarms import alarms
from paper_figs.run_files import Results

ROW = {"measure": "information on held-out pairs", "subject": "synthesizer", "seed": 3, "null": 1.3, "se": 0.1}


def test_only_what_exceeds_the_bound_by_three_standard_errors_is_an_alarm():
    rows = [{**ROW, "estimate": estimate} for estimate in (0.2, 1.3, 1.59, 1.7, None)]
    rows.append({**ROW, "estimate": 9.0, "seed": None})
    (sentence,) = alarms(Results(rows))
    assert sentence.startswith("Alarm (seed 3, synthesizer): held-out pairs hold 1.7 nats")
    assert "copies-500, seed 3" in alarms(Results([{**ROW, "estimate": 2.0, "cell": "copies-500"}]))[0]
