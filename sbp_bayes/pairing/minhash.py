"""MinHash: documents as short signatures that agree in as large a share as their sets of shingles do.

Where a corpus is too large to compare all of it, signatures that agree in a whole band name the pairs worth comparing
(Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman, chapter 3).
Shapes: N documents, H hashes, M pairs.
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


def resemblance(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """An unbiased estimate of each pair's Jaccard similarity: (M,) float64, of variance J (1 - J) / H."""
    return (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)


def alike_in_a_band(signatures: np.ndarray, bands: int) -> np.ndarray:
    """Pairs of documents whose signatures agree in at least one of ``bands`` equal parts: (M, 2) int64, i < j, sorted.

    Bands of r places name a pair of similarity J with probability 1 - (1 - J^r)^bands. Empty documents are in no pair.
    Time and memory grow with the square of the largest group that is alike.
    """
    hashes = signatures.shape[1]
    assert bands >= 1 and hashes % bands == 0, f"{hashes} hashes do not make {bands} bands"
    filled = np.flatnonzero((signatures != NO_SHINGLE).any(axis=1))
    found = [np.empty((0, 2), dtype=np.int64)]
    for band in np.split(np.ascontiguousarray(signatures[filled]), bands, axis=1):
        rows = np.ascontiguousarray(band).view(np.dtype((np.void, 8 * band.shape[1])))[:, 0]
        _, group = np.unique(rows, return_inverse=True)
        order = np.argsort(group, kind="stable")
        for members in np.split(filled[order], np.flatnonzero(np.diff(group[order])) + 1):
            first, second = np.triu_indices(members.size, 1)
            found.append(np.stack([members[first], members[second]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


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
