"""Hostile torch, NumPy and Keras archives (cases 30 to 57)."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tests.contracts.hostile_cases import CANARY, WEIGHT, Case, file_of, refused

HARM = "harm"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def call(module: str, name: str, arguments: bytes) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + arguments + b"tR"


def tensor(numel: int = 120, size: Sequence[int] = (12, 10), stride: Sequence[int] = (10, 1), offset: int = 0, key: str = "0") -> bytes:
    """Opcodes of a float tensor over storage ``key``."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(numel) + b"tQ"
    dims = b"".join(b"(" + b"".join(map(number, sizes)) + b"t" for sizes in (size, stride))
    return call("torch._utils", "_rebuild_tensor_v2", storage + number(offset) + dims + b"\x89" + call("collections", "OrderedDict", b""))


def pickled(*extra: bytes, **tensors: bytes) -> bytes:
    """A dictionary of tensors under protocol 2, with ``extra`` opcodes (key and value) put in first."""
    return b"\x80\x02}(" + b"".join(extra) + b"".join(text(name) + body for name, body in tensors.items()) + b"u."


def torch_zip(
    pickle_bytes: bytes, *, storage: bytes = WEIGHT.tobytes(), more: Sequence[tuple[str, bytes]] = (), method: int = zipfile.ZIP_STORED
) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in (("m/data.pkl", pickle_bytes), ("m/data/0", storage), *more):
            archive.writestr(name, data)
    return made.getvalue()


def torch_legacy(pickle_bytes: bytes) -> bytes:
    head = (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2),
        pickle.dumps(1001, 2),
        pickle.dumps({"little_endian": True}, 2),
        pickle_bytes,
        pickle.dumps(["0"], 2),
    )
    return b"".join(head) + struct.pack("<q", 120) + WEIGHT.tobytes()


def pt(content: bytes, name: str = "model.pt") -> Callable[[Path], Path]:
    return file_of(name, content)


GOOD = pickled(w=tensor())
ATTACKS = {
    "os.system": call("os", "system", text(f"touch {HARM}")),
    "eval": call("builtins", "eval", text(f"open('{HARM}', 'w')")),
    "subprocess": call("subprocess", "Popen", b"](" + text("touch") + text(HARM) + b"e"),
    "getattr chain": b"c__builtin__\ngetattr\n(" + call("builtins", "__import__", text("os")) + text("system") + b"tR(" + text("touch harm") + b"tR",
    "resolve_name": call("pkgutil", "resolve_name", text("os:system")),
    "an import": call("hostile_canary", "run", b""),
    "stack global": text("os") + text("system") + b"\x93(" + text("touch harm") + b"tR",
    "build": call("hostile_canary", "Thing", b"") + b"}(" + text("__setstate__") + b"cos\nsystem\nub",
}


def twice(name: str) -> bytes:
    """Two members called data.pkl, the second one evil."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("m/data.pkl", GOOD)
        archive.writestr("m/data/0", WEIGHT.tobytes())
        archive.writestr(name, pickled(text("x") + ATTACKS["os.system"]))
    raw = made.getvalue()
    return raw.replace(name.encode(), b"m/data.pkl") if name != "m/data.pkl" else raw


def flipped(content: bytes, find: bytes, at: int, value: int, which: int = 0) -> bytes:
    """``content`` with the byte ``at`` after the ``which``-th ``find`` replaced."""
    place = -1
    for _ in range(which + 1):
        place = content.index(find, place + 1)
    changed = bytearray(content)
    changed[place + at] = value
    return bytes(changed)


def bomb(name: str, member: str, size: int, head: bytes = b"") -> Callable[[Path], Path]:
    """An archive with one member that unfolds to ``size`` zero bytes, compressed a thousandfold, its data made once by pieces."""

    def build(folder: Path) -> Path:
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        piece, crc, parts, left = bytes(1 << 22), zlib.crc32(head), [squeeze.compress(head)], size - len(head)
        while left:
            step = min(left, len(piece))
            parts.append(squeeze.compress(piece[:step]))
            crc, left = zlib.crc32(piece[:step], crc), left - step
        data = b"".join(parts) + squeeze.flush()
        raw = member.encode()
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(data), size, len(raw), 0)
        local = b"PK\3\4" + fields[:-2] + b"\0\0" + raw + data
        extra = torch_zip(GOOD)[:0]
        central = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw
        end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
        (folder / name).write_bytes(extra + local + central + end)
        return folder / name

    return build


def end64(count: int) -> bytes:
    """A valid archive whose 64-bit end record promises ``count`` entries."""
    raw = torch_zip(GOOD)
    at = raw.rindex(b"PK\5\6")
    length, offset = struct.unpack_from("<II", raw, at + 12)
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, offset)
    return raw[:at] + record + b"PK\6\7" + struct.pack("<IQI", 0, at, 1) + raw[at:]


def npy(descr: str, shape: str, data: bytes = b"", extra: str = "") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def npz(folder: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(folder / "model.npz", "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".npy", data)
    return folder / "model.npz"


GOOD_NPY = npy("'<f4'", "(12, 10)", WEIGHT.tobytes())


def nested_npz(folder: Path) -> Path:
    inner = npz(folder, w=GOOD_NPY).read_bytes()
    with zipfile.ZipFile(folder / "model.npz", "w") as archive:
        archive.writestr("good.npy", GOOD_NPY)
        archive.writestr("inner.npz.npy", inner)
    return folder / "model.npz"


def keras(*, config: dict[str, Any] | None = None, members: Sequence[tuple[str, bytes]] = ()) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        made = io.BytesIO()
        with h5py.File(made, "w") as file:
            file["layers/dense/vars/0"] = WEIGHT
        (folder / "secret.txt").write_text(str(CANARY))
        with zipfile.ZipFile(folder / "model.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(config or {}))
            archive.writestr("metadata.json", "{}")
            archive.writestr("model.weights.h5", made.getvalue())
            for name, data in members:
                archive.writestr(name, data)
        return folder / "model.keras"

    return build


CONFIG = {
    "module": "os",
    "class_name": "system",
    "config": {"function": "touch harm", "vocabulary": "secret.txt", "layers": [{"class_name": "TFSMLayer"}]},
}
DEEP = text("x") + b"]" * 100_000 + b"a" * 99_999
SELF = b"\x80\x02}q\0(" + text("me") + b"h\0" + text("w") + tensor() + b"u."
SPARSE = text("s") + call("torch._utils", "_rebuild_sparse_tensor", b"")
MOVED = torch_zip(GOOD)

CASES = [
    *(Case(f"30: {name} in a zip", pt(torch_zip(pickled(text("x") + body, w=tensor()))), rows=("w",)) for name, body in ATTACKS.items()),
    *(
        Case(f"30: {name} in a legacy file", pt(torch_legacy(pickled(text("x") + body, w=tensor())), "m.pth.tar"), rows=("w",))
        for name, body in ATTACKS.items()
    ),
    refused("32: second data.pkl", pt(twice("m/dat2.pkl")), "two members"),
    Case("32: after STOP", pt(torch_zip(GOOD + b"\x80\x02" + ATTACKS["os.system"] + b".")), rows=("w",)),
    Case("33: memo index", pt(torch_zip(GOOD[:-1] + b"r" + struct.pack("<I", 2**31 - 1) + b".")), rows=("w",)),
    refused("34: text of 2^62 bytes", pt(torch_zip(b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b"x.")), "4611686018427387904"),
    refused("34: number of 2^31 bytes", pt(torch_zip(b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.")), "integer"),
    Case("35: 100 000 nested lists", pt(torch_zip(pickled(DEEP, w=tensor()))), rows=("w",)),
    Case("35: dictionary in itself", pt(torch_zip(SELF)), rows=("w",)),
    refused("36: numel 10^12", pt(torch_zip(pickled(w=tensor(numel=10**12)))), "4000000000000 bytes"),
    refused("36: negative numel", pt(torch_zip(pickled(w=tensor(numel=-4)))), ""),
    refused("36: key leads out", pt(torch_zip(pickled(w=tensor(key="../../x")))), "../../x"),
    refused("36: key missing", pt(torch_zip(pickled(w=tensor(key="9")))), "'9'"),
    refused("37: offset out of bounds", pt(torch_zip(pickled(w=tensor(offset=1)))), "storage of 120"),
    refused("37: negative stride", pt(torch_zip(pickled(w=tensor(stride=(-10, 1))))), "stride is negative"),
    Case(
        "38: expanded view",
        pt(torch_zip(pickled(e=tensor(size=(10**6, 10**6), stride=(0, 0)), w=tensor()))),
        rows=("w",),
        skips=(("e", "expanded view"),),
    ),
    refused("39: deflate bomb", bomb("model.pt", "m/data.pkl", 250_000_000), "model.pt"),
    refused("39: deflate bomb of 1 GB", bomb("model.pt", "m/data.pkl", 10**9), "model.pt"),
    refused("40: encrypted", pt(flipped(flipped(MOVED, b"PK\3\4", 6, 1), b"PK\1\2", 8, 1)), "encrypted"),
    refused("40: headers disagree", pt(flipped(MOVED, b"PK\3\4", 30, ord("x"))), "disagree"),
    refused("40: prepended junk", pt(b"PK\3\4junk" + MOVED), "model.pt"),
    refused("40: 2^40 entries", pt(end64(2**40)), "zip_members"),
    refused("40: 64-bit record that promises more", pt(end64(5)), "promises 5"),
    refused("40: directory cut short", pt(flipped(MOVED, b"PK\1\2", 29, 255, 1)), "model.pt"),
    Case("44: sparse", pt(torch_zip(pickled(SPARSE, w=tensor()))), rows=("w",)),
    refused("47: truncated", pt(MOVED[:-30]), "model.pt"),
    refused("47: random after PK", pt(b"PK\3\4" + np.random.default_rng(0).bytes(500)), "model.pt"),
    refused("47: tar", pt(bytes(257) + b"ustar\x0000" + bytes(1000)), "tar archive"),
    refused("47: flipped bit, verified", pt(flipped(MOVED, WEIGHT.tobytes()[:8], 2, 0x55)), "checksum", words=("--verify",)),
    Case(
        "48: objects in an npz",
        lambda folder: npz(folder, w=GOOD_NPY, o=npy("'|O'", "(3,)", pickle.dumps([1, 2, 3]))),
        rows=("w",),
        skips=(("o", "object"),),
    ),
    refused("48: 10^6 x 10^6 in 128 bytes", file_of("model.npy", npy("'<f4'", "(1000000, 1000000)")), "model.npy"),
    refused("48: npz bomb", bomb("model.npz", "w.npy", 10**9, npy("'<f4'", "(15625, 16000)")), "model.npz"),
    refused("49: call in the header", file_of("model.npy", npy("__import__('os').system('touch harm')", "(1,)")), "model.npy"),
    refused("49: long header", file_of("model.npy", npy("'<f4'", "(1,)", extra="#" + "x" * 20_000)), "model.npy"),
    refused("49: deep header", file_of("model.npy", npy("'<f4'", "(" * 3000 + ")" * 3000)), "model.npy"),
    *(
        refused(f"49: shape {shape}", file_of("model.npy", npy("'<f4'", shape)), "model.npy")
        for shape in ("(-1,)", f"({2**62},)", "(1.5,)", "('a',)", "(True,)")
    ),
    Case("49: V2", lambda folder: npz(folder, w=GOOD_NPY, b=npy("'|V2'", "(2, 2)", bytes(8))), rows=("w",), skips=(("b", "--npy-dtype"),)),
    refused("49: an archive among the arrays", nested_npz, "inner.npz"),
    Case("49: names of an npz", lambda folder: npz(folder, **{"..__..__x": GOOD_NPY, "\x1b[31m": GOOD_NPY, "<script>": GOOD_NPY}), rows=("../../x",)),
    Case("55: configuration that calls", keras(config=CONFIG), rows=("layers/dense/vars/0",)),
    refused("56: member leads out", keras(members=[("../../x", b"x")]), "../../x"),
    refused(
        "56: two weight files",
        lambda folder: file_of(
            "model.keras", keras(members=[("model.weights.h6", b"x")])(folder).read_bytes().replace(b"model.weights.h6", b"model.weights.h5")
        )(folder),
        "two members",
    ),
]
