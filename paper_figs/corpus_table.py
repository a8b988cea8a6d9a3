"""What became of the documents that a corpus was read from: the splits, and what was left out for which reason."""

from paper_figs.tables import Table

COUNTED_APART = ("documents or parts read", "groups", "usable")


def corpus_table(provenance: dict) -> Table:
    """One row a split and one a reason, of the first seed; empty for worlds, which sample their documents."""
    sources = provenance.get("sources", {})
    cleaning = next((source["cleaning"] for source in sources.values() if "cleaning" in source), None)
    rows = []
    if cleaning is not None:
        documents = cleaning["documents"]
        rows.append(["read, long ones in parts", f"{documents['documents or parts read']:,}", "–", "–"])
        left_out = {reason: n for reason, n in documents.items() if reason not in COUNTED_APART}
        rows += [[f"left out: {reason}", f"{n:,}", "–", "–"] for reason, n in left_out.items()]
        for name, split in cleaning["splits"].items():
            rows.append([f"split {name}", *(f"{split[key]:,}" for key in ("documents", "tokens", "longest"))])
    return Table(["", "documents", "tokens", "longest, tokens"], rows)
