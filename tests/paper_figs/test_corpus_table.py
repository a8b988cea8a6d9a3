from paper_figs.corpus_table import corpus_table


def test_every_reason_and_every_split_has_a_row():
    splits = {name: {"documents": n, "tokens": 7 * n, "longest": 12} for name, n in (("real", 2000), ("oracle", 3000))}
    documents = {"documents or parts read": 5004, "exact copies": 3, "unreadable": 1, "groups": 5000, "usable": 5000}
    provenance = {"sources": {"0": {"cleaning": {"documents": documents, "splits": splits}}, "1": {}}}
    assert corpus_table(provenance).rows == [
        ["read, long ones in parts", "5,004", "–", "–"],
        ["left out: exact copies", "3", "–", "–"],
        ["left out: unreadable", "1", "–", "–"],
        ["split real", "2,000", "14,000", "12"],
        ["split oracle", "3,000", "21,000", "12"],
    ]


def test_a_world_has_no_such_table():
    assert corpus_table({"sources": {"0": {"world": {}}}}).rows == []
    assert corpus_table({}).rows == []
