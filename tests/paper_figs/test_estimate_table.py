from paper_figs.estimate_table import estimate_table


def test_expected_stands_beside_spent():
    expected = {"stages": 5, "tokens": 2e6, "flops": 3e12, "bytes": 4.5e6, "seconds": 60.0}
    took = {"stages": 5, "tokens": 1.5e6, "flops": 2.5e12, "bytes": 4.4e6, "seconds": 71.0}
    table = estimate_table({"estimate": [{"kind": "arm", "expected": expected, "took": took}]})
    assert table.header[:4] == ["stages", "number", "tokens, M, expected", "tokens, M, spent"]
    assert table.header[-1] == "time, s, spent"
    assert table.rows == [["arm", "5", "2", "1.5", "3", "2.5", "4.5", "4.4", "60", "71"]]


def test_runs_without_an_estimate_have_no_table():
    assert estimate_table({}).rows == []
