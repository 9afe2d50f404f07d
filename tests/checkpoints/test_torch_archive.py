"""Zip archives made to harm: two readers would see different files, or one would run out of memory."""

import struct
import zipfile

import pytest
import torch

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput, UnsupportedInput


def archive(tmp_path, tensor=None, compression=zipfile.ZIP_STORED):
    """A torch file written again by zipfile, its folder called ``m``, the pickle first."""
    torch.save({"w": torch.zeros(4) if tensor is None else tensor}, tmp_path / "saved.pt")
    with zipfile.ZipFile(tmp_path / "saved.pt") as old, zipfile.ZipFile(tmp_path / "made.pt", "w", compression) as new:
        for name in old.namelist():
            new.writestr("m/" + name.split("/", 1)[1], old.read(name))
    return tmp_path / "made.pt"


def duplicate(path):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("m/data.pkl", b"\x80\x02N.")


def second_pickle(path):
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("n/data.pkl", b"\x80\x02N.")


def patched(path, at_signature, offset, value, last=False):
    raw = bytearray(path.read_bytes())
    at = raw.rfind(at_signature) if last else raw.find(at_signature)
    raw[at + offset : at + offset + len(value)] = value
    path.write_bytes(raw)


ARCHIVES = {
    "32 duplicate member": (duplicate, UnsafeInput, "two members called 'm/data.pkl'"),
    "32 second pickle": (second_pickle, UnsafeInput, "2 pickles"),
    "40 encrypted": (lambda p: (patched(p, b"PK\x01\x02", 8, b"\x01\0"), patched(p, b"PK\x03\x04", 6, b"\x01\0")), UnsupportedInput, "encrypted"),
    "40 local size": (lambda p: patched(p, b"PK\x03\x04", 22, b"\x01\0\0\0"), UnsafeInput, "disagree"),
    "40 local name": (lambda p: patched(p, b"PK\x03\x04", 30, b"X"), UnsafeInput, "disagree"),
    "40 local method": (lambda p: patched(p, b"PK\x03\x04", 8, b"\x08\0"), UnsafeInput, "disagree"),
    "40 central offset": (lambda p: patched(p, b"PK\x01\x02", 42, b"\x05\0\0\0"), CorruptInput, "no local header"),
    "40 unknown method": (lambda p: patched(p, b"PK\x01\x02", 10, b"\x0e\0"), UnsupportedInput, "method 14"),
    "40 stored size": (lambda p: patched(p, b"PK\x01\x02", 20, b"\xff\xff\0\0"), CorruptInput, "stored plainly"),
    "40 prepended": (lambda p: p.write_bytes(b"PK\x03\x04junk" + p.read_bytes()), UnsafeInput, "bytes were put in"),
    "40 appended": (lambda p: p.write_bytes(p.read_bytes() + b"tail"), UnsafeInput, "after the archive's end"),
    "40 many entries": (lambda p: patched(p, b"PK\x05\x06", 10, b"\x09\0", last=True), CorruptInput, "promises 9"),
    "47 random after PK": (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 4), CorruptInput, "no end record"),
    "47 truncated": (lambda p: p.write_bytes(p.read_bytes()[:-30]), CorruptInput, "no end record"),
    "47 tar": (lambda p: p.write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 250), UnsupportedInput, "tar archive"),
    "47 7z": (lambda p: p.write_bytes(b"7z\xbc\xaf\x27\x1c" + b"\0" * 50), UnsupportedInput, "7z"),
    "47 gz": (lambda p: p.write_bytes(b"\x1f\x8b\x08\0" + b"\0" * 50), UnsupportedInput, "gzip"),
    "47 nothing": (lambda p: p.write_bytes(b"hello world" * 9), CorruptInput, "neither a zip archive nor a pickle"),
    "47 empty zip": (lambda p: p.write_bytes(b"PK\x05\x06" + b"\0" * 18), UnsupportedInput, "no checkpoint"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_hostile_archive(case, tmp_path):
    change, kind, words = ARCHIVES[case]
    path = archive(tmp_path)
    change(path)
    with pytest.raises(GenscopeError) as refusal:
        open_checkpoint(path)
    text = str(refusal.value)
    assert type(refusal.value) is kind and words in text and "made.pt" in text and "\n" not in text


def test_zip64_with_2_to_the_40_entries(tmp_path):
    path = archive(tmp_path)
    raw = path.read_bytes()
    at = raw.rfind(b"PK\x05\x06")
    length, offset = struct.unpack("<II", raw[at + 12 : at + 20])
    big = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**40, 2**40, length, offset)
    path.write_bytes(raw[:at] + big + struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1) + raw[at:])
    with pytest.raises(LimitExceeded, match="zip_members"):
        open_checkpoint(path)


def test_deflate_bomb_is_refused_unopened(tmp_path):
    path = archive(tmp_path, torch.zeros(10**6), zipfile.ZIP_DEFLATED)
    raw = path.read_bytes()
    with pytest.raises(LimitExceeded, match="inflate_ratio"):
        open_checkpoint(path, limits=Limits(inflate_ratio=900))
    with pytest.raises(LimitExceeded, match="bomb_ratio"):
        open_checkpoint(path, limits=Limits(bomb_bytes=1_000_000))
    assert raw.count(struct.pack("<I", 4_000_000)) == 2
    # The same bomb lying about its size: unfolding stops at what it claims.
    path.write_bytes(raw.replace(struct.pack("<I", 4_000_000), struct.pack("<I", 16)))
    with pytest.raises(GenscopeError):
        open_checkpoint(path)


def test_bomb_that_lies_consistently_stops_early(tmp_path):
    """Sixteen bytes are claimed everywhere, but four million would come out."""
    path = archive(tmp_path, torch.zeros(4), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, b"\0" * 4_000_000 if name.endswith("data/0") else data)
    raw = path.read_bytes().replace(struct.pack("<I", 4_000_000), struct.pack("<I", 16))
    path.write_bytes(raw)
    checkpoint = open_checkpoint(path)
    with pytest.raises(CorruptInput, match="unfolds to more than the 16 bytes"):
        checkpoint.read("w")
