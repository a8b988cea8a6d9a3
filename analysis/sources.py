"""The documents of a corpus by where they come from."""

import torch
from torch import Tensor

from sbp_bayes.documents.corpus import Corpus

MOST = 12
FEWEST_DOCUMENTS = 20


def documents_by_source(corpus: Corpus) -> dict[str, Tensor]:
    """Source -> numbers of its documents, (n,) int64, by name; sources with fewer than 20 documents are left out.

    {} where the corpus has no column ``source``, or has one source, or more than 12: files of a folder, each its own.
    """
    if "source" not in corpus.columns:
        return {}
    found: dict[str, list[int]] = {}
    for i, source in enumerate(corpus.column("source").to_pylist()):
        found.setdefault(str(source), []).append(i)
    if not 2 <= len(found) <= MOST:
        return {}
    return {source: torch.tensor(found[source]) for source in sorted(found) if len(found[source]) >= FEWEST_DOCUMENTS}
