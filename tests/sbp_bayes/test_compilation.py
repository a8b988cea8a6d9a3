"""When the loss is compiled, and that compiling changes nothing but rounding."""

import processes
import pytest
import torch
import training_runs

from sbp_bayes.documents.packing import DocumentSequences, Packed
from sbp_bayes.training import compilation
from sbp_bayes.training.compilation import PAYS_FROM_STEPS, loss_function
from sbp_bayes.training.configuration import TrainingConfig
from sbp_bayes.training.objective import weighted_loss

CPU = torch.device("cpu")


def config(compiled: str, steps: int) -> TrainingConfig:
    return TrainingConfig(steps=steps, context=24, batch_tokens=96, learning_rate=1e-3, compile=compiled)


def test_auto_compiles_long_runs_where_there_is_a_compiler(monkeypatch):
    long, short = PAYS_FROM_STEPS["cpu"], PAYS_FROM_STEPS["cpu"] - 1
    monkeypatch.setattr(compilation, "has_compiler", lambda: True)
    assert loss_function(config("auto", short), CPU) is weighted_loss
    assert loss_function(config("auto", long), CPU) is not weighted_loss
    assert loss_function(config("off", long), CPU) is weighted_loss
    assert loss_function(config("on", 1), CPU) is not weighted_loss
    monkeypatch.setattr(compilation, "has_compiler", lambda: False)
    assert loss_function(config("auto", long), CPU) is weighted_loss


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("context", [10, 24])
def test_compiled_gradients_equal_eager_ones(make_model, make_corpus, random_documents, tokenizer, context):
    packed = Packed(DocumentSequences(make_corpus(random_documents(20, 9, 9)), tokenizer), context, 0)
    batch = packed.batch(range(4))
    gradients = []
    for function in (weighted_loss, loss_function(config("on", 1), CPU)):
        model = make_model()
        function(model, batch.inputs, batch.targets, batch.weights, **batch.attention).backward()
        gradients.append(torch.cat([w.grad.flatten() for w in model.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_sharded_model_compiles_one_block_for_all(tmp_path):
    lines = processes.start(1, training_runs.compiled, tmp_path).results()[0]
    plain = training_runs.lines_of(tmp_path / "plain", {"steps": 4}, layers=4)
    for compiled in ("blocks", "blocks again in backward"):
        for figure in ("train_loss", "validation_loss"):
            found, expected = ([line[figure] for line in run[1:]] for run in (lines[compiled], plain))
            assert found == pytest.approx(expected, rel=1e-5)
    assert lines["graphs"] == 2, "one for training, one for evaluation, whatever the number of blocks"
