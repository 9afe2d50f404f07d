"""Hostile safetensors files (cases 1 to 20), and weights whose numbers are hard (65 to 72)."""

import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.contracts.hostile_cases import WEIGHT, Case, file_of, refused

NASTY = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="alert(1)', "javascript:alert(1)", "<!--", "]]>",
    "a\u2028b\u2029c",
    "a\0b", "a\nb\rc", "\x1b[31mred", "\u202egnp.exe", "=cmd|' /C calc'!A0", "@SUM(A1)", "+1+1", "-2.5", "-1+cmd", "\ttab", "nan", "", "../../x",
    'quo"te,comma', "{{7*7}}", "[bold]rich[/bold]", "%s%n", "\ufeffbom", "\U0001f600", "x" * 100_000, "constructor", "__proto__",
)  # fmt: skip


def raw(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def packed(tensors: Mapping[str, np.ndarray]) -> bytes:
    header, data = {}, b""
    words = {"f4": "F32", "f8": "F64", "f2": "F16", "i1": "I8", "i8": "I64", "b1": "BOOL", "c8": "C64", "u1": "U8"}
    for name, array in tensors.items():
        content = array.tobytes()
        header[name] = {"dtype": words[array.dtype.str[1:]], "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return raw(json.dumps(header).encode(), data)


def entries(header: Mapping[str, tuple[str, Any, Any]], data: bytes) -> Callable[[Path], Path]:
    document = {name: {"dtype": dtype, "shape": shape, "data_offsets": offsets} for name, (dtype, shape, offsets) in header.items()}
    return file_of("model.safetensors", raw(json.dumps(document).encode(), data))


def st(content: bytes) -> Callable[[Path], Path]:
    return file_of("model.safetensors", content)


def many(folder: Path) -> Path:
    rows = ",".join(f'"t{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}' for i in range(100_000))
    (folder / "model.safetensors").write_bytes(raw(b"{" + rows.encode() + b"}", bytes(100_000)))
    return folder / "model.safetensors"


def special(make: Callable[[Path], None]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        make(folder / "model.safetensors")
        return folder / "model.safetensors"

    return build


def listening(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may be 108 bytes long
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)
    os.chdir(here)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def named(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))
        path.write_bytes(packed({"w": WEIGHT}))
        return path

    return build


BIG = 2**20
ONE = ("F32", [1], [0, 4])
with_nan, with_inf = WEIGHT.copy(), WEIGHT.copy()
with_nan[3, 7], with_inf[2, 2] = np.nan, np.inf
HARD = {
    "nan": with_nan, "inf": with_inf, "all_nan": np.full((4, 5), np.nan, "<f4"), "zero": np.zeros((6, 6), "<f4"),
    "constant": np.full((6, 8), 3, "<f4"),
    "rank1": np.outer(np.arange(1, 9), np.arange(1, 7)).astype("<f4"), "identity": np.eye(8, dtype="<f4"), "row": np.ones((1, 9), "<f4"),
    "column": np.ones((9, 1), "<f4"), "two": np.ones((2, 2), "<f4"), "scalar": np.array(3, "<f4"), "bias": np.ones(9, "<f4"),
    "empty": np.ones((0, 5), "<f4"),
    "hilbert": 1 / (1.0 + np.add.outer(np.arange(60), np.arange(60))), "huge": WEIGHT.astype("<f8") * 1e300, "tiny": WEIGHT.astype("<f8") * 1e-300,
    "integers": np.ones((4, 4), "i1"), "complex": np.ones((4, 4), "<c8"), "flags": np.ones((4, 4), "?"), "good": WEIGHT,
}  # fmt: skip

CASES = [
    refused("1: a header of 10^12 bytes", st(struct.pack("<Q", 10**12) + b'{"a":12}'), "file has 16 bytes"),
    refused("2: a header of 2^64-1 bytes", st(b"\xff" * 8 + b"{       "), "claims 18446744073709551615"),
    refused("3: not UTF-8", st(raw(b'{"\xff":1}')), "UTF-8"),
    refused("3: not JSON", st(raw(b"{nonsense")), "not JSON"),
    refused("3: a list", st(raw(b"[1, 2]  ")), "not an object"),
    Case("3: no tensors", st(raw(b"{}")), notes="no tensors"),
    refused(
        "5: a key twice",
        st(raw(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4))),
        "twice",
    ),
    refused("6: overlap", entries({"a": ONE, "b": ("F32", [1], [2, 6])}, bytes(6)), "overlaps"),
    refused("6: hole", entries({"a": ONE, "b": ("F32", [1], [8, 12])}, bytes(12)), "hole"),
    refused("6: trailing byte", entries({"a": ONE}, bytes(5)), "trailing"),
    refused("6: first offset", entries({"a": ("F32", [1], [4, 8])}, bytes(8)), "instead of 0"),
    refused("7: one byte short", entries({"a": ("F32", [1000], [0, 4000])}, bytes(3999)), "incomplete: 3999 of 4000 data bytes"),
    refused("8: a product that wraps to 4", entries({"a": ("F32", [4194305, 4194305, 211106198978564], [0, 16])}, bytes(16)), "elements"),
    *(refused(f"9: dimension {size!r}", entries({"a": ("F32", [size], [0, 4])}, bytes(4)), "'a'") for size in (-1, 1.0, True, "4", None)),
    refused(
        "9: an integer of 5000 digits", st(raw(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', bytes(4))), "number"
    ),
    Case(
        "10: zero-size beside real ones",
        entries({"z": ("F32", [0, 10**12], [0, 0]), "w": ("F32", [12, 10], [0, 480])}, WEIGHT.tobytes()),
        rows=("w",),
        skips=(("z", "empty"),),
    ),
    Case("11: 10^5 tensors", many, skips=(("t99999", "integer"),), seconds=30),
    Case(
        "11: 10^5 tensors of no bytes",
        entries({f"t{i}": ("F32", [0], [0, 0]) for i in range(100_000)}, b""),
        skips=(("t99999", "empty"),),
        seconds=30,
    ),
    Case(
        "13: types",
        entries({"f": ("F128", [1], [0, 16]), "six": ("F6_E2M3", [4], [16, 19]), "w": ("F32", [12, 10], [19, 499])}, bytes(19) + WEIGHT.tobytes()),
        rows=("w",),
        skips=(("f", "F128"), ("six", "float6")),
    ),
    Case("15: names", st(packed(dict.fromkeys(NASTY, WEIGHT))), rows=NASTY[:3]),
    refused("15: half a surrogate pair", st(raw(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4))), "surrogate"),
    refused("18: FIFO", special(os.mkfifo), "not a regular file", seconds=1),
    refused("18: socket", special(listening), "not a regular file", seconds=1),
    refused("18: empty folder", special(os.mkdir), "no checkpoint", seconds=1),
    refused("18: device", lambda _: Path("/dev/zero"), "not a regular file", seconds=1),
    refused("19: nothing", st(b""), "empty"),
    refused("19: seven bytes", st(bytes(7)), "7 bytes"),
    refused("19: Git-LFS", st(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
    refused("19: web page", st(b"<!DOCTYPE html><html></html>"), "web page"),
    refused("19: gzip", file_of("model.pt", b"\x1f\x8b\x08" + bytes(100)), "gzip"),
    refused("20: link to itself", special(loop), "link"),
    refused("20: no such file", lambda folder: folder / "none.pt", "no such"),
    *(
        Case(f"20: file name {name!r}", named(name), rows=("w",))
        for name in ("a\nb.safetensors", " a .safetensors", "-rf.safetensors", "\udcff.safetensors", "<b>.safetensors")
    ),
    Case(
        "65-72: hard numbers",
        st(packed(HARD)),
        rows=("good", "hilbert"),
        skips=(
            ("nan", "1 of 120 entries NaN, first at [3, 7]"),
            ("inf", "1 of 120 entries infinite, first at [2, 2]"),
            ("all_nan", "20 of 20"),
            ("zero", ""),
            ("scalar", ""),
            ("bias", ""),
            ("empty", "empty"),
            ("integers", "integer"),
            ("complex", "complex"),
            ("flags", "bool"),
        ),
    ),
    Case(
        "70: more than the memory",
        entries({"big": ("F32", [60000, 60000], [480, 480 + 4 * 60000**2]), "w": ("F32", [12, 10], [0, 480])}, WEIGHT.tobytes()),
        rows=("w",),
        skips=(("big", "GB"),),
        words=("--max-memory", "1G"),
    ),
]


def stretched(build: Callable[[Path], Path], size: int) -> Callable[[Path], Path]:
    """The same file made longer by a hole."""

    def longer(folder: Path) -> Path:
        path = build(folder)
        os.truncate(path, path.stat().st_size + size)
        return path

    return longer


CASES[-1] = Case(**{**CASES[-1].__dict__, "build": stretched(CASES[-1].build, 4 * 60000**2)})
