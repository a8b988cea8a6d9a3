"""What a training run does, writes and refuses."""

import errno
import json
import math

import numpy as np
import pytest
import torch

from sbp_bayes.documents.packing import DocumentSequences, Mixture, Packed, PairSequences
from sbp_bayes.errors import UserError
from sbp_bayes.files import exclusive
from sbp_bayes.training.checkpoint import load_model
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.objective import evaluate
from sbp_bayes.training.trainer import train

CONTEXT = 12


@pytest.fixture
def data(make_corpus, random_documents, tokenizer):
    """Training rows (several documents a row) and a validation set."""
    packed = Packed(DocumentSequences(make_corpus(random_documents(40, 2, 9)), tokenizer), CONTEXT, 0)
    validation = Packed(DocumentSequences(make_corpus(random_documents(15, 3, 8)), tokenizer), CONTEXT, 0)
    return Mixture([(packed, 1.0)], 0), validation


def config(**changes) -> TrainingConfig:
    return TrainingConfig(**{**dict(steps=12, context=CONTEXT, batch_tokens=48, learning_rate=3e-3), **changes})


def metrics(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(model) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for w in model.parameters()])


def test_a_tiny_corpus_is_learnt_by_heart(make_model, make_corpus, tokenizer, tmp_path):
    packed = Packed(DocumentSequences(make_corpus([[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5]]), tokenizer), CONTEXT, 0)
    model = make_model()
    done = train(model, Mixture([(packed, 1.0)], 0), config(steps=150, learning_rate=1e-2), tmp_path)
    # Which of three documents it is can't be foreseen: log 3 nats for each, and nothing else.
    assert evaluate(model, packed).documents.sum() == pytest.approx(3 * math.log(3), rel=0.05)
    assert done.final_loss < 0.35


def test_metrics_have_a_line_every_interval_and_tokens_count_targets(make_model, data, tmp_path):
    mixture, validation = data
    done = train(make_model(), mixture, config(steps=10, evaluate_every=4), tmp_path, validation)
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 4, 8, 10]
    expected = [sum(mixture.batch(s, 4).tokens for s in range(step)) for step in (0, 4, 8, 10)]
    assert [line["tokens"] for line in lines] == expected
    assert set(lines[0]) == {"step", "tokens", "validation_loss"}
    assert set(lines[1]) == set(lines[0]) | {"train_loss", "learning_rate", "gradient_norm"}
    assert done.tokens == expected[-1] and done.slots == 10 * 48 and done.final_loss == lines[-1]["train_loss"]
    assert done.final_validation_loss == lines[-1]["validation_loss"] and not done.stopped_early
    assert done.flops > 6 * done.tokens * make_model().matrix_parameters
    assert done.epochs == [pytest.approx(40 / len(mixture.sources[0]))]


def test_train_loss_is_the_mean_since_the_last_line(make_model, data, tmp_path):
    every, seldom = tmp_path / "every", tmp_path / "seldom"
    train(make_model(), data[0], config(steps=6, evaluate_every=1), every)
    train(make_model(), data[0], config(steps=6, evaluate_every=3), seldom)
    steps = [line["train_loss"] for line in metrics(every)]
    first = data[0].batch(0, 4)
    losses = make_model().token_losses(first.inputs, first.targets, **first.attention)
    assert steps[0] == pytest.approx((losses * first.weights).sum().item() / first.weight, rel=1e-5)
    sizes = [data[0].batch(step, 4).weight for step in range(6)]
    means = [np.average(steps[i : i + 3], weights=sizes[i : i + 3]) for i in (0, 3)]
    assert [line["train_loss"] for line in metrics(seldom)] == pytest.approx(means, rel=1e-12)


def test_two_runs_of_one_seed_write_the_same_bytes(make_model, data, tmp_path):
    for name in ("a", "b"):
        train(make_model(), data[0], config(), tmp_path / name, data[1])
    for file in ("metrics.jsonl", "trained.json", "final.safetensors", "best.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert not (tmp_path / "a" / "state").exists()


def test_accumulation_changes_nothing_but_rounding(make_model, data, tmp_path):
    models = [make_model(), make_model()]
    for model, parts in zip(models, (1, 4), strict=True):
        train(model, data[0], config(accumulation=parts), tmp_path / str(parts))
    assert sum(p.weight != 0 for p in data[0].batch(0, 4).split(4)) == 4
    torch.testing.assert_close(weights(models[0]), weights(models[1]), atol=1e-4, rtol=1e-4)
    losses = [[line["train_loss"] for line in metrics(tmp_path / name)] for name in ("1", "4")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_best_weights_are_kept_and_training_stops_when_they_get_old(make_model, make_corpus, tokenizer, tmp_path):
    def packed(documents):
        return Packed(DocumentSequences(make_corpus(documents), tokenizer), CONTEXT, 0)

    # Held-out documents of one other kind: learning the training documents by heart makes them less likely.
    training, validation = packed([[1, 2, 3, 4, 5]] * 4), packed([[1, 2, 3, 9, 8], [1, 2, 7]])
    settings = config(steps=200, evaluate_every=2, patience=3, learning_rate=1e-2, schedule="constant")
    model = make_model()
    done = train(model, Mixture([(training, 1.0)], 0), settings, tmp_path, validation)
    lines = metrics(tmp_path)
    losses = [line["validation_loss"] for line in lines]
    assert done.stopped_early and done.steps < 200
    assert done.best_loss == min(losses) and done.best_step == lines[int(np.argmin(losses))]["step"]
    assert done.steps == done.best_step + 3 * 2
    best = load_model(tmp_path / "best.safetensors")
    assert evaluate(best, validation).nats == done.best_loss
    assert torch.equal(weights(load_model(tmp_path / "final.safetensors")), weights(model))


def test_without_validation_the_best_weights_are_the_last(make_model, data, tmp_path):
    done = train(make_model(), data[0], config(), tmp_path)
    assert done.best_step is None and done.best_loss is None
    assert (tmp_path / "best.safetensors").read_bytes() == (tmp_path / "final.safetensors").read_bytes()


def test_a_finished_run_is_returned_at_once_with_its_weights(make_model, data, tmp_path):
    trained_model, fresh = make_model(), make_model()
    first = train(trained_model, data[0], config(), tmp_path, data[1])
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert train(fresh, data[0], config(), tmp_path, data[1]) == first
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before
    assert torch.equal(weights(fresh), weights(trained_model))


def test_tuning_starts_from_the_weights_it_is_given(make_model, data, tmp_path):
    base = make_model()
    train(base, data[0], config(), tmp_path / "base", tokenizer_fingerprint="abc")
    tuned = load_model(tmp_path / "base" / "final.safetensors", "abc")
    train(tuned, data[0], config(evaluate_every=2), tmp_path / "tuned", data[1])
    assert metrics(tmp_path / "tuned")[0]["validation_loss"] == evaluate(base, data[1]).nats


def test_a_folder_of_another_run_is_refused(make_model, data, tmp_path):
    train(make_model(), data[0], config(), tmp_path)
    with pytest.raises(UserError, match="another configuration or data"):
        train(make_model(), data[0], config(learning_rate=1e-3), tmp_path)
    with pytest.raises(UserError, match="another configuration or data"):
        train(make_model(), data[0], config(), tmp_path, start="other weights")


def test_a_folder_of_other_documents_or_pairs_of_the_same_sizes_is_refused(
    make_model, make_corpus, tokenizer, tmp_path
):
    documents = [[3, 1, 4], [1, 5, 9], [2, 6, 5], [3, 5, 8]]
    corpus, other = make_corpus(documents), make_corpus([d[::-1] for d in documents])
    pairs = np.array([[0, 1], [2, 3]])
    sequences = {
        "documents": DocumentSequences(corpus, tokenizer),
        "other documents": DocumentSequences(other, tokenizer),
        "pairs": PairSequences(corpus, pairs, tokenizer),
        "pairs the other way round": PairSequences(corpus, pairs[:, ::-1], tokenizer),
        "pairs of other documents": PairSequences(other, pairs, tokenizer),
    }
    packed = {name: Packed(them, CONTEXT, 0) for name, them in sequences.items()}

    def run(training: str, held_out: str) -> None:
        mixture = Mixture([(packed[training], 1.0)], 0)
        train(make_model(), mixture, config(steps=1), tmp_path / training, packed[held_out])

    run("documents", "documents")
    run("pairs", "pairs")
    for training, held_out in [("documents", "other documents"), ("pairs", "pairs the other way round")]:
        with pytest.raises(UserError, match="another configuration or data"):
            run(training, held_out)
    for training in ("other documents", "pairs the other way round", "pairs of other documents"):
        began = "pairs" if "pairs" in training else "documents"
        (tmp_path / began).rename(tmp_path / training)
        with pytest.raises(UserError, match="another configuration or data"):
            run(training, began)
        (tmp_path / training).rename(tmp_path / began)


@pytest.mark.parametrize("content", ["[]", "null", '{"steps": 3}', "{"])
def test_a_damaged_report_of_a_finished_run_is_one_line(make_model, data, tmp_path, content):
    train(make_model(), data[0], config(steps=1), tmp_path)
    identity = json.loads((tmp_path / "trained.json").read_text())["identity"]
    for text in (content, json.dumps({"identity": identity})):
        (tmp_path / "trained.json").write_text(text)
        with pytest.raises(UserError, match=r"trained\.json: "):
            train(make_model(), data[0], config(steps=1), tmp_path)


def test_a_second_run_in_a_folder_is_refused_while_the_first_is_under_way(make_model, data, tmp_path):
    folder = tmp_path / "run"
    with exclusive(folder / ".lock", "the first"):
        with pytest.raises(UserError, match=f"{folder}: another process is at it"):
            train(make_model(), data[0], config(steps=1), folder)
        assert [path.name for path in folder.iterdir()] == [".lock"]
    train(make_model(), data[0], config(steps=1), folder)
    assert not (folder / ".lock").exists()


def test_what_a_kill_after_the_last_file_left_is_removed(make_model, data, tmp_path):
    train(make_model(), data[0], config(steps=1), tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "step-000000001.pt").write_bytes(b"x")
    train(make_model(), data[0], config(steps=1), tmp_path)
    assert not (tmp_path / "state").exists()


class WithoutWeight:
    """Sequences of which no target counts."""

    lengths, fingerprint = np.full(8, 5), "without weight"

    def __len__(self):
        return len(self.lengths)

    def sequence(self, i):
        return np.full(6, i), np.zeros(5, dtype=np.float32)


def test_a_run_whose_weights_are_all_zero_is_refused(make_model, tmp_path):
    mixture = Mixture([(Packed(WithoutWeight(), CONTEXT, 0), 1.0)], 0)
    with pytest.raises(UserError, match="train: no target of 2 steps has a weight, so there is nothing to learn"):
        train(make_model(), mixture, config(evaluate_every=2), tmp_path)


def test_activations_are_kept_again_when_a_model_is_trained_without_checkpointing(make_model, data, tmp_path):
    model, calls = make_model(), []
    model.layers[0].input_layernorm.register_forward_hook(lambda *_: calls.append(1))
    for again, times in ((True, 2), (False, 1)):
        calls.clear()
        train(model, data[0], config(steps=1, activation_checkpointing=again), tmp_path / str(times))
        assert len(calls) == times


def test_a_loss_that_is_not_finite_stops_with_the_step_and_advice(make_model, data, tmp_path):
    model = make_model()
    with torch.no_grad():
        model.norm.weight[0] = math.nan
    with pytest.raises(UserError, match=r"tuning: .* step 0 .*learning rate below 0\.003"):
        train(model, data[0], config(), tmp_path, name="tuning")
    with pytest.raises(UserError, match=r"tuning: the held-out loss is nan at step 0"):
        train(model, data[0], config(), tmp_path, data[1], name="tuning")


def test_a_full_disk_is_one_clear_line(make_model, data, tmp_path, monkeypatch):
    def full(path, metadata=None, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"metrics\.jsonl: could not be written \(No space left on device\)"):
        train(make_model(), data[0], config(), tmp_path)


def test_metrics_report_the_rate_that_was_used(make_model, data, tmp_path):
    c = config(steps=6, evaluate_every=1, clip=0.0)
    train(make_model(), data[0], c, tmp_path)
    assert [line["learning_rate"] for line in metrics(tmp_path)] == [c.learning_rate_at(step) for step in range(6)]


def test_clipping_bounds_the_step_but_not_the_reported_norm(make_model, data, tmp_path):
    models = [make_model(), make_model()]
    for model, clip in zip(models, (0.0, 1e-6), strict=True):
        # One step of AdamW with a huge epsilon is proportional to the gradient; here it is enough that clipping shows.
        train(model, data[0], config(steps=1, clip=clip, weight_decay=0.0), tmp_path / str(clip))
    norms = [metrics(tmp_path / str(clip))[0]["gradient_norm"] for clip in (0.0, 1e-6)]
    assert norms[0] == norms[1] > 1e-3
    moved = [(weights(m) - weights(make_model())).abs().sum() for m in models]
    assert moved[1] < moved[0]


def test_a_token_budget_becomes_whole_steps():
    c = config(steps=None, tokens=1000, batch_tokens=50)
    assert c.batch_rows == 4 and c.total_steps == round(1000 / 48)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"tokens": 5}, "exactly one of tokens and steps"),
        ({"steps": 0}, r"training\.steps"),
        ({"learning_rate": 0.0}, r"training\.learning_rate"),
        ({"learning_rate": math.nan}, r"training\.learning_rate"),
        ({"warmup": 1.5}, r"training\.warmup"),
        ({"schedule": "step"}, r"training\.schedule.*cosine, constant, wsd.*'step'"),
        ({"compile": "maybe"}, r"training\.compile"),
        ({"accumulation": 3}, r"training\.accumulation: 3 parts do not divide the 4 rows"),
        ({"weight_decay": -1.0}, r"training\.weight_decay"),
        ({"weight_decay": math.inf}, r"training\.weight_decay: expected a finite number, got inf"),
        ({"clip": math.inf}, r"training\.clip: expected a finite number, got inf"),
        ({"betas": (0.9, 1.0)}, r"training\.betas: expected two numbers from 0 to below 1, got \(0\.9, 1\.0\)"),
        ({"betas": (-0.1, 0.9)}, r"training\.betas"),
        ({"betas": (math.nan, 0.9)}, r"training\.betas"),
        ({"optimiser": "sgd"}, r"training\.optimiser.*adamw, muon, adamw-bf16.*'sgd'"),
        ({"nonfinite": "ignore"}, r"training\.nonfinite.*stop, skip"),
        ({"precision": "float16"}, r"training\.precision.*float32, bfloat16"),
        ({"track": "wandb"}, r"training\.track.*none, tensorboard"),
        ({"checkpoints_kept": 0}, r"training\.checkpoints_kept"),
        ({"schedule": "wsd", "warmup": 0.5, "decay": 0.6}, r"training\.decay: .*0\.5, got 0\.6"),
    ],
)
def test_wrong_settings_are_named(change, key):
    with pytest.raises(UserError, match=key):
        config(**change)


def test_a_context_that_differs_from_the_data_is_refused(make_model, data, tmp_path):
    with pytest.raises(UserError, match=r"training\.context: 24, .* packed for 12"):
        train(make_model(), data[0], config(context=24), tmp_path)


def test_a_saved_model_comes_back_with_its_shape(make_model, data, tmp_path):
    model = make_model(tied=False)
    train(model, data[0], config(steps=2), tmp_path, tokenizer_fingerprint="abc")
    loaded = load_model(tmp_path / "final.safetensors", "abc", model.config)
    assert loaded.config == model.config and torch.equal(weights(loaded), weights(model))


def test_a_wrong_or_damaged_model_file_is_named(make_model, data, tmp_path):
    model = make_model()
    train(model, data[0], config(steps=2), tmp_path, tokenizer_fingerprint="abc")
    path = tmp_path / "final.safetensors"
    with pytest.raises(UserError, match=r"final\.safetensors: trained with tokenizer abc, expected xyz"):
        load_model(path, "xyz")
    with pytest.raises(UserError, match=r"shape does not fit: layers 2 \(expected 3\)"):
        load_model(path, "abc", make_model(layers=3).config)
    with pytest.raises(UserError, match=r"none\.safetensors: not found"):
        load_model(tmp_path / "none.safetensors")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"not a checkpoint at all"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"final\.safetensors: .*damaged"):
            load_model(path)
