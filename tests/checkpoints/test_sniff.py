import numpy as np
import pytest
import torch

from genscope.checkpoints.open import READERS, format_of, open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, UnsupportedInput, UsageError


def test_formats_are_told_by_content_not_by_name(tmp_path):
    torch.save({"w": torch.ones(1)}, tmp_path / "zip.safetensors")
    torch.save({"w": torch.ones(1)}, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "n.npz", a=np.ones(1))
    (tmp_path / "n.npz").rename(tmp_path / "n.pt")
    np.save(tmp_path / "one.npy", np.ones(1))
    (tmp_path / "h.bin").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 20)
    (tmp_path / "g.bin").write_bytes(b"GGUF" + b"\0" * 20)
    (tmp_path / "o.onnx").write_bytes(b"\x08\x07\x12\x00")
    (tmp_path / "x.index.json").write_text('{"weight_map": {}}')
    expected = {
        "zip.safetensors": "torch_zip",
        "legacy.bin": "torch_legacy",
        "n.pt": "numpy",
        "one.npy": "numpy",
        "h.bin": "hdf5",
        "g.bin": "gguf",
        "o.onnx": "onnx",
        "x.index.json": "index",
    }
    for name, word in expected.items():
        assert format_of(tmp_path / name) == word and word in READERS


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("m.h5", b"nothing like it", CorruptInput, "does not begin like a .h5 file"),
        ("m.gguf", b"nothing like it", CorruptInput, "does not begin like"),
        ("m.txt", b"plain text", UnsupportedInput, "not a checkpoint format"),
        ("m.png", b"\x89PNG\r\n", UnsupportedInput, "picture"),
        ("m.bin", b"version https://git-lfs.github.com/spec/v1\n", CorruptInput, "git lfs pull"),
        ("m.pth", b"<html><body>404", CorruptInput, "web page"),
        ("m.zst", b"\x28\xb5\x2f\xfd\0\0", UnsupportedInput, "zstandard"),
    ],
)
def test_what_is_no_checkpoint_is_named(name, content, kind, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=words):
        open_checkpoint(tmp_path / name)


def test_options_that_do_not_apply_are_refused(tmp_path):
    np.savez(tmp_path / "n.npz", a=np.ones((2, 2)))
    with pytest.raises(UsageError, match="part"):
        open_checkpoint(tmp_path / "n.npz", part="ema")


@pytest.mark.parametrize("source", ["", "a\0b", b"missing.pt", "no such file.pt"])
def test_impossible_paths(source):
    with pytest.raises(GenscopeError):
        open_checkpoint(source)
