"""NumPy files against ``numpy.load`` and a table of hostile ones."""

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.numpy_file import open_numpy
from genscope.checkpoints.open import open_checkpoint
from genscope.core.tensors import Checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput, UsageError


def arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "plain": rng.standard_normal((5, 7)),
        "fortran": np.asfortranarray(rng.standard_normal((3, 4, 2)).astype("f4")),
        "big_endian": rng.standard_normal((2, 3)).astype(">f4"),
        "half": rng.standard_normal((4, 4)).astype("f2"),
        "block/0.weight": np.ones((300, 1000), dtype="f4"),
        "scalar": np.array(3.5),
        "empty": np.zeros((0, 4)),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_agrees_with_numpy(tmp_path: Path, save):
    saved = arrays(np.random.default_rng(0))
    save(tmp_path / "x.npz", **saved)
    checkpoint = open_numpy(tmp_path / "x.npz")
    assert isinstance(checkpoint, Checkpoint)
    assert [spec.name for spec in checkpoint.specs] == [name for name in saved if name != "empty"]
    assert [(skip.layer, skip.reason) for skip in checkpoint.skips] == [("empty", "empty: it has no elements")]
    with np.load(tmp_path / "x.npz") as reference:
        for spec in checkpoint.specs:
            values = checkpoint.read(spec.name)
            assert values.shape == spec.shape == saved[spec.name].shape
            assert values.dtype == (np.float64 if saved[spec.name].dtype == np.float64 else np.float32)
            np.testing.assert_array_equal(values, reference[spec.name])
    checkpoint.close()
    with pytest.raises(UsageError, match="was closed"):
        checkpoint.read("plain")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_is_one_tensor_named_after_the_file(tmp_path: Path, version: tuple[int, int]):
    weight = np.arange(12.0).reshape(3, 4)
    with open(tmp_path / "fc1.npy", "wb") as file:
        np.lib.format.write_array(file, weight, version=version)
    checkpoint = open_numpy(tmp_path / "fc1.npy")
    assert [(spec.name, spec.shape, spec.dtype, spec.n_bytes) for spec in checkpoint.specs] == [("fc1", (3, 4), "float64", 96)]
    np.testing.assert_array_equal(checkpoint.read("fc1"), weight)


def test_types_without_a_spectrum_are_skipped_with_reasons(tmp_path: Path):
    np.savez(
        tmp_path / "x.npz",
        good=np.eye(2),
        objects=np.array([{}], dtype=object),
        text=np.array(["a"]),
        numbers=np.arange(3),
        turned=np.ones(2, complex),
        records=np.zeros(2, dtype=[("a", "f4")]),
        dates=np.array(["2020"], dtype="M8[D]"),
        flags=np.array([True]),
        wide=np.ones(2, np.longdouble),
    )
    checkpoint = open_numpy(tmp_path / "x.npz")
    assert [spec.name for spec in checkpoint.specs] == ["good"]
    reasons = {skip.layer: skip.reason for skip in checkpoint.skips}
    words = {"objects": "never unpickled", "text": "text", "numbers": "integers", "turned": "complex", "records": "structured", "dates": "dates"}
    for name, word in words.items():
        assert word in reasons[name]
    assert len(reasons) == 8


def test_bfloat16_needs_to_be_named(tmp_path: Path):
    weight = np.array([[1.5, -2.0]], dtype=ml_dtypes.bfloat16)
    np.save(tmp_path / "w.npy", weight)
    lost = open_numpy(tmp_path / "w.npy")
    assert not lost.specs
    assert lost.skips[0].reason == "dtype lost (NumPy saved raw 2-byte items); pass --npy-dtype bf16 if it was bfloat16"
    np.testing.assert_array_equal(open_numpy(tmp_path / "w.npy", npy_dtype="bf16").read("w"), [[1.5, -2.0]])
    assert "cannot be" in open_numpy(tmp_path / "w.npy", npy_dtype="float8_e5m2").skips[0].reason
    np.testing.assert_array_equal(open_checkpoint(tmp_path / "w.npy", npy_dtype="bf16").read("w"), [[1.5, -2.0]])
    with pytest.raises(UsageError, match="npy-dtype"):
        open_numpy(tmp_path / "w.npy", npy_dtype="fp3")


def npy(header: str, data: bytes = b"\0" * 16, version: int = 1) -> bytes:
    raw = header.encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + data


def described(shape: str = "(2,)", descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HOSTILE_NPY = {
    "empty": (b"", CorruptInput, "not a NumPy array"),
    "magic only": (b"\x93NUMPY\x01", CorruptInput, "not a NumPy array"),
    "version 9": (npy(described(), version=1).replace(b"\x01\x00", b"\x09\x00", 1), UnsupportedInput, "version 9"),
    "header cut": (npy(described())[:30], CorruptInput, "ends inside its header"),
    "a promise of 10^12 values": (npy(described("(1000000, 1000000)"), b"\0" * 48), CorruptInput, "needs 8000000000000 bytes"),
    "a call": (npy(described("__import__('os').system('touch pwned')")), CorruptInput, "plain description"),
    "10 kB of header": (npy(described() + " " * 10_000), LimitExceeded, "10000"),
    "4 GB of header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"\0" * 40, LimitExceeded, "header is 4294967295 bytes"),
    "deep brackets": (npy("(" * 5000), CorruptInput, "plain description"),
    "negative": (npy(described("(-2, -1)")), CorruptInput, "non-negative"),
    "true as a size": (npy(described("(True, 2)")), CorruptInput, "non-negative"),
    "float as a size": (npy(described("(2.0,)")), CorruptInput, "non-negative"),
    "2^62 values": (npy(described(f"({2**62},)")), LimitExceeded, "elements"),
    "wraps to 4": (npy(described("(4194305, 4194305, 211106198978564)")), LimitExceeded, "elements"),
    "33 dimensions": (npy(described(str((1,) * 33))), LimitExceeded, "dimensions"),
    "list as a shape": (npy(described("[2]")), CorruptInput, "malformed"),
    "odd type": (npy(described(descr="'<q9'")), CorruptInput, "unknown element type"),
    "one byte short": (npy(described(), b"\0" * 15), CorruptInput, "needs 16 bytes and the file holds 15"),
    "duplicate-free keys": (npy("{'descr': '<f8', 'shape': (2,)}\n"), CorruptInput, "plain description"),
}


@pytest.mark.parametrize("case", HOSTILE_NPY)
def test_hostile_npy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str):
    raw, error, words = HOSTILE_NPY[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.npy").write_bytes(raw)
    with pytest.raises(error, match=words) as caught:
        open_numpy(tmp_path / "x.npy")
    assert "x" in str(caught.value)
    assert os.listdir(tmp_path) == ["x.npy"]


def test_bytes_after_the_array_are_said(tmp_path: Path):
    (tmp_path / "x.npy").write_bytes(npy(described(), b"\0" * 20))
    assert open_numpy(tmp_path / "x.npy").notes == ("4 bytes after the array were ignored.",)


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, raw in members:
            file.writestr(name, raw)
    return stream.getvalue()


def bomb() -> bytes:
    return archive(("w.npy", npy(described("(50000000,)"), b"\0" * 400_000_000)), method=zipfile.ZIP_DEFLATED)


def hostile_npz() -> dict[str, tuple[bytes, str]]:
    good = npy(described())
    whole = archive(("w.npy", good))
    encrypted = bytearray(whole)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + at] |= 1
    return {
        "two members of one name": (archive(("w.npy", good), ("w.npy", npy(described(), b"\1" * 16))), "two readers"),
        "encrypted": (bytes(encrypted), "encrypted"),
        "headers disagree": (whole.replace(b"w.npy", b"v.npy", 1), "two readers"),
        "cut": (whole[:-5], "incomplete|end record"),
        "prepended": (b"PK\x03\x04" + whole, "bytes"),
        "promises more": (archive(("w.npy", npy(described("(1000000, 1000000)")))), "needs 8000000000000"),
        "lzma": (archive(("w.npy", good), method=zipfile.ZIP_LZMA), "compressed"),
        "not an array": (archive(("w.npy", b"hello")), "not a NumPy array"),
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "case", ["two members of one name", "encrypted", "headers disagree", "cut", "prepended", "promises more", "lzma", "not an array"]
)
def test_hostile_npz(tmp_path: Path, case: str):
    raw, words = hostile_npz()[case]
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(GenscopeError, match=words) as caught:
        open_numpy(tmp_path / "x.npz")
    assert "x.npz" in str(caught.value)


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path):
    raw = bomb()
    (tmp_path / "x.npz").write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match=r"memory_bytes|inflate_ratio|budget"):
            open_numpy(tmp_path / "x.npz", Limits(memory_bytes=200_000_000))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_changed_bytes_are_found(tmp_path: Path):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", w=np.random.default_rng(0).standard_normal((64, 64)))
        raw = bytearray((tmp_path / "x.npz").read_bytes())
        raw[20_000] ^= 4
        (tmp_path / "x.npz").write_bytes(bytes(raw))
        checkpoint = open_numpy(tmp_path / "x.npz")
        with pytest.raises(CorruptInput, match="damaged"):
            checkpoint.read("w")


def test_a_tensor_beyond_the_budget_is_refused_when_read(tmp_path: Path):
    np.save(tmp_path / "w.npy", np.zeros((1000, 1000)))
    checkpoint = open_numpy(tmp_path / "w.npy", Limits(memory_bytes=1_000_000))
    with pytest.raises(LimitExceeded, match=r"needs 0.008 GB and the memory budget is 0.001 GB"):
        checkpoint.read("w")
    with pytest.raises(UsageError, match="no readable tensor"):
        checkpoint.read("v")
