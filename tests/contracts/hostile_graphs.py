"""Hostile HDF5, ONNX, GGUF files and adapters (cases 51 to 64)."""

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tests.contracts.hostile_cases import CANARY, WEIGHT, Case, file_of, refused
from tests.contracts.hostile_safetensors import packed


def hdf5(fill: Callable[[h5py.File, Path], None]) -> Callable[[Path], Path]:
    """A file with a good data set ``w`` and what ``fill`` puts beside it; ``secret.h5`` next to it holds the canary."""

    def build(folder: Path) -> Path:
        outer = folder / "outer"
        outer.mkdir()
        with h5py.File(outer / "secret.h5", "w") as file:
            file["w"] = np.full((4, 4), CANARY)
        (outer / "secret.bin").write_bytes(np.full(100, CANARY).tobytes())
        inner = folder / "inner"
        inner.mkdir()
        with h5py.File(inner / "model.h5", "w") as file:
            file["w"] = WEIGHT
            fill(file, outer)
        return inner / "model.h5"

    return build


def external_link(file: h5py.File, outer: Path) -> None:
    file["x"] = h5py.ExternalLink(os.fspath(outer / "secret.h5"), "w")


def external_storage(file: h5py.File, outer: Path) -> None:
    file.create_dataset("x", (10, 10), "f8", external=[(os.fspath(outer / "secret.bin"), 0, 800)])


def virtual(file: h5py.File, outer: Path) -> None:
    layout = h5py.VirtualLayout((4, 4), "f8")
    layout[:] = h5py.VirtualSource(os.fspath(outer / "secret.h5"), "w", (4, 4))
    file.create_virtual_dataset("x", layout)


def cycles(file: h5py.File, _: Path) -> None:
    group = file.create_group("g")
    group["self"] = group
    group["soft"] = h5py.SoftLink("/g/soft")
    group["gone"] = h5py.SoftLink("/nowhere")


def deep(file: h5py.File, _: Path) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("g")
    group["x"] = WEIGHT


def odd(file: h5py.File, _: Path) -> None:
    file["compound"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
    file["flags"] = np.ones((3, 3), bool)
    file["scalar"] = 3.0
    file["empty"] = h5py.Empty("f4")
    file.create_dataset("text", (2,), h5py.string_dtype())


def varint(value: int) -> bytes:
    made = b""
    value &= 2**64 - 1
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def field(tag: int, value: bytes | int) -> bytes:
    return varint(tag << 3 | 2) + varint(len(value)) + value if isinstance(value, bytes) else varint(tag << 3) + varint(value)


def onnx_tensor(
    name: str, dims: tuple[int, ...] = (12, 10), data: bytes | None = WEIGHT.tobytes(), external: Mapping[str, str] | None = None, kind: int = 1
) -> bytes:
    made = b"".join(field(1, size) for size in dims) + field(2, kind) + field(8, name.encode())
    if data is not None:
        made += field(9, data)
    for key, value in (external or {}).items():
        made += field(13, field(1, key.encode()) + field(2, value.encode()))
    return made + (field(14, 1) if external else b"")


def onnx(*tensors: bytes, also: Callable[[Path], None] | None = None) -> Callable[[Path], Path]:
    """A model folder with the canary ``x`` outside of it."""

    def build(folder: Path) -> Path:
        root = folder / "model"
        root.mkdir()
        (folder / "x").write_bytes(np.full(120, CANARY, "<f4").tobytes())
        (root / "model.onnx").write_bytes(field(1, 8) + field(7, b"".join(field(5, tensor) for tensor in tensors)))
        if also:
            also(root)
        return root / "model.onnx"

    return build


def outside(location: str, also: Callable[[Path], None] | None = None, **more: str) -> Callable[[Path], Path]:
    return onnx(onnx_tensor("w", data=None, external={"location": location, **more}), also=also)


def linked_folder(root: Path) -> None:
    (root / "sub").symlink_to("..")


def word(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_tensor(name: str = "w", dims: tuple[int, ...] = (8, 2), kind: int = 0, offset: int = 0) -> bytes:
    return word(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", size) for size in dims) + struct.pack("<IQ", kind, offset)


def gguf(
    *tensors: bytes, keys: tuple[bytes, ...] = (), data: int = 64, version: int = 3, counts: tuple[int, int] | None = None
) -> Callable[[Path], Path]:
    n_tensors, n_keys = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys) + b"".join(keys) + b"".join(tensors)
    return file_of("model.gguf", head + bytes(-len(head) % 32) + bytes(data))


def array(kind: int, count: int) -> bytes:
    return word("a") + struct.pack("<IIQ", 9, kind, count)


def adapter(config: Any, also: Callable[[Path], None] | None = None) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        root = folder / "adapter"
        root.mkdir()
        (root / "adapter_config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        pair = {"base_model.model.q.lora_A.weight": WEIGHT[:2], "base_model.model.q.lora_B.weight": WEIGHT[:, :2].copy()}
        (root / "adapter_model.safetensors").write_bytes(packed(pair))
        if also:
            also(root)
        return root

    return build


def linked_weights(root: Path) -> None:
    (root / "adapter_model.safetensors").rename(root.parent / "evil.safetensors")
    (root / "adapter_model.safetensors").symlink_to("../evil.safetensors")


def fifo_config(root: Path) -> None:
    (root / "adapter_config.json").unlink()
    os.mkfifo(root / "adapter_config.json")


PAIR = ("base_model.model.q",)
CASES = [
    refused("51: external link", hdf5(external_link), "model.h5", seconds=15),
    refused("51: external storage", hdf5(external_storage), "model.h5", seconds=15),
    refused("51: virtual data set", hdf5(virtual), "model.h5", seconds=15),
    Case("52: cycles of links", hdf5(cycles), rows=("w",), seconds=15),
    refused(
        "53: shape of 3.6 TiB",
        hdf5(lambda file, _: file.create_dataset("x", (10**6, 10**6), "f4", chunks=(1000, 1000))),
        "4000000000000 bytes",
        seconds=15,
    ),
    Case("54: odd data sets", hdf5(odd), rows=("w",), skips=(("compound", ""), ("flags", "bool")), seconds=15),
    *(
        refused(f"58: location {place!r}", outside(place), "model.onnx")
        for place in ("../x", "/etc/passwd", "a/../../x", "..\\x", "", ".", "model.onnx", "a\0b")
    ),
    refused("58: link", outside("d", lambda root: (root / "d").symlink_to("../x")), "leads out", names_file=False),
    refused("58: linked folder", outside("sub/x", linked_folder), "leads out", names_file=False),
    refused("58: FIFO", outside("d", lambda root: os.mkfifo(root / "d")), "not a regular file", names_file=False),
    refused("60: length 10^15", outside("d", lambda root: (root / "d").write_bytes(bytes(480)) and None, length=str(10**15)), ""),
    refused("60: negative offset", outside("d", lambda root: (root / "d").write_bytes(bytes(480)) and None, offset="-8"), "model.onnx"),
    refused("60: unknown key", outside("d", lambda root: (root / "d").write_bytes(bytes(480)) and None, __class__="x"), "__class__"),
    refused("60: dims [-1, 4]", onnx(onnx_tensor("w", (-1, 4))), "model.onnx"),
    refused("60: dims that do not match", onnx(onnx_tensor("w", (12, 11))), "model.onnx"),
    refused("60: missing data file", outside("d"), "d"),
    refused("61: duplicate names", onnx(onnx_tensor("w"), onnx_tensor("w")), "'w'"),
    Case("61: texts", onnx(onnx_tensor("s", (1,), None, kind=8), onnx_tensor("w")), rows=("w",), skips=(("s", ""),)),
    refused("61: cut off", lambda folder: file_of("m.onnx", onnx(onnx_tensor("w"))(folder).read_bytes()[:-9])(folder), "m.onnx"),
    refused("62: array of 2^63", gguf(keys=(array(4, 2**63),)), "9223372036854775808", seconds=1),
    refused("62: nested array of 2^62", gguf(keys=(array(9, 2**62),)), "4611686018427387904", seconds=1),
    refused("62: 2^63 tensors", gguf(counts=(2**63, 0)), "9223372036854775808 tensors", seconds=1),
    refused("63: 10^6 dimensions", gguf(word("w") + struct.pack("<I", 10**6), data=100), "dimensions"),
    refused("63: product that wraps", gguf(gguf_tensor(dims=(4194305, 4194305, 211106198978564))), "elements"),
    refused("63: offset past the end", gguf(gguf_tensor(offset=1 << 40)), "ends at byte"),
    refused("63: unaligned", gguf(gguf_tensor(offset=8)), "alignment"),
    refused("63: type 999", gguf(gguf_tensor(kind=999)), "999"),
    refused("63: same name twice", gguf(gguf_tensor(), gguf_tensor(), data=128), "'w'"),
    refused("63: version 99", gguf(version=99), "version 99"),
    refused("64: rows that are no whole blocks", gguf(gguf_tensor(dims=(33, 2), kind=8)), "block"),
    Case(
        "adapter: names a base far away",
        adapter({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "/etc/passwd"}),
        notes="nothing was opened there",
    ),
    Case("adapter: names itself as base", adapter({"base_model_name_or_path": "."}), notes="nothing was opened there"),
    Case("adapter: hostile pattern", adapter({"alpha_pattern": {"(a+)+$": 1}}), notes="regular expressions"),
    refused("adapter: nested configuration", adapter("[" * 100_000), "adapter_config.json", names_file=False),
    refused("adapter: alpha 10^400", adapter('{"lora_alpha": 1' + "0" * 400 + "}"), "lora_alpha", names_file=False),
    refused("adapter: linked weights", adapter({}, linked_weights), "leads out", names_file=False),
    refused("adapter: FIFO for a configuration", adapter({}, fifo_config), "not a regular file", names_file=False),
]
