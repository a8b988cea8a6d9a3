"""The one objective: weighted next-token cross-entropy, in nats."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sbp_bayes.documents.packing import Batch, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.training.parallel import Parallel

EVALUATION_SLOTS = 8192  # row slots scored at a time


@dataclass(frozen=True)
class Evaluation:
    """A model's loss on a set of sequences.

    nats: per counted target (weighted mean); documents (N,) float64: weighted nats of each sequence, in the order of
    the sequences; weight: sum of the weights; tokens: targets read.
    """

    nats: float
    documents: np.ndarray
    weight: float
    tokens: int


def weighted_loss(
    model: Transformer,
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    positions: Tensor | None = None,
    document_ids: Tensor | None = None,
) -> Tensor:
    """Sum over targets of weight * -log p(target), in nats. Dividing by the batch's weight is left to the caller."""
    return model.weighted_nats(inputs, targets, weights, positions, document_ids)


@torch.no_grad()
def evaluate(model: Transformer, packed: Packed, parallel: Parallel | None = None) -> Evaluation:
    """Score every sequence of ``packed`` once. Raises UserError where nothing counts.

    The processes of ``parallel`` share the work, and all get the result of one that does it alone.
    """
    parallel = parallel or Parallel(model.norm.weight.device)
    rows_at_once = max(1, EVALUATION_SLOTS // packed.context)
    starts = range(0, len(packed), rows_at_once)
    documents = np.zeros(len(packed.sequences), dtype=np.float64)
    weight, tokens = 0.0, 0
    for turn in range(0, len(starts), parallel.size):
        # A sharded model runs in all processes or in none: where there is no work left, a process repeats the first.
        mine = turn + parallel.rank
        start = starts[mine] if mine < len(starts) else 0
        rows = np.arange(start, min(start + rows_at_once, len(packed)))
        batch = packed.batch(rows).to(parallel.device)
        sums = document_nats(model, batch).cpu().numpy()
        if mine >= len(starts):
            continue
        for row, nats in zip(rows, sums, strict=True):
            members = packed.members(row)
            documents[members] = nats[: len(members)]
        weight += batch.weight
        tokens += batch.tokens
    weight, tokens = parallel.totals(weight, tokens)
    if weight == 0:
        raise UserError("evaluation: no target has a weight, so there is no loss to report")
    documents = parallel.sum_on_hosts(torch.from_numpy(documents)).numpy()
    return Evaluation(float(documents.sum()) / weight, documents, weight, int(tokens))


def document_nats(model: Transformer, batch: Batch) -> Tensor:
    """Weighted nats (R, documents in the fullest row) float64 of each document of each row."""
    losses = model.token_losses(batch.inputs, batch.targets, **batch.attention).double()
    losses = batch.weights * losses
    sums = losses.new_zeros(len(losses), int(batch.document_ids.max()) + 1)
    return sums.scatter_add_(1, batch.document_ids, losses)[:, 1:]
