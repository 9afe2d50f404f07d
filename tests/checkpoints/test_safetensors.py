import json
import os
import struct
import sys
import time

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.checkpoints.safetensors import open_safetensors
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded


def packed(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(raw)) + raw + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def written(tmp_path, content, name="model.safetensors"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


W = entry()
HOSTILE = {
    "1 length 10^12": (struct.pack("<Q", 10**12) + b"{" + b" " * 7, CorruptInput, "header claims 1000000000000 bytes but file has 16 bytes"),
    "2 length 2^64-1": (b"\xff" * 8 + b"{}      ", CorruptInput, "header claims 18446744073709551615 bytes"),
    "3 not UTF-8": (packed(b'{"\xff":1}'), CorruptInput, "not UTF-8"),
    "3 not JSON": (packed(b'{"a":'), CorruptInput, "not JSON"),
    "3 JSON list": (packed([1, 2]), CorruptInput, "not an object"),
    "3 NaN": (packed(b'{"a":NaN}'), CorruptInput, "no finite number"),
    "3 nested": (packed(b'{"a":' + b"[" * 100_000), CorruptInput, "nests too deep"),
    "3 endless number": (packed(b'{"a":' + b"9" * 10_000 + b"}"), CorruptInput, "number"),
    "3 leading blank": (packed(b" {}"), CorruptInput, "blanks"),
    "5 duplicate": (packed(b'{"w":%s,"w":%s}' % ((json.dumps(W).encode(),) * 2), b"\0" * 4), CorruptInput, "'w' twice"),
    "5 duplicate inside": (
        packed(b'{"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
        CorruptInput,
        "'dtype' twice",
    ),
    "6 overlap": (packed({"a": W, "b": entry(shape=(2,), offsets=(2, 10))}, b"\0" * 10), CorruptInput, "overlaps 'a'"),
    "6 hole": (packed({"a": W, "b": entry(offsets=(8, 12))}, b"\0" * 12), CorruptInput, "hole of 4 bytes"),
    "6 trailing": (packed({"a": W}, b"\0" * 5), CorruptInput, "1 trailing bytes"),
    "6 first": (packed({"a": entry(offsets=(4, 8))}, b"\0" * 8), CorruptInput, "begins at data byte 4 instead of 0"),
    "7 one short": (packed({"a": entry(shape=(1000,), offsets=(0, 4000))}, b"\0" * 3999), CorruptInput, "incomplete: 3999 of 4000 data bytes"),
    "8 wrap-around": (packed({"a": entry(shape=(4194305, 4194305, 211106198978564), offsets=(0, 16))}, b"\0" * 16), LimitExceeded, "elements"),
    "8 wrong size": (packed({"a": entry(shape=(3,), offsets=(0, 4))}, b"\0" * 4), CorruptInput, "needs 12 bytes but its offsets [0, 4] hold 4"),
    "many lists": (packed(b'{"a":' + b"[" * 300_000), CorruptInput, "lists and objects"),
    "many values": (packed(b'{"a":[' + b"1," * 300_000 + b"1]}"), CorruptInput, "more values than its 0 tensors"),
    "9 negative": (packed({"a": entry(shape=(-1,))}, b"\0" * 4), CorruptInput, "-1, not a non-negative integer"),
    "9 float": (packed({"a": entry(shape=(1.0,))}, b"\0" * 4), CorruptInput, "1.0"),
    "9 true": (packed({"a": entry(shape=(True,))}, b"\0" * 4), CorruptInput, "True"),
    "9 text": (packed({"a": entry(shape=("4",))}, b"\0" * 4), CorruptInput, "'4'"),
    "9 null": (packed({"a": entry(shape=(None,))}, b"\0" * 4), CorruptInput, "None"),
    "9 null shape": (packed({"a": {"dtype": "F32", "shape": None, "data_offsets": [0, 4]}}, b"\0" * 4), CorruptInput, "header entry"),
    "9 offsets true": (packed({"a": entry(offsets=(False, 4))}, b"\0" * 4), CorruptInput, "offsets"),
    "9 offsets backwards": (packed({"a": entry(offsets=(4, 0))}, b"\0" * 4), CorruptInput, "offsets"),
    "9 three offsets": (packed({"a": entry(offsets=(0, 4, 8))}, b"\0" * 4), CorruptInput, "header entry"),
    "9 missing key": (packed({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4), CorruptInput, "header entry"),
    "metadata": (packed({"__metadata__": {"a": 1}, "w": W}, b"\0" * 4), CorruptInput, "__metadata__"),
    "ndim": (packed({"a": entry(shape=[1] * 33)}, b"\0" * 4), LimitExceeded, "ndim"),
    "15 lone surrogate": (packed(b'{"\\ud800":%s}' % json.dumps(W).encode(), b"\0" * 4), CorruptInput, "surrogate"),
    "19 seven bytes": (b"\x01" * 7, CorruptInput, "7 bytes"),
    "19 LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", CorruptInput, "run git lfs pull"),
    "19 HTML": (b"\n<!DOCTYPE html><html>", CorruptInput, "web page"),
    "19 empty": (b"", CorruptInput, "empty"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused_in_one_sentence(case, tmp_path):
    content, kind, words = HOSTILE[case]
    path = written(tmp_path, content)
    started = time.process_time()
    with pytest.raises(GenscopeError) as refusal:
        open_checkpoint(path)
    text = str(refusal.value)
    assert type(refusal.value) is kind
    assert words in text and "model.safetensors" in text and str(tmp_path) not in text and "\n" not in text and text.endswith(".")
    assert time.process_time() - started < 2


def test_gzip_is_named(tmp_path):
    with pytest.raises(GenscopeError, match="gzip"):
        open_checkpoint(written(tmp_path, b"\x1f\x8b\x08\0" + b"\0" * 40, "model.bin"))


def test_header_length_that_looks_like_another_magic_is_still_safetensors(tmp_path):
    # 0x088b1f header bytes begin with gzip's magic.
    header = json.dumps({"w": W}).encode()
    content = struct.pack("<Q", 0x088B1F) + header + b" " * (0x088B1F - len(header)) + b"\0" * 4
    assert open_checkpoint(written(tmp_path, content, "odd.bin")).specs[0].name == "w"


def test_empty_object_is_a_checkpoint_without_tensors(tmp_path):
    checkpoint = open_checkpoint(written(tmp_path, packed({})))
    assert checkpoint.specs == () and "holds no tensors" in checkpoint.notes[-1]


def test_zero_size_tensor_is_skipped_without_allocation(tmp_path):
    content = packed({"z": entry(shape=(0, 10**12), offsets=(0, 0)), "w": W}, struct.pack("<f", 1.5))
    checkpoint = open_checkpoint(written(tmp_path, content))
    assert [skip.reason for skip in checkpoint.skips] == ["empty: it has no elements"]
    assert checkpoint.read("w").tolist() == [1.5]


def test_element_types_read_exactly(tmp_path):
    import ml_dtypes

    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((4, 6))
    stored = {
        "F64": matrix,
        "F32": matrix.astype("f4"),
        "F16": matrix.astype("f2"),
        "BF16": matrix.astype(ml_dtypes.bfloat16),
        "F8_E4M3": matrix.astype(ml_dtypes.float8_e4m3fn),
        "F8_E5M2": matrix.astype(ml_dtypes.float8_e5m2),
        "F8_E4M3FNUZ": matrix.astype(ml_dtypes.float8_e4m3fnuz),
        "F8_E5M2FNUZ": matrix.astype(ml_dtypes.float8_e5m2fnuz),
    }
    header, data = {}, b""
    for word, values in stored.items():
        header[word] = entry(word, values.shape, (len(data), len(data) + values.nbytes))
        data += values.tobytes()
    checkpoint = open_checkpoint(written(tmp_path, packed(header, data)))
    for word, values in stored.items():
        read = checkpoint.read(word)
        assert read.dtype == (np.float64 if word == "F64" else np.float32)
        np.testing.assert_array_equal(read.astype("f8"), values.astype("f8"))


def test_other_types_are_skipped_with_a_reason(tmp_path):
    sizes = {"F128": 16, "I8": 1, "U8": 1, "BOOL": 1, "C64": 8, "F8_E8M0": 1, "I64": 8}
    header, at = {}, 0
    for word, size in sizes.items():
        header[word] = entry(word, (1,), (at, at + size))
        at += size
    header["F4"] = entry("F4", (8,), (at, at + 4))
    header["F6_E2M3"] = entry("F6_E2M3", (4,), (at + 4, at + 7))
    checkpoint = open_checkpoint(written(tmp_path, packed(header, b"\0" * (at + 7))))
    reasons = {skip.layer: skip.reason for skip in checkpoint.skips}
    assert checkpoint.specs == () and set(reasons) == set(header)
    assert reasons["F128"] == "unsupported dtype F128" and "integer" in reasons["I64"] and "complex" in reasons["C64"]
    assert [spec.name for spec in checkpoint.held] == list(header)


def test_strange_names_stay_and_endless_ones_are_shortened(tmp_path):
    names = ["", "a\0b", "new\nline", "\x1b[31m", "\u202e", "../../x", "<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "nan", "x" * 100_000]
    header = {name: entry(offsets=(4 * i, 4 * i + 4)) for i, name in enumerate(names)}
    checkpoint = open_checkpoint(written(tmp_path, packed(header, np.arange(10, dtype="f4").tobytes())))
    held = [spec.name for spec in checkpoint.specs]
    assert held[:9] == names[:9] and len(held[9]) < 300
    assert [float(checkpoint.read(name)[0]) for name in held] == list(range(10))


def test_replacing_the_file_keeps_the_old_content_and_writing_into_it_is_noticed(tmp_path):
    path = written(tmp_path, packed({"w": W}, struct.pack("<f", 1.0)))
    checkpoint = open_checkpoint(path)
    other = written(tmp_path, packed({"w": W}, struct.pack("<f", 2.0)), "other")
    os.replace(other, path)
    assert checkpoint.read("w").tolist() == [1.0]
    checkpoint = open_checkpoint(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(CorruptInput, match="changed while"):
        checkpoint.read("w")


def test_opening_reads_only_the_header(tmp_path, monkeypatch):
    save_file({"w": np.zeros((1000, 100), "f4")}, tmp_path / "m.safetensors")
    taken = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: taken.append(n) or real(fd, n, at))
    checkpoint = open_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.specs[0].shape == (1000, 100) and sum(taken) < 2000


def test_agrees_with_the_library(tmp_path):
    rng = np.random.default_rng(1)
    tensors = {f"layer{i}.weight": rng.standard_normal((i + 1, 3)).astype(dtype) for i, dtype in enumerate(["f2", "f4", "f8"] * 4)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={"epoch": "3"})
    checkpoint = open_safetensors(tmp_path / "m.safetensors")
    theirs = load_file(tmp_path / "m.safetensors")
    assert {spec.name for spec in checkpoint.specs} == set(theirs) and checkpoint.metadata == {"epoch": "3"}
    for name, values in theirs.items():
        np.testing.assert_array_equal(checkpoint.read(name), values)


def test_accepts_what_the_library_accepts_but_for_the_written_list(tmp_path):
    # Differences on purpose: duplicate keys, a leading blank, more than our limits; everything else must agree.
    ours_only_refused = {"5 duplicate", "3 leading blank", "ndim"}
    for case, (content, _, _) in HOSTILE.items():
        path = written(tmp_path, content)
        try:
            with safe_open(path, "numpy"):
                accepted = True
        except Exception:
            accepted = False
        assert not accepted or case in ours_only_refused, case


def test_memory_budget_is_kept(tmp_path):
    save_file({"w": np.zeros((100, 100), "f4")}, tmp_path / "m.safetensors")
    checkpoint = open_checkpoint(tmp_path / "m.safetensors", limits=Limits(memory_bytes=30_000))
    with pytest.raises(LimitExceeded, match="--max-memory"):
        checkpoint.read("w")


def test_header_of_many_tensors_is_quick(tmp_path):
    count = 100_000
    body = ",".join(f'"layers.{i}.weight":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}' for i in range(count))
    path = written(tmp_path, packed(("{" + body + "}").encode(), b"\0" * count))
    started = time.process_time()
    assert len(open_checkpoint(path).skips) == count
    assert time.process_time() - started < 5


def test_too_many_tensors_are_refused(tmp_path):
    header = {f"t{i}": entry("U8", (1,), (i, i + 1)) for i in range(20)}
    with pytest.raises(LimitExceeded, match="n_tensors"):
        open_checkpoint(written(tmp_path, packed(header, b"\0" * 20)), limits=Limits(n_tensors=10))


def test_closed_checkpoint_says_so(tmp_path):
    checkpoint = open_checkpoint(written(tmp_path, packed({"w": W}, b"\0" * 4)))
    checkpoint.close()
    with pytest.raises(GenscopeError, match="closed"):
        checkpoint.read("w")


def test_reading_needs_no_torch(tmp_path):
    import subprocess

    path = written(tmp_path, packed({"w": W}, b"\0" * 4))
    code = f"import sys; from genscope.checkpoints.open import open_checkpoint as o; o({str(path)!r}).read('w'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
