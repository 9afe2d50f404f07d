"""A run on disk that survives a kill and a restart, and trackers that get the numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.watched import small_net, some_data, train, watched

import genscope
from genscope.core.run_log import parse_records
from genscope.errors import StoreError, UsageError
from genscope.sources.run_folder import read_run
from genscope.training.monitor_budget import Account

REPOSITORY = Path(__file__).parents[2]


def test_a_killed_run_keeps_every_record(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(REPOSITORY)!r})
from tests.training.watched import small_net, train
import genscope
net = small_net()
monitor = genscope.watch(net, {str(tmp_path / "run")!r}, every=1, budget=None)
while True:
    train(net, monitor, steps=1)
    if monitor.steps == 20: print("go", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "go\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    run = read_run(tmp_path / "run")
    assert len(run.records) >= 20 and [record["step"] for record in run.records] == list(range(1, len(run.records) + 1))
    assert run.state == "running" and run.note is None
    os.utime(tmp_path / "run" / "records.jsonl", (0, time.time() - 10_000))
    assert read_run(tmp_path / "run").state == "silent"


def test_a_cut_last_line_is_no_fault_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    whole = '{"kind": "step", "step": 1}\n{"kind": "step", "step": 2}\n'
    assert [record["step"] for record in parse_records(whole + '{"kind": "step", "st')[0]] == [1, 2]
    assert parse_records(whole + '{"kind": "step", "st')[1] is None
    records, note = parse_records('{"kind": "step", "step": 1}\n{garbage\n[1]\n{"kind": "step", "step": -1}\n{"kind": "step", "step": 3}\n')
    assert [record["step"] for record in records] == [1, 3] and note is not None and note.startswith("3 lines")


def test_a_restart_goes_on_without_gaps_or_doubles(tmp_path: Path) -> None:
    plain, net = small_net(), small_net()
    with watched(plain, out=tmp_path / "plain") as monitor:
        train(plain, monitor, steps=8)
        monitor.epoch()
    first = watched(net, out=tmp_path / "run")
    with torch.no_grad():
        data = some_data(128)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def steps(monitor: Any, numbers: range) -> None:
        for k in numbers:
            x, y = data[0][16 * k : 16 * k + 16], data[1][16 * k : 16 * k + 16]
            optimizer.zero_grad()
            logits = net(x)
            loss = torch.nn.functional.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            monitor.step(loss=loss, logits=logits, targets=y, learning_rate=0.1)

    steps(first, range(4))
    torch.save({"net": net.state_dict(), "monitor": first.state_dict()}, tmp_path / "state.pt")
    steps(first, range(4, 6))  # these are lost with the process that is killed here
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    net.load_state_dict(state["net"])
    second = watched(net, out=tmp_path / "run")
    second.load_state_dict(state["monitor"])
    steps(second, range(4, 8))
    second.epoch()
    second.close()
    expected, found = (read_run(tmp_path / name).records for name in ("plain", "run"))
    assert [record["step"] for record in found if record["kind"] == "step"] == list(range(1, 9))
    for wanted, record in zip(expected, found, strict=True):
        for part in ("train", "values", "layers"):
            assert json.dumps(record[part]) == json.dumps(wanted[part])


def test_another_run_is_not_written_over(tmp_path: Path) -> None:
    for _ in range(2):
        net = small_net()
        with watched(net, out=tmp_path / "run", fresh=True) as monitor:
            train(net, monitor, steps=2)
    assert len(read_run(tmp_path / "run").records) == 3
    with pytest.raises(StoreError, match="holds a run already"), watched(net, out=tmp_path / "run") as monitor:
        monitor.step()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a file"):
        watched(net, out=tmp_path / "file").step()


def test_runs_without_a_name_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in ("001", "002"):
        net = small_net()
        with genscope.watch(net, every=1) as monitor:
            train(net, monitor, steps=1)
        assert read_run(tmp_path / "genscope-runs" / number).state == "finished"


class Recorder:
    """Takes what a tracker would be told."""

    def __init__(self) -> None:
        self.told: list[Any] = []


class Writer(Recorder):
    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.told.append((tag, value, step))

    def flush(self) -> None:
        self.told.append("flushed")


class WandbRun(Recorder):
    def log(self, numbers: dict[str, float]) -> None:
        self.told.append(numbers)


class Mlflow(Recorder):
    def log_metrics(self, numbers: dict[str, float], step: int) -> None:
        self.told.append((step, numbers))


def test_trackers_are_told_every_number() -> None:
    writer, run, client = Writer(), WandbRun(), Mlflow()
    net = small_net()
    with watched(net, to=[writer, run, client]) as monitor:
        record = train(net, monitor, steps=2)[-1]
    loss = record["train"]["loss"]
    assert ("gen/loss/train", loss, 2) in writer.told and writer.told[-1] == "flushed"
    assert run.told[1]["gen/loss/train"] == loss and run.told[1]["gen/step"] == 2
    assert client.told[1] == (2, {name: value for name, value in run.told[1].items() if name != "gen/step"})
    assert client.told[1][1]["gen/rho/0"] == record["layers"]["0"]["rho"]


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (genscope[tensorboard])")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    net = small_net()
    with watched(net, out=tmp_path / "run", to=["tensorboard"]) as monitor:
        records = train(net, monitor, steps=3)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    found = events.Scalars("gen/normalized_loss/train")
    assert [event.step for event in found] == [1, 2, 3]
    assert [event.value for event in found] == pytest.approx([record["train"]["normalized_loss"] for record in records], rel=1e-6)


def test_wandb_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    net = small_net()
    with watched(net, to="wandb") as monitor:
        train(net, monitor, steps=2)
    assert wandb.run is None and list(tmp_path.rglob("*.wandb"))


def test_mlflow_writes_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database store
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    net = small_net()
    with mlflow.start_run() as run, watched(net, to="mlflow") as monitor:
        record = train(net, monitor, steps=2)[-1]
    history = mlflow.tracking.MlflowClient().get_metric_history(run.info.run_id, "gen/loss/train")
    assert [point.step for point in history] == [1, 2] and history[-1].value == pytest.approx(record["train"]["loss"])


def test_what_is_no_destination_is_refused() -> None:
    for wrong in ("tensorbord", object()):
        with pytest.raises(UsageError):
            watched(small_net(), to=[wrong]).step()


class Clock:
    """Time that passes only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_account_keeps_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("genscope.training.monitor_budget.time.perf_counter", clock)
    account = Account(0.05)
    for _ in range(10):
        clock.now += 1.0
        account.tick()
    assert account.step_seconds() == pytest.approx(1.0)
    assert account.allows(0.5) and not account.allows(0.6)
    # 0.2 s each at 5 % of steps of 1 s: every fifth step at most, never more often than asked
    assert account.stride(1, 0.2) == 5 and account.stride(10, 0.2) == 10 and account.stride(2, 1e9) == 200
    with account.charge(), account.charge():
        clock.now += 0.5
    assert account.spent == 0.5 and account.step_seconds() == pytest.approx(1.0)
    assert not account.allows(0.1)
    assert Account(None).allows(1e9) and Account(None).stride(7, 1e9) == 7
