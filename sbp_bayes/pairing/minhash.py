"""MinHash: documents as short signatures that agree in as large a share as their sets of shingles do.

Broder (1997), On the resemblance and containment of documents. `sbp_bayes.documents.near_copies` finds a corpus's own
near-duplicates by them. Shapes: N documents, H hashes.
"""

from typing import TYPE_CHECKING

import numpy as np

from sbp_bayes.pairing.near_duplicates import shingles
from sbp_bayes.pairing.terms import Terms
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    import torch

NO_SHINGLE = np.uint64(2**64 - 1)  # in every place of the signature of an empty document


def signatures(
    terms: Terms, n: int, hashes: int = 128, seed: int = 0, device: "torch.device | str" = "cpu"
) -> np.ndarray:
    """(N, H) uint64: the least of ``a_h * mix(s) + b_h`` modulo 2^64 over a document's shingles s of ``n`` terms.

    Shingles are those of `near_duplicates.shingles`, a_h odd and b_h drawn from ``seed``. Two documents agree in a
    place with the probability |A and B| / |A or B| of their sets of shingles. Cost O(terms * (n + H)).
    """
    assert n >= 1 and hashes >= 1, (n, hashes)
    multipliers, increments = permutations(hashes, seed)
    if not str(device).startswith("cpu") and _kernel_serves(device):
        return _by_kernel(device, terms, n, multipliers, increments)
    found, owners = shingles(terms, n)
    mixed = mix(found)
    least = np.full((terms.documents, hashes), NO_SHINGLE)
    if mixed.size:
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        for h in range(hashes):
            least[owners[starts], h] = np.minimum.reduceat(multipliers[h] * mixed + increments[h], starts)
    return least


def permutations(hashes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd multipliers and increments (H,) uint64, each pair a permutation of the numbers below 2^64."""
    drawn = numpy_generator("minhash", seed).integers(0, 2**64, size=(2, hashes), dtype=np.uint64)
    return drawn[0] | np.uint64(1), drawn[1]


def mix(x: np.ndarray) -> np.ndarray:
    """A permutation of the numbers below 2^64 that looks random (SplitMix64's, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _kernel_serves(device: "torch.device | str") -> bool:
    import torch

    from sbp_bayes import kernels

    return kernels.serve("minhash", torch.empty(0, device=device))


def _by_kernel(
    device: "torch.device | str", terms: Terms, n: int, multipliers: np.ndarray, increments: np.ndarray
) -> np.ndarray:
    import torch

    from sbp_bayes.kernels.minhash import minhash

    arrays = terms.ids, terms.offsets, terms.hashes, multipliers, increments
    ids, offsets, *words = (torch.from_numpy(np.ascontiguousarray(array).view(np.int64)).to(device) for array in arrays)
    return minhash(ids, offsets, *words, n).cpu().numpy().view(np.uint64)
