import argparse
import collections
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, UsageError

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def saved(tmp_path, value, zipped=True, name="m.pt"):
    torch.save(value, tmp_path / name, _use_new_zipfile_serialization=zipped)
    return tmp_path / name


def same(checkpoint, expected):
    assert {spec.name for spec in checkpoint.specs} == set(expected)
    for name, tensor in expected.items():
        wide = tensor.detach().to(torch.float64 if tensor.dtype == torch.float64 else torch.float32)
        read = checkpoint.read(name)
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, wide.contiguous().numpy())


def floats(state):
    return {name: tensor for name, tensor in state.items() if tensor.dtype.is_floating_point}


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 5))


@FORMATS
def test_state_dict_equals_torch_load(zipped, tmp_path):
    state = network().state_dict()
    path = saved(tmp_path, state, zipped)
    checkpoint = open_checkpoint(path)
    same(checkpoint, floats(torch.load(path, weights_only=True)))
    assert [skip.layer for skip in checkpoint.skips] == ["1.num_batches_tracked"]
    assert [spec.name for spec in checkpoint.held] == list(state)


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_element_types(dtype, zipped, tmp_path):
    tensor = torch.randn(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    checkpoint = open_checkpoint(saved(tmp_path, {"w": tensor}, zipped))
    same(checkpoint, {"w": tensor})
    assert checkpoint.specs[0].dtype == str(dtype).removeprefix("torch.")


@FORMATS
def test_views_are_read_in_order(zipped, tmp_path):
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    views = {"t": base.permute(2, 0, 1), "slice": base[1:, ::2, 1:4], "tail": base[2], "one": base[0, 0, 0], "row": base[:, :1, :], "empty": base[:0]}
    path = saved(tmp_path, views, zipped)
    checkpoint = open_checkpoint(path)
    views.pop("empty")
    same(checkpoint, views)
    assert checkpoint.skips[0].reason.startswith("empty")


def test_slice_reads_only_its_bytes(tmp_path, monkeypatch):
    path = saved(tmp_path, {"w": torch.zeros(1_000_000)[10:20]})
    checkpoint = open_checkpoint(path)
    import os

    taken = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: taken.append(n) or real(fd, n, at))
    assert checkpoint.read("w").shape == (10,) and sum(taken) < 1000


@FORMATS
def test_tied_weights_are_one_tensor_with_aliases(zipped, tmp_path):
    shared = torch.randn(4, 4)
    checkpoint = open_checkpoint(saved(tmp_path, {"a": shared, "b": shared, "c": shared.t(), "d": shared.clone()}, zipped))
    assert [(spec.name, spec.aliases) for spec in checkpoint.specs] == [("a", ("b",)), ("c", ()), ("d", ())]
    assert any("Tied" in note for note in checkpoint.notes)


@FORMATS
def test_parameters_and_single_tensors(zipped, tmp_path):
    weight = torch.nn.Parameter(torch.randn(3, 2))
    same(open_checkpoint(saved(tmp_path, {"w": weight}, zipped)), {"w": weight})
    same(open_checkpoint(saved(tmp_path, weight.data, zipped)), {"weight": weight})


@pytest.mark.filterwarnings("ignore:Sparse|torch.quantize|.*storages:UserWarning")
@FORMATS
def test_tensors_without_a_plain_matrix_are_skipped(zipped, tmp_path):
    odd = {
        "coo": torch.eye(3).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(),
        "complex": torch.zeros(2, 2, dtype=torch.complex64),
        "quantized": torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8),
        "expanded": torch.ones(1).expand(1000, 1000),
        "integer": torch.arange(4),
        "w": torch.eye(2),
    }
    if zipped:
        odd |= {"meta": torch.empty(3, 3, device="meta"), "u16": torch.zeros(2, dtype=torch.uint16)}
    checkpoint = open_checkpoint(saved(tmp_path, odd, zipped))
    reasons = {skip.layer: skip.reason for skip in checkpoint.skips}
    assert [spec.name for spec in checkpoint.specs] == ["w"] and set(reasons) == set(odd) - {"w"}
    for name, word in {"coo": "sparse", "csr": "sparse", "complex": "complex", "quantized": "quantized", "expanded": "stride 0"}.items():
        assert word in reasons[name]


@FORMATS
@pytest.mark.parametrize("wrap", [lambda m: m, torch.nn.DataParallel], ids=["plain", "DataParallel"])
def test_whole_module_gives_the_names_of_its_state_dict(wrap, zipped, tmp_path):
    model = wrap(network())
    checkpoint = open_checkpoint(saved(tmp_path, model, zipped))
    same(checkpoint, floats(network().state_dict()))
    assert any("whole pickled module" in note for note in checkpoint.notes)
    kinds = {spec.name: (spec.kind, dict(spec.attributes)) for spec in checkpoint.specs if spec.kind}
    assert kinds["2.weight"] == ("linear", {}) and kinds["0.weight"][0] == "conv2d" and kinds["0.weight"][1]["groups"] == 1 and len(kinds) == 2


@FORMATS
def test_training_checkpoint_of_the_field(zipped, tmp_path):
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    value = {
        "epoch": 7,
        "state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "ema_state_dict": {name: tensor * 2 for name, tensor in model.state_dict().items()},
        "args": argparse.Namespace(lr=0.1, path="x"),
        "extra": SimpleNamespace(scale=np.float64(3.5), table=np.ones((2, 2))),
        "best": np.float32(0.5),
        "when": collections.OrderedDict(a=complex(1, 2)),
    }
    checkpoint = open_checkpoint(saved(tmp_path, value, zipped))
    same(checkpoint, floats(model.state_dict()))
    said = " ".join(checkpoint.notes)
    assert "taken from 'state_dict'" in said and "optimizer tensors were counted" in said and "EMA" in said
    assert "argparse.Namespace" in said and said.count("types.SimpleNamespace") == 1 and "'module.'" in said
    assert checkpoint.metadata == {"epoch": 7}
    same(open_checkpoint(tmp_path / "m.pt", part="ema_state_dict"), {name: tensor * 2 for name, tensor in floats(model.state_dict()).items()})
    with pytest.raises(UsageError, match="no part 'nothing'"):
        open_checkpoint(tmp_path / "m.pt", part="nothing")


def test_lightning_layout(tmp_path):
    model = network()
    value = {
        "epoch": 1,
        "pytorch-lightning_version": "2.6",
        "state_dict": {f"model._orig_mod.{name}": tensor for name, tensor in model.state_dict().items()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1}]}],
        "lr_schedulers": [{"base": torch.ones(1)}],
        "callbacks": {"EMA": {"shadow": torch.ones(5)}},
        "hyper_parameters": {"width": 3},
    }
    checkpoint = open_checkpoint(saved(tmp_path, value, name="last.ckpt"))
    same(checkpoint, {f"model.{name}": tensor for name, tensor in floats(model.state_dict()).items()})


def test_torchscript_is_read_without_its_code(tmp_path):
    model = network()
    torch.jit.save(torch.jit.trace(model[2], torch.zeros(1, 8)), tmp_path / "s.pt")
    checkpoint = open_checkpoint(tmp_path / "s.pt")
    same(checkpoint, dict(model[2].state_dict()))
    assert checkpoint.format == "torchscript"


def test_flipped_bit_is_found_with_verify_only(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(1000)})
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert open_checkpoint(path).read("w").any()
    with pytest.raises(CorruptInput, match="checksum"):
        open_checkpoint(path, verify=True)


def test_deflated_storage_within_the_ratio_is_read(tmp_path):
    path = saved(tmp_path, {"w": torch.arange(1000.0).reshape(10, 100)[:, 5:20]})
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "d.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    np.testing.assert_array_equal(open_checkpoint(tmp_path / "d.pt").read("w"), np.arange(1000.0).reshape(10, 100)[:, 5:20])


def test_every_truncation_is_refused(tmp_path):
    for zipped in (True, False):
        raw = saved(tmp_path, {"w": torch.zeros(20, 3), "b": torch.ones(2)}, zipped).read_bytes()
        for end in range(0, len(raw), 7):
            (tmp_path / "cut.pt").write_bytes(raw[:end])
            with pytest.raises(GenscopeError):
                open_checkpoint(tmp_path / "cut.pt")


def test_plain_pickle_of_arrays_and_of_nothing(tmp_path):
    import pickle

    arrays = {
        "model": {"a": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.arange(6.0, dtype="f4").reshape(2, 3)), "o": np.array([{}, None])}
    }
    for protocol in (2, 4, 5):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps(arrays, protocol))
        checkpoint = open_checkpoint(tmp_path / "d.pkl")
        np.testing.assert_array_equal(checkpoint.read("a"), arrays["model"]["a"])
        np.testing.assert_array_equal(checkpoint.read("f"), arrays["model"]["f"])
        assert checkpoint.skips[0].layer == "o"
    (tmp_path / "n.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(GenscopeError, match="no tensors"):
        open_checkpoint(tmp_path / "n.pkl")


def test_opening_imports_no_torch(tmp_path):
    import subprocess

    path = saved(tmp_path, network())
    code = (
        "import sys; from genscope.checkpoints.open import open_checkpoint as o\n"
        f"c = o({str(path)!r}); [c.read(s.name) for s in c.specs]; assert 'torch' not in sys.modules and 'pickle' not in sys.modules.get('x', {{}})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shape_beyond_the_budget_is_listed_but_not_read(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(100, 100)})
    checkpoint = open_checkpoint(path, limits=Limits(memory_bytes=20_000))
    assert checkpoint.specs[0].shape == (100, 100)
    with pytest.raises(GenscopeError, match="--max-memory"):
        checkpoint.read("w")
