"""What a run reports, line by line, and the peaks that utilisation is measured against."""

import json
import math
import sys

import pytest
import torch

from sbp_bayes.errors import UserError
from sbp_bayes.training import metrics
from sbp_bayes.training.device_peaks import peak_flops, peak_of
from sbp_bayes.training.metrics import MetricsLogger


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_and_speed_lie_apart(tmp_path):
    logger = MetricsLogger(tmp_path)
    logger.log({"step": 0, "validation_loss": 3.0})
    logger.log({"step": 5, "train_loss": 2.5}, tokens=1000, seconds=2.0)
    logger.close()
    assert lines(tmp_path / "metrics.jsonl") == [{"step": 0, "validation_loss": 3.0}, {"step": 5, "train_loss": 2.5}]
    (speed,) = lines(tmp_path / "speed.jsonl")
    assert speed["step"] == 5 and speed["tokens_per_second"] == 500 and "mfu" not in speed
    assert 2**20 < speed["memory_bytes"] < 2**40
    assert not (tmp_path / "tensorboard").exists()


def test_memory_grows_with_what_is_held():
    before = metrics.memory_bytes(torch.device("cpu"))
    held = torch.ones(before // 4)  # as much again as the whole process
    assert metrics.memory_bytes(torch.device("cpu")) >= 1.5 * before
    assert held.sum() > 0


def test_utilisation_is_of_all_devices_and_only_where_the_peak_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "peak_flops", lambda device: 1e12)
    MetricsLogger(tmp_path, flops_per_token=1e9, devices=4).log({"step": 1}, tokens=1000, seconds=1.0)
    assert lines(tmp_path / "speed.jsonl")[0]["mfu"] == pytest.approx(1000 * 1e9 / (4 * 1e12))


def test_a_run_that_goes_on_cuts_both_files_back(tmp_path):
    first = MetricsLogger(tmp_path)
    for step in (2, 4, 6):
        first.log({"step": step}, tokens=10, seconds=1.0)
    with (tmp_path / "speed.jsonl").open("a") as file:
        file.write('{"step": 8, "tok')
    for damaged in ('{"mfu": 1}', "[]", "7"):
        (tmp_path / "damaged").mkdir(exist_ok=True)
        (tmp_path / "damaged" / "speed.jsonl").write_text(f'{{"step": 1}}\n{damaged}\n{{"step": 2}}\n')
        MetricsLogger(tmp_path / "damaged", first.lines[:2])
        assert lines(tmp_path / "damaged" / "speed.jsonl") == [{"step": 1}]
    again = MetricsLogger(tmp_path, first.lines[:2])
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl")] == [2, 4]
    assert [line["step"] for line in lines(tmp_path / "speed.jsonl")] == [2, 4]
    again.log({"step": 6}, tokens=10, seconds=2.0)
    assert [line["tokens_per_second"] for line in lines(tmp_path / "speed.jsonl")] == [10, 10, 5]


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError):
        MetricsLogger(tmp_path).log({"step": 1, "train_loss": math.nan})
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_missing_tensorboard_is_one_line_that_names_the_key_and_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r'training\.track = "tensorboard".*not installed.*sbp-bayes\[track\]'):
        MetricsLogger(tmp_path, track="tensorboard")


def test_tensorboard_gets_every_number_at_its_step(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = MetricsLogger(tmp_path, track="tensorboard")
    logger.log({"step": 3, "train_loss": 2.5}, tokens=1000, seconds=2.0)
    logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (found,) = events.Scalars("train_loss")
    assert (found.step, found.value) == (3, 2.5) and events.Scalars("tokens_per_second")[0].value == 500


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA GB200", 2500e12),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA H20", None),
        ("NVIDIA A10", None),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4090 D", None),
    ],
)
def test_peaks_are_of_the_very_device_or_unknown(name, peak):
    assert peak_of(name) == peak


def test_a_cpu_has_no_peak():
    assert peak_flops("cpu") is None
