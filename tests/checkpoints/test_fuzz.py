"""Seeded mutations of valid files: always a checkpoint or one of our own errors, quickly, in bounded memory."""

import json
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import GenscopeError

MUTATIONS = 150
LIMITS = Limits(memory_bytes=50_000_000)
STRANGE = [-1, 0, 1, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1, 10**30, True, None, "4", 1.0, [], {}, [1], "../x", "\ud800", "a" * 1000]


def seeds(folder):
    rng = np.random.default_rng(0)
    state = {"fc.weight": torch.ones(4, 3), "tied": torch.arange(12.0).reshape(3, 4).t(), "half": torch.ones(3, dtype=torch.bfloat16)}
    state["again"] = state["fc.weight"]
    value = {
        "state_dict": state,
        "optimizer": {"state": {0: {"m": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "array": np.ones((2, 2)),
        "n": [1, 2.5, "x"],
    }
    torch.save(value, folder / "zip")
    torch.save(value, folder / "legacy", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), folder / "module", _use_new_zipfile_serialization=False)
    tensors = {f"l{i}": rng.standard_normal((2, i + 1)).astype("f4") for i in range(4)}
    return {"safetensors": save(tensors), **{name: (folder / name).read_bytes() for name in ("zip", "legacy", "module")}}


def bytes_changed(raw, rng):
    """One to eight edits: set, insert, delete, copy, cut, or a 32- or 64-bit number somewhere."""
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 9)):
        at = int(rng.integers(0, max(len(raw), 1)))
        kind = rng.integers(0, 6)
        if kind == 0 and raw:
            raw[at] = rng.integers(0, 256)
        elif kind == 1:
            raw[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 2:
            del raw[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            other = int(rng.integers(0, max(len(raw), 1)))
            raw[at:at] = raw[other : other + 16]
        elif kind == 4:
            raw[at : at + 8] = struct.pack("<Q", int(rng.choice([0, 1, 2**31, 2**32 - 1, 2**62])))
        elif rng.random() < 0.2:
            del raw[at:]
    return bytes(raw)


def header_changed(raw, rng):
    """A safetensors header with strange values in its fields."""
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    name = str(rng.choice(list(header)))
    if rng.random() < 0.2:
        header[name] = STRANGE[rng.integers(len(STRANGE))]
    else:
        field = str(rng.choice(["dtype", "shape", "data_offsets"]))
        strange = STRANGE[rng.integers(len(STRANGE))]
        held = header[name][field]
        if isinstance(held, list) and rng.random() < 0.7:
            held[int(rng.integers(len(held)))] = strange
        else:
            header[name][field] = strange
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + raw[8 + length :]


def pickle_changed(path, raw, rng):
    """An intact archive around a changed pickle."""
    path.write_bytes(raw)
    with zipfile.ZipFile(path) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members:
            new.writestr(name, bytes_changed(data, rng) if name.endswith("data.pkl") else data)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["safetensors", "header", "zip", "zip pickle", "legacy", "module"])
def test_mutations_end_in_a_checkpoint_or_in_our_own_error(kind, tmp_path):
    raw = seeds(tmp_path)[{"header": "safetensors", "zip pickle": "zip"}.get(kind, kind)]
    rng = np.random.default_rng(20)
    path = tmp_path / ("m.safetensors" if kind in {"safetensors", "header"} else "m.pt")
    outcomes = {"read": 0, "refused": 0}
    slowest = 0.0
    tracemalloc.start()
    try:
        for _ in range(MUTATIONS):
            if kind == "header":
                changed = header_changed(raw, rng)
            elif kind == "zip pickle":
                changed = pickle_changed(tmp_path / "tmp.zip", raw, rng)
            else:
                changed = bytes_changed(raw, rng)
            path.write_bytes(changed)
            started = time.process_time()
            try:
                checkpoint = open_checkpoint(path, limits=LIMITS)
                for spec in checkpoint.specs:
                    assert checkpoint.read(spec.name).shape == spec.shape
                checkpoint.close()
                outcomes["read"] += 1
            except GenscopeError as error:
                assert "\n" not in str(error) and str(error).endswith((".", '"')), str(error)
                outcomes["refused"] += 1
            slowest = max(slowest, time.process_time() - started)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    assert slowest < 2 and outcomes["refused"] > 10 and sum(outcomes.values()) == MUTATIONS
