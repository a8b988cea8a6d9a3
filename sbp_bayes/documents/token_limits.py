"""The limits of [corpus.clean] that are counted in tokens: they wait for the tokenizer, which waits for the splits.

So a split may come out smaller than asked for (documents dropped) or larger (documents split).
"""

import pyarrow as pa

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.parts import cut
from sbp_bayes.documents.text_batches import text_batches
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError

FEW, MANY = "too few tokens", "too many tokens"


def within_limits(
    table: pa.Table, tokenizer: Tokenizer, clean: CleanSettings, split: str, dropped: Dropped
) -> pa.Table:
    """The documents of ``table`` (doc_id, text, ...) that keep the limits, long ones cut into parts where asked for.

    What is left out is noted in ``dropped``; D is also in the oracle's pool, so a document of D may be noted twice.
    Without limits the table comes back as it is, and nothing is encoded. UserError: a document is too long.
    """
    if not clean.max_tokens and not clean.min_tokens:
        return table
    rows: list[dict] = []
    batches = (text for texts in text_batches(table["text"]) for text in _counted(texts, tokenizer))
    for (text, tokens), row in zip(batches, table.drop_columns(["text"]).to_pylist(), strict=True):
        doc_id = row["doc_id"]
        if tokens < clean.min_tokens:
            dropped.add(doc_id, FEW, f"{tokens} tokens, in split {split}")
        elif not clean.max_tokens or tokens <= clean.max_tokens:
            rows.append({**row, "text": text})
        elif clean.long_documents == "drop":
            dropped.add(doc_id, MANY, f"{tokens} tokens, in split {split}")
        elif clean.long_documents == "refuse":
            raise UserError(
                f"{doc_id}: {tokens:,} tokens, corpus.clean.max_tokens allows {clean.max_tokens:,} "
                '(corpus.clean.long_documents = "split" or "drop" goes on)'
            )
        else:
            parts = _parts(text, tokens, tokenizer, clean.max_tokens)
            rows += [{**row, "doc_id": f"{doc_id}~{i}", "text": part} for i, part in enumerate(parts)]
    return pa.Table.from_pylist(rows, table.schema)


def _counted(texts: list[str], tokenizer: Tokenizer) -> list[tuple[str, int]]:
    return [(text, ids.size) for text, ids in zip(texts, tokenizer.encode(texts), strict=True)]


def _parts(text: str, tokens: int, tokenizer: Tokenizer, limit: int) -> list[str]:
    """Parts of at most ``limit`` tokens each; cut in characters, and those still too long once more."""
    parts: list[str] = []
    for part, size in _counted(cut(text, max(1, len(text) * limit // tokens)), tokenizer):
        # One character can be several tokens; it can't be cut.
        parts += [part] if size <= limit or len(part) == 1 else _parts(part, size, tokenizer, limit)
    return parts
