"""Keras archives: the weights are read, the configuration never is, and archives that trick readers are refused."""

import io
import os
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from genscope.checkpoints.keras_archive import open_keras
from genscope.checkpoints.limits import Limits
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput, UnsupportedInput

KERNEL = np.random.default_rng(0).standard_normal((6, 4)).astype("f4")


def weights() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = KERNEL
        file["layers/dense/vars/1"] = np.zeros(4, "f4")
        file["optimizer/vars/0"] = np.full((6, 4), 1234.5)
    return stream.getvalue()


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, raw in members:
            file.writestr(name, raw)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_stored_or_deflated(tmp_path: Path, method: int):
    path = archive(tmp_path / "m.keras", ("metadata.json", b"{}"), ("config.json", b"{}"), ("model.weights.h5", weights()), method=method)
    checkpoint = open_keras(path)
    assert checkpoint.format == "keras"
    assert [(spec.name, spec.kind, spec.layout) for spec in checkpoint.specs] == [
        ("layers/dense/vars/0", "linear", "keras"),
        ("layers/dense/vars/1", None, "keras"),
    ]
    np.testing.assert_array_equal(checkpoint.read("layers/dense/vars/0"), KERNEL)
    checkpoint.close()
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize(
    "config",
    [
        b'{"module": "os", "class_name": "system", "config": {"command": "touch pwned"}}',
        b'{"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAA"}}}}',
        b'{"module": "keras.config", "class_name": "enable_unsafe_deserialization"}',
        b'{"class_name": "TFSMLayer", "config": {"filepath": "PIPE"}}',
        b'{"class_name": "StringLookup", "config": {"vocabulary": "PIPE"}}',
        b"[" * 200_000,
        b"\xff\x00 not json",
    ],
)
def test_the_configuration_is_never_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: bytes):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # whoever opens it hangs
    config = config.replace(b"PIPE", str(tmp_path / "pipe").encode())
    checkpoint = open_keras(archive(tmp_path / "m.keras", ("config.json", config), ("model.weights.h5", weights())))
    np.testing.assert_array_equal(checkpoint.read("layers/dense/vars/0"), KERNEL)
    checkpoint.close()
    assert sorted(os.listdir(tmp_path)) == ["m.keras", "pipe"]
    assert "keras" not in sys.modules


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "error", "words"),
    [
        ([("../../x", b""), ("model.weights.h5", b"W")], UnsafeInput, "leads out"),
        ([("/etc/x", b""), ("model.weights.h5", b"W")], UnsafeInput, "leads out"),
        ([("model.weights.h5", b"W"), ("model.weights.h5", b"V")], UnsafeInput, "two readers"),
        ([("config.json", b"{}")], UnsupportedInput, r"holds no model\.weights\.h5"),
        ([("model.weights.h5", b"W")], CorruptInput, "not an HDF5 file"),
    ],
)
def test_hostile_archives(tmp_path: Path, members: list[tuple[str, bytes]], error: type[GenscopeError], words: str):
    path = archive(tmp_path / "m.keras", *members)
    with pytest.raises(error, match=words) as caught:
        open_keras(path)
    assert "m.keras" in str(caught.value)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_deflated_bomb_is_not_unfolded(tmp_path: Path):
    path = archive(tmp_path / "m.keras", ("model.weights.h5", b"\0" * 300_000_000), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(LimitExceeded, match=r"memory_bytes|inflate_ratio"):
        open_keras(path, Limits(memory_bytes=100_000_000))


def test_external_links_inside_the_archive_are_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/w")
    with pytest.raises(UnsafeInput, match="external link"):
        open_keras(archive(tmp_path / "m.keras", ("model.weights.h5", stream.getvalue())))
