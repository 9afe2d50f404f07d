"""Mixed precision, gradient accumulation, compiled models and two processes: the same numbers as plain training, recorded once."""

import math
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.watched import product_norm, small_net, some_data, train, watched
from torch import nn
from torch.nn import functional as F

import genscope
from genscope.sources.run_folder import read_run


def agree(found: list[Any], expected: list[Any], rel: float = 1e-4) -> None:
    assert len(found) == len(expected)
    for record, wanted in zip(found, expected, strict=True):
        for part in ("train", "values"):
            assert record[part].keys() == wanted[part].keys()
            for name, value in wanted[part].items():
                assert record[part][name] == pytest.approx(value, rel=rel, abs=1e-5), name
        assert record["layers"].keys() == wanted["layers"].keys()


def plain_records() -> list[Any]:
    net = small_net()
    with watched(net, layers_every=0) as monitor:
        return train(net, monitor, steps=4)


def test_gradient_accumulation() -> None:
    net = small_net()
    with watched(net, layers_every=0) as monitor:
        agree(train(net, monitor, steps=4, split=4), plain_records())


def test_mixed_precision_agrees_within_its_rounding_and_exactly_by_hand() -> None:
    net = small_net()
    with watched(net, layers_every=0) as monitor:
        records = train(net, monitor, steps=4, amp=True)
        agree(records, plain_records(), rel=0.15)
        x, y = some_data(16)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)
        record = monitor.step(loss=F.cross_entropy(logits.float(), y), logits=logits, targets=y)
    assert logits.dtype == torch.bfloat16
    expected = F.cross_entropy(logits.detach().double() / product_norm(net), y)
    assert record["train"]["normalized_loss"] == pytest.approx(float(expected), rel=1e-9)


def test_a_scaled_loss_leaves_unscaled_gradients() -> None:
    """As GradScaler does it: gradients are unscaled when the optimizer steps, and the monitor looks after that."""
    net = small_net()
    x, y = some_data(16)
    optimizer, scaler = torch.optim.SGD(net.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watched(net, optimizer=optimizer, layers_every=0) as monitor:
        logits = net(x)
        loss = F.cross_entropy(logits, y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        agree([monitor.step(loss=loss, logits=logits, targets=y)], plain_records()[:1])


def test_a_compiled_model() -> None:
    net = small_net()
    compiled = torch.compile(net, backend="eager")
    with watched(compiled, layers_every=0) as monitor:
        agree(train(compiled, monitor, steps=4), plain_records())
    assert not compiled._forward_pre_hooks and not net._forward_pre_hooks


def test_a_compiled_model_watched_inside() -> None:
    net = small_net()
    compiled = torch.compile(net, backend="eager")
    with watched(net, layers_every=0, example=some_data(4)[0]) as monitor:
        agree(train(compiled, monitor, steps=4), plain_records())


def test_channels_last() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3, bias=False))
    last = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3, bias=False))
    last.load_state_dict(net.state_dict())
    last.to(memory_format=torch.channels_last)
    x, y = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    records = []
    for one, inputs in ((net, x), (last, x.to(memory_format=torch.channels_last))):
        with watched(one, layers_every=0) as monitor:
            logits = one(inputs)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            records.append([monitor.step(loss=loss, logits=logits, targets=y)])
    agree(*records)


def _one_of_two(rank: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    net = small_net()
    model = nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = some_data(64)
    # the time budget of each process would ask for other steps: the first one decides for both
    with genscope.watch(model, folder, optimizer=optimizer, every=1, layers_every=0, budget=None if folder.endswith("exact") else 0.5) as monitor:
        for x, y in zip(inputs.split(16), targets.split(16), strict=True):
            mine = slice(8 * rank, 8 * rank + 8)
            optimizer.zero_grad()
            logits = model(x[mine])
            loss = F.cross_entropy(logits, y[mine])
            loss.backward()
            optimizer.step()
            monitor.step(loss=loss, logits=logits, targets=y[mine])
        monitor.accumulate(logits=net(inputs[32 * rank : 32 * rank + 32]), targets=targets[32 * rank : 32 * rank + 32], split="validation")
        monitor.epoch()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_record_once_what_one_would(tmp_path: Path) -> None:
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    torch.multiprocessing.spawn(_one_of_two, (port, str(tmp_path / "exact")), nprocs=2)
    records = read_run(tmp_path / "exact").records
    agree([record for record in records if record["kind"] == "step"], plain_records())
    assert [record["kind"] for record in records] == ["step"] * 4 + ["epoch", "end"]
    net = small_net()
    train(net, None, steps=4)
    x, y = some_data(64)
    with torch.no_grad():
        logits = net(x)
    validation = records[4]["validation"]
    assert validation["loss"] == pytest.approx(float(F.cross_entropy(logits, y)), rel=1e-4)
    assert validation["normalized_loss"] == pytest.approx(float(F.cross_entropy(logits.double() / product_norm(net), y)), rel=1e-5)
    assert math.isfinite(validation["margin_median"])
