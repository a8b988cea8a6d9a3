"""Tasks on the engines that this machine has: what is lost, what goes on, what is told."""

import dataclasses
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from shard_tasks import Square

from sbp_bayes.engines.options import Engine
from sbp_bayes.engines.run import run_tasks
from sbp_bayes.errors import UserError

ENGINES = [
    Engine(workers=1),
    Engine(workers=2),
    pytest.param(Engine("datatrove-local", workers=1), marks=pytest.mark.extras),
    pytest.param(Engine("datatrove-local", workers=2), marks=pytest.mark.extras),
]
SLURM = Engine("slurm", partition="long", time="1:00:00", memory_gb=3, threads=2)


def times_begun(tasks: list[Square]) -> list[int]:
    logs = [task.out / f"{task.name}.log" for task in tasks]
    return [log.read_text().count("begun") if log.exists() else 0 for log in logs]


def squares(n: int, out: Path, **troubles: dict) -> list[Square]:
    """Tasks 0..n-1; ``t3={"trouble": "kill"}`` gives the third its trouble."""
    return [Square(i, out, **troubles.get(f"t{i}", {})) for i in range(n)]


def results(tasks: list[Square]) -> list[str]:
    return [(task.out / task.name).read_text() for task in tasks if (task.out / task.name).exists()]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_failing_task_is_named_the_others_are_done_and_the_next_call_goes_on(tmp_path, engine):
    tasks = squares(5, tmp_path, t1={"trouble": "user"}, t3={"trouble": "defect"})
    expected = r"numbers: 2 of 5 failed, the others are done: part-00001: part-00001\.parquet: corrupt; part-00003: Key"
    with pytest.raises(UserError, match=expected) as told:
        run_tasks(tasks, tmp_path, engine, "numbers")
    assert "\n" not in str(told.value)
    assert results(tasks) == ["0", "4", "16"]
    assert "Traceback" in (tmp_path / "failed" / "part-00003.txt").read_text()
    (tmp_path / "mended").touch()
    assert run_tasks(tasks, tmp_path, engine, "numbers")
    assert results(tasks) == ["0", "1", "4", "9", "16"]
    assert times_begun(tasks) == [1, 2, 1, 2, 1]
    assert not list((tmp_path / "failed").iterdir())


def test_a_killed_worker_loses_one_shard(tmp_path):
    tasks = squares(6, tmp_path, t2={"trouble": "kill"})
    assert run_tasks(tasks, tmp_path, Engine(workers=2))
    assert results(tasks) == ["0", "1", "4", "9", "16", "25"]
    assert times_begun(tasks) == [1, 1, 2, 1, 1, 1]


def test_a_task_that_kills_every_worker_is_named_and_the_others_go_on(tmp_path):
    tasks = squares(5, tmp_path, t0={"trouble": "kill", "times": 2})
    with pytest.raises(UserError, match=r"1 of 5 failed, .*: part-00000: its process died 2 times"):
        run_tasks(tasks, tmp_path, Engine(workers=2))
    assert results(tasks) == ["1", "4", "9", "16"]
    assert run_tasks(tasks, tmp_path, Engine(workers=2))
    assert times_begun(tasks) == [3, 1, 1, 1, 1]


def test_finished_tasks_are_not_begun_again_unless_they_are_described_otherwise(tmp_path):
    tasks = squares(3, tmp_path)
    for _ in range(2):
        run_tasks(tasks, tmp_path, Engine(workers=1))
    assert times_begun(tasks) == [1, 1, 1]
    run_tasks([*tasks[:2], dataclasses.replace(tasks[2], times=7)], tmp_path, Engine(workers=1))
    (tmp_path / "finished" / "part-00000.json").write_text("{")
    run_tasks(tasks[:1], tmp_path, Engine(workers=1))
    assert times_begun(tasks) == [2, 1, 2]


def test_workers_do_not_outlive_the_command(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[2] / "support")!r})
        from sbp_bayes.engines.options import Engine
        from sbp_bayes.engines.run import run_tasks
        from slow_tasks import Sleep
        if __name__ == "__main__":
            run_tasks([Sleep(i, Path({str(tmp_path)!r})) for i in range(2)], Path({str(tmp_path)!r}), Engine(workers=2))
        """)
    )
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("*.pid"))) < 2:
        time.sleep(0.02)
    process.kill()
    process.wait()
    pids = [int(file.read_text()) for file in tmp_path.glob("*.pid")]
    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (Engine(workers=-1), r"--workers -1 --threads 1: expected 0 or more"),
        pytest.param(Engine("slurm"), r"--engine slurm: needs --partition", marks=pytest.mark.extras),
        pytest.param(SLURM, r"sbatch did not take .*launch_script\.slurm", marks=pytest.mark.extras),
        pytest.param(Engine("ray"), r"--engine ray: needs Ray: pip install ray", marks=pytest.mark.extras),
    ],
    ids=str,
)
def test_an_engine_that_is_not_there_is_one_line(tmp_path, engine, message):
    with pytest.raises(UserError, match=message):
        run_tasks(squares(2, tmp_path), tmp_path, engine)


BASH = "#!/bin/bash\n"
SBATCH = """#!/bin/bash
# Runs every task of the array at once, as a cluster with room for all would.
while [[ $1 == --* ]]; do [[ $1 == --export=* ]] && export "${1##*,}"; shift; done
cp "$1" submitted-$(ls submitted-* 2>/dev/null | wc -l).sh
array=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
if grep -q launch_pickled "$1"; then
  for i in $(seq 0 "$array"); do SLURM_ARRAY_TASK_ID=$i SLURM_NODELIST=one bash "$1" >>log 2>&1; done
fi
echo "Submitted batch job 41"
"""
SRUN = BASH + 'while [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done\nexec "$@"\n'


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """A folder with Slurm's commands, as far as datatrove calls them; ``queue`` in it is what squeue prints."""
    commands = {
        "sbatch": SBATCH,
        "srun": SRUN,
        "scontrol": BASH + "echo one\n",
        "squeue": BASH + "cat queue\n",
    }
    for name, script in commands.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "queue").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support"))
    return tmp_path


@pytest.mark.extras
def test_slurm_gets_a_script_that_does_the_tasks_and_the_next_call_goes_on(cluster, capsys):
    out = cluster / "out"
    out.mkdir()
    tasks = squares(3, out, t1={"trouble": "user"})
    assert not run_tasks(tasks, out, SLURM, "some numbers")
    script = (cluster / "submitted-0.sh").read_text()
    for line in (
        "partition=long",
        "time=1:00:00",
        "cpus-per-task=2",
        "mem-per-cpu=3G",
        "array=0-2",
        "job-name=some-numb",
    ):
        assert f"#SBATCH --{line}" in script
    assert results(tasks) == ["0", "4"]
    assert "part-00001: part-00001.parquet: corrupt" in (cluster / "log").read_text()

    (cluster / "queue").write_text("41 long some-numbers\n")
    assert not run_tasks(tasks, out, SLURM, "some numbers")
    assert "1 shards to go, Slurm's job 41 is at them" in capsys.readouterr().err
    (cluster / "queue").write_text("")
    (out / "mended").touch()
    assert not run_tasks(tasks, out, SLURM, "some numbers")
    assert run_tasks(tasks, out, SLURM, "some numbers")
    assert results(tasks) == ["0", "1", "4"]
    assert times_begun(tasks) == [1, 2, 1]


@pytest.mark.extras
def test_ray_is_given_a_rank_for_each_task(tmp_path):
    from sbp_bayes.engines.cluster import executor

    made = executor(squares(3, tmp_path), tmp_path, Engine("ray", threads=2, memory_gb=3, gpus=1), "numbers")
    assert (made.world_size, made.cpus_per_task, made.mem_per_cpu_gb, made.gpus_per_task) == (3, 2, 3, 1)
