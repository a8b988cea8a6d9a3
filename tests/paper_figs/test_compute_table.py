from paper_figs.compute_table import compute_table


def test_each_arm_beside_repetition():
    seeds = [
        {"repetition": {"training": x, "end to end": x}, "sbp": {"training": x, "end to end": 3 * x}}
        for x in (1e9, 3e9)
    ]
    shown = compute_table({"compute": {"0": seeds[0], "1": seeds[1]}})
    assert shown.rows == [["repetition", "2.00e+09", "2.00e+09", "1.00 x"], ["SBP", "2.00e+09", "6.00e+09", "3.00 x"]]


def test_without_repetition_there_is_nothing_to_compare_with():
    shown = compute_table({"compute": {"0": {"oracle": {"training": 1e9, "end to end": 1e9}}}})
    assert shown.rows == [["oracle", "1.00e+09", "1.00e+09", "–"]]


def test_a_run_of_before_has_no_such_table():
    assert compute_table({}).rows == []
