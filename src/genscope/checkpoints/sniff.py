"""What kind of file this is, from its first bytes; and a clear word for what is not a checkpoint at all."""

import os

from genscope.checkpoints import safetensors, zip_archive
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.errors import CorruptInput, UnsupportedInput

_HEAD = 512
_ARCHIVES = (
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x89PNG", "a picture", "give the checkpoint itself"),
    (b"%PDF", "a PDF document", "give the checkpoint itself"),
    (b"\x7fELF", "a program", "give the checkpoint itself"),
    (b"SQLite format 3", "a database", "give the checkpoint itself"),
)
_SUFFIXES = {".safetensors": "safetensors", ".onnx": "onnx", ".gguf": "gguf", ".npy": "numpy", ".npz": "numpy", ".keras": "keras", ".h5": "hdf5"}
_PICKLE_SUFFIXES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".th", ".tar", ".t7", ".model"}


def sniff_format(file: InputFile, path: str) -> str:
    """The format's word (a key of ``open.READERS``).

    Raises:
        CorruptInput: empty, a Git-LFS pointer, a web page.
        UnsupportedInput: an archive of another kind or nothing known.
    """
    head = file.pread(0, min(_HEAD, file.size))
    name = file.name
    if not head:
        raise CorruptInput(f"{name}: the file is empty (0 bytes); get it again.")
    if safetensors.sniff(head, file.size):
        return "safetensors"
    _refuse_text(head, name)
    suffix = os.path.splitext(path)[1].lower()
    for magic, word in ((b"\x93NUMPY", "numpy"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"GGUF", "gguf")):
        if head.startswith(magic):
            return word
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_kind(file, suffix)
    if suffix in {".safetensors", ".onnx"}:
        return _SUFFIXES[suffix]
    for magic, what, remedy in _ARCHIVES:
        if head.startswith(magic):
            raise UnsupportedInput(f"{name}: this is {what}, not a checkpoint; {remedy}.")
    if head[257:262] == b"ustar":
        raise UnsupportedInput(
            f"{name}: this is a tar archive (torch before 0.1.10 saved such files); unpack it, or load and save it again with torch."
        )
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "torch_legacy"
    if head.lstrip().startswith(b"{") and suffix == ".json":
        return "index"
    return _unknown(name, suffix)


def _unknown(name: str, suffix: str) -> str:
    if suffix in _SUFFIXES:
        raise CorruptInput(f"{name}: the file does not begin like a {suffix} file; it is damaged or misnamed, get a fresh copy.")
    if suffix in _PICKLE_SUFFIXES:
        raise CorruptInput(f"{name}: neither a zip archive nor a pickle, so not a torch checkpoint; it is damaged or misnamed, get a fresh copy.")
    raise UnsupportedInput(f"{name}: not a checkpoint format that genscope reads; it reads safetensors, torch, npz, HDF5, Keras, ONNX and GGUF.")


def _refuse_text(head: bytes, name: str) -> None:
    if head.startswith(b"version https://git-lfs"):
        raise CorruptInput(f"{name}: this is a Git-LFS pointer, not the weights themselves; run git lfs pull.")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        raise CorruptInput(f"{name}: this is a web page (HTML), not a checkpoint; the download failed, get the file again.")


def _zip_kind(file: InputFile, suffix: str) -> str:
    names = zip_archive.member_names(file, Limits())
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return "torch_zip"
    if suffix == ".keras" or "model.weights.h5" in names:
        return "keras"
    if suffix == ".npz" or (names and all(name.endswith(".npy") for name in names)):
        return "numpy"
    raise UnsupportedInput(
        f"{file.name}: a zip archive without data.pkl, .npy members or Keras weights is no checkpoint; unpack it and name the file inside."
    )
