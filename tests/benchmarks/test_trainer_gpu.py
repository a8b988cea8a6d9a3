"""The step that is timed on a GPU, on a CPU: the trainer's own in bfloat16, with kernels and without."""

import importlib.util
from pathlib import Path

import pytest
import torch

from sbp_bayes import kernels
from sbp_bayes.training import parallel
from sbp_bayes.training.configuration import TrainingConfig

FILE = Path(__file__).parents[2] / "benchmarks" / "trainer_gpu.py"


@pytest.mark.interpreter
def test_our_step_trains_with_kernels_as_without():
    spec = importlib.util.spec_from_file_location("trainer_gpu", FILE)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.VOCABULARY = 61
    tokens = torch.randint(61, (2, 9), generator=torch.Generator().manual_seed(0))
    settings = TrainingConfig(
        steps=3, context=8, batch_tokens=16, learning_rate=3e-2, precision="bfloat16", compile="off"
    )
    losses = {}
    for mode in ("on", "off"):
        with kernels.forced(mode):
            loss_of, model, optimiser = benchmark.our_step("0.1M", settings, tokens)
            losses[mode] = []
            for _ in range(3):
                loss = loss_of()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
                optimiser.step()
                optimiser.zero_grad()
                losses[mode].append(float(loss.detach()))
    parallel.leave()
    assert losses["on"] == pytest.approx(losses["off"], rel=2e-2)
    assert losses["on"] != losses["off"], "the kernels did not run"
    assert losses["on"][2] < 0.9 * losses["on"][0]
