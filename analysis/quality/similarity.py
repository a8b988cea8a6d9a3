"""How like one another documents are, by the cosine of their embeddings."""

from typing import Any

import numpy as np
import scipy.sparse as sparse


def cosines(first: Any, second: Any) -> np.ndarray:
    """The cosine of each pair of rows of unit vectors (N, D), dense or sparse: (N,) float64."""
    if sparse.issparse(first):
        return np.asarray(first.multiply(second).sum(axis=1), np.float64).ravel()
    return np.einsum("nd,nd->n", np.asarray(first, np.float64), np.asarray(second, np.float64))


def products(queries: Any, documents: Any) -> np.ndarray:
    """Every cosine: (Q, N) dense float32."""
    found = queries @ documents.T
    return np.asarray(found.todense() if sparse.issparse(found) else found, np.float32)


def another(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row a random row of another group, where there is one: (N,) int64.

    groups: (N,) int. Rows are in random order by group, and each is given the one half-way round; a row whose own
    group fills more than half is given itself.
    """
    n = groups.size
    order = np.lexsort((rng.permutation(n), rng.permutation(groups.max(initial=0) + 1)[groups]))
    other = np.empty(n, dtype=np.int64)
    other[order] = np.roll(order, n // 2)
    return np.where(groups[other] == groups, np.arange(n), other)
