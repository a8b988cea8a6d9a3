"""Embeddings of documents as unit vectors: TF-IDF (sparse) and a model's own activations (dense)."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.pairing.terms import Terms
from sbp_bayes.progress import Progress

if TYPE_CHECKING:
    import torch

    from sbp_bayes.model.transformer import Transformer


def tfidf(terms: Terms) -> sparse.csr_matrix:
    """TF-IDF with damped counts, (N, K) float32, rows of length 1 (an empty document's row is 0).

    weight = (1 + ln tf) * (1 + ln((1 + N) / (1 + df))), as scikit-learn's with sublinear_tf and smooth_idf.
    Cost and memory O(terms).
    """
    shape = (terms.documents, terms.hashes.size)
    counts = sparse.csr_matrix((np.ones(terms.ids.size, dtype=np.float64), terms.ids, terms.offsets), shape=shape)
    counts.sum_duplicates()
    document_frequency = np.bincount(counts.indices, minlength=shape[1])
    inverse = 1 + np.log((1 + shape[0]) / (1 + document_frequency))
    counts.data = (1 + np.log(counts.data)) * inverse[counts.indices]
    norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return (sparse.diags_array(scale) @ counts).tocsr().astype(np.float32)


def embed_hidden_states(
    model: "Transformer",
    corpus: Corpus,
    tokenizer: Tokenizer,
    device: "torch.device | str" = "cpu",
    batch_tokens: int = 16384,
    layer: int = 0,
) -> np.ndarray:
    """The mean of the final hidden states over a document's tokens, as unit vectors: (N, D) float32.

    ``layer`` from 1 takes the output of that block instead, each token's brought to one length first. UserError where
    the model has fewer. Each document is read as [bos] d; bos itself counts only where the document is empty.
    Documents of like length share a batch of at most ``batch_tokens`` token slots. Cost: one forward pass.
    """
    import torch

    if layer > model.config.layers:
        raise UserError(f"pairing.layer = {layer}: the base model has {model.config.layers} blocks")
    seen: dict[str, torch.Tensor] = {}
    watched = nullcontext()
    if layer:
        watched = model.layers[layer - 1].register_forward_hook(lambda *call: seen.update(states=call[-1]))
    vectors = np.zeros((len(corpus), model.config.width), dtype=np.float32)
    lengths = corpus.lengths
    model.eval()
    with watched, torch.inference_mode(), Progress("embed documents", len(corpus), "documents") as progress:
        for rows in _batches_by_length(lengths, batch_tokens):
            width = int(lengths[rows].max()) + 1
            tokens = np.full((len(rows), width), tokenizer.eos, dtype=np.int64)
            tokens[:, 0] = tokenizer.bos
            counted = np.zeros((len(rows), width), dtype=np.float32)
            for r, i in enumerate(rows):
                tokens[r, 1 : lengths[i] + 1] = corpus.document(i)
                counted[r, 1 : lengths[i] + 1] = 1
                counted[r, 0] = lengths[i] == 0
            # Attention is causal, so the padding to the right changes nothing that is counted.
            hidden = model.hidden(torch.from_numpy(tokens).to(device)).float()
            if layer:
                hidden = torch.nn.functional.normalize(seen["states"].float(), dim=-1)
            weights = torch.from_numpy(counted).to(device)
            mean = (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
            vectors[rows] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
            progress.advance(len(rows))
    return vectors


def whitened(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) less their mean, turned and stretched so that no direction stands out, as unit vectors (N, D).

    A language model's activations lie in a narrow cone, a few directions of which drown what documents are about: their
    cosines compare documents by what all have in common (Su et al. 2021, arXiv 2103.15316). Directions in which nothing
    varies, below 1e-6 of the largest deviation, stay out. Cost O(N D^2).
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / max(len(vectors), 1))
    kept = variances > variances.max() * 1e-12
    flat = centred @ (directions[:, kept] / np.sqrt(variances[kept]))
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    whole = np.zeros(vectors.shape, dtype=np.float32)
    whole[:, : flat.shape[1]] = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    return whole


def _batches_by_length(lengths: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < order.size:
        stop = start + 1
        while stop < order.size and (stop + 1 - start) * (int(lengths[order[stop]]) + 1) <= batch_tokens:
            stop += 1
        yield order[start:stop]
        start = stop
