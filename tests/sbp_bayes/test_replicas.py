"""Runs trained together: equal to runs trained one by one, in what they learn and in what they leave."""

import dataclasses
import json
import math

import pytest
import torch

from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed
from sbp_bayes.errors import UserError
from sbp_bayes.model import operations
from sbp_bayes.seeds import generator
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.interruption import Interrupted
from sbp_bayes.training.replicas import Replica, train_together
from sbp_bayes.training.trainer import train

CONTEXT = 12
R = 3


@pytest.fixture
def replicas(make_model, make_corpus, random_documents, tokenizer, tmp_path):
    """Makes R replicas that differ in start, documents, order, learning rate, weight decay and clipping."""
    validation = Packed(DocumentSequences(make_corpus(random_documents(15, 3, 8)), tokenizer), CONTEXT, 0)

    def packed(i: int) -> Packed:
        # The last corpus has one document a row, which needs no mask by itself.
        documents = random_documents(40 + i, *((9, 11) if i == R - 1 else (2, 9)))
        return Packed(DocumentSequences(make_corpus(documents), tokenizer), CONTEXT, i)

    sources = [packed(i) for i in range(R)]

    def make(where: str, dtype: torch.dtype = torch.float32, **changes) -> list[Replica]:
        made = []
        for i, source in enumerate(sources):
            own = dict(learning_rate=[3e-3, 1e-2, 3e-3][i], weight_decay=0.1 * i, clip=[1.0, 0.0, 0.5][i], seed=i)
            common = dict(steps=50, context=CONTEXT, batch_tokens=48, compile="off", evaluate_every=10)
            config = TrainingConfig(**{**common, **own, **changes})
            model = make_model(seed=i).to(dtype)
            made.append(Replica(model, Mixture([(source, 1.0)], i), config, tmp_path / where / str(i), validation))
        return made

    return make


def alone(replica: Replica):
    r = replica
    return train(r.model, r.mixture, r.config, r.folder, r.validation, r.name, "cpu", r.tokenizer_fingerprint)


def metrics(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_results(together: list[Replica], singly: list[Replica], tolerance: float) -> None:
    for a, b in zip(together, singly, strict=True):
        ours, theirs = metrics(a.folder), metrics(b.folder)
        assert len(ours) == len(theirs)
        for line, expected in zip(ours, theirs, strict=True):
            assert line == pytest.approx(expected, rel=tolerance)
        of_files = [[load_model(r.folder / f"{name}.safetensors") for name in ("final", "best")] for r in (a, b)]
        for model, other in zip([a.model, *of_files[0]], [b.model, *of_files[1]], strict=True):
            for weight, expected in zip(model.parameters(), other.parameters(), strict=True):
                # AdamW makes whole steps of gradients that are hardly more than rounding.
                torch.testing.assert_close(weight, expected, rtol=0, atol=max(1e-6, 100 * tolerance))
        records = [json.loads((r.folder / "trained.json").read_text()) for r in (a, b)]
        for key in ("epochs", "identity"):
            assert records[0].pop(key) == records[1].pop(key)
        assert records[0] == pytest.approx(records[1], rel=tolerance)
        assert {p.name for p in a.folder.iterdir()} == {p.name for p in b.folder.iterdir()}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_replicas_equal_single_runs(replicas, dtype, tolerance):
    together, singly = replicas("together", dtype), replicas("singly", dtype)
    trained = train_together(together)
    expected = [alone(replica) for replica in singly]
    assert [t.final_loss for t in trained] == pytest.approx([t.final_loss for t in expected], rel=tolerance)
    assert len({t.final_loss for t in trained}) == R
    assert_same_results(together, singly, tolerance)
    for replica in together:
        assert all(w.untyped_storage().nbytes() == w.nbytes for w in replica.model.parameters())


def changed(replica: Replica, **changes) -> Replica:
    return dataclasses.replace(replica, config=dataclasses.replace(replica.config, **changes))


def of_various_lengths(replicas: list[Replica]) -> list[Replica]:
    """One is shorter, one stops early."""
    first, second, third = replicas
    second = changed(second, patience=1, learning_rate=0.1, evaluate_every=3)
    return [changed(first, steps=14), second, third]


def test_replicas_of_various_lengths_each_end_as_they_would_alone(replicas):
    together, singly = (of_various_lengths(replicas(where, torch.float64, steps=24)) for where in ("a", "b"))
    trained = train_together(together)
    assert [t.steps for t in trained][::2] == [14, 24] and trained[1].stopped_early
    for replica in singly:
        alone(replica)
    assert_same_results(together, singly, 1e-9)


def stop_after(steps: int):
    """A ``stop`` that says so at the step after ``steps``."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("rest", ["together", "alone"])
def test_a_group_that_was_stopped_goes_on_together_or_one_by_one(replicas, rest):
    stopped, whole = replicas("stopped", torch.float64, steps=20), replicas("whole", torch.float64, steps=20)
    with pytest.raises(Interrupted):
        train_together(stopped, stop=stop_after(7))
    sizes = [path.stat().st_size for r in stopped for path in (r.folder / "state").glob("*.pt")]
    weights = sum(w.numel() * 8 for w in stopped[0].model.parameters())
    assert len(sizes) == R and all(3 * weights < size < 4 * weights for size in sizes)
    again = replicas("stopped", torch.float64, steps=20)
    if rest == "together":
        assert [t.steps for t in train_together(again)] == [20] * R
    else:
        for replica in again:
            alone(replica)
    train_together(whole)
    assert_same_results(again, whole, 1e-9)


def test_a_run_begun_alone_joins_a_group_at_its_own_step(replicas):
    joined, singly = replicas("joined", torch.float64, steps=20), replicas("singly", torch.float64, steps=20)
    first = joined[1]
    with pytest.raises(Interrupted):
        train(first.model, first.mixture, first.config, first.folder, first.validation, stop=stop_after(5))
    train_together(joined)
    for replica in singly:
        alone(replica)
    assert_same_results(joined, singly, 1e-9)


def test_finished_runs_are_returned_at_once_with_their_weights(replicas):
    trained = train_together(replicas("done", steps=6))
    again = replicas("done", steps=6)
    stamps = [(r.folder / "final.safetensors").stat().st_mtime_ns for r in again]
    assert train_together(again) == trained
    assert stamps == [(r.folder / "final.safetensors").stat().st_mtime_ns for r in again]
    for replica in again:
        stored = load_model(replica.folder / "final.safetensors")
        assert all(torch.equal(a, b) for a, b in zip(replica.model.parameters(), stored.parameters(), strict=True))


def test_a_replica_that_diverges_leaves_and_the_others_go_on(replicas):
    good, other = (replicas(where, torch.float64, steps=8) for where in ("bad", "singly"))
    bad = [good[0], changed(good[1], learning_rate=1e200, warmup=0.0), good[2]]
    with pytest.raises(UserError, match=r"no longer finite at step .*try a learning rate below 1e\+200"):
        train_together(bad)
    assert not (bad[1].folder / "trained.json").exists()
    for i in (0, 2):
        alone(other[i])
        assert_same_results([bad[i]], [other[i]], 1e-9)


def test_what_does_not_fit_together_is_one_line(replicas, make_model):
    first, second, third = replicas("refused")
    wide = dataclasses.replace(second, model=make_model(hidden=48))
    for broken, message in [
        (wide, "model.config: replicas expect one for all"),
        (changed(second, batch_tokens=96), "config.batch_rows: replicas expect one for all, 4, got 8"),
        (changed(second, optimiser="muon"), "training.optimiser: replicas expect adamw, got muon"),
        (changed(second, accumulation=2), "training.accumulation: replicas expect 1, got 2"),
        (dataclasses.replace(second, folder=first.folder), "expected a folder for each"),
    ]:
        with pytest.raises(UserError, match=message):
            train_together([first, broken, third])
    assert not first.folder.exists()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_stacked_operations_are_those_of_each_model(reduction):
    noise = generator("stacked operations")

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=noise, dtype=torch.float64)

    x, matrix, gain, head = random(2 * R, 5, 8), random(R, 6, 8), random(R, 8), random(R, 11, 8)
    tokens = torch.randint(0, 11, (2 * R, 5), generator=noise)
    weights = random(2 * R * 5) * (random(2 * R * 5) > -1)
    hidden, targets = x.flatten(0, 1), tokens.flatten()
    linear, normed = operations.linear(x, matrix), operations.rms_norm(x, gain, 1e-6)
    rows = operations.embedding(tokens, head)
    losses = operations.linear_cross_entropy(hidden, head, targets, weights=weights, reduction=reduction)
    assert losses.shape == (R,) and all(math.isfinite(loss) for loss in losses)
    for i in range(R):
        own, at = slice(2 * i, 2 * i + 2), slice(10 * i, 10 * i + 10)
        torch.testing.assert_close(linear[own], operations.linear(x[own], matrix[i]))
        torch.testing.assert_close(normed[own], operations.rms_norm(x[own], gain[i], 1e-6))
        assert torch.equal(rows[own], operations.embedding(tokens[own], head[i]))
        each = operations.linear_cross_entropy(
            hidden[at], head[i], targets[at], weights=weights[at], reduction=reduction
        )
        torch.testing.assert_close(losses[i], each)
