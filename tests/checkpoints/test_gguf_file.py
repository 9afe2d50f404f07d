"""GGUF against the ``gguf`` package on valid files, and a table of hostile headers."""

import struct
import sys
import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from genscope.checkpoints.gguf_dequantize import TYPES
from genscope.checkpoints.gguf_file import open_gguf
from genscope.checkpoints.limits import Limits
from genscope.core.tensors import Checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, PartialResult, UnsupportedInput

Q = gguf.GGMLQuantizationType
RNG = np.random.default_rng(0)
KERNELS = [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL, Q.IQ4_XS, Q.TQ1_0, Q.TQ2_0]


def write(path: Path, tensors: dict[str, tuple[np.ndarray, Q | None]], **split: int) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.attention.head_count", 4)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b" * 3000, "é"])
    writer.add_array("numbers", list(range(100)))
    writer.add_string("general.name", "tiny")
    for key, value in split.items():
        writer.add_uint16(f"split.{key}", value)
    for name, (values, kind) in tensors.items():
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_types_and_sizes_are_those_of_the_gguf_package():
    assert {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()} == TYPES


def test_plain_types_and_reversed_shapes(tmp_path: Path):
    weight = RNG.standard_normal((6, 32)).astype("f4")
    bits = (weight.view("u4") >> 16).astype("u2")
    write(
        tmp_path / "m.gguf",
        {
            "blk.0.attn_q.weight": (weight, None),
            "token_embd.weight": (weight.astype("f2"), None),
            "wide": (weight.astype("f8"), None),
            "brain": (bits.view("u1"), Q.BF16),
            "counts": (np.arange(4, dtype="i4"), None),
        },
    )
    checkpoint = open_gguf(tmp_path / "m.gguf")
    assert isinstance(checkpoint, Checkpoint)
    assert [(spec.name, spec.shape, spec.dtype, spec.kind) for spec in checkpoint.specs] == [
        ("blk.0.attn_q.weight", (6, 32), "float32", "linear"),
        ("token_embd.weight", (6, 32), "float16", "embedding"),
        ("wide", (6, 32), "float64", None),
        ("brain", (6, 32), "bfloat16", None),
    ]
    np.testing.assert_array_equal(checkpoint.read("blk.0.attn_q.weight"), weight)
    np.testing.assert_array_equal(checkpoint.read("token_embd.weight"), weight.astype("f2"))
    np.testing.assert_array_equal(checkpoint.read("wide"), weight.astype("f8"))
    np.testing.assert_array_equal(checkpoint.read("brain"), (bits.astype("u4") << 16).view("f4"))
    assert checkpoint.skips[0].layer == "counts" and "int32" in checkpoint.skips[0].reason
    assert checkpoint.metadata["general.name"] == "tiny"
    assert checkpoint.metadata["llama.attention.head_count"] == 4
    checkpoint.close()


@pytest.mark.parametrize("kind", KERNELS, ids=lambda kind: kind.name)
def test_quantized_blocks_agree_with_the_reader_of_the_format(tmp_path: Path, kind: Q):
    _, block, block_bytes = TYPES[int(kind)]
    raw = RNG.integers(0, 256, (3, 2 * block_bytes), dtype=np.uint8)
    # Random bytes are any blocks at all; the half-precision scales among them are kept finite by clearing the top exponent bit everywhere.
    raw &= 0xBF
    write(tmp_path / "m.gguf", {"w": (raw, kind)})
    reference = gguf.GGUFReader(tmp_path / "m.gguf").tensors[0]
    expected = gguf.quants.dequantize(reference.data, reference.tensor_type)
    checkpoint = open_gguf(tmp_path / "m.gguf")
    assert checkpoint.specs[0].shape == (3, 2 * block) and checkpoint.specs[0].dtype == kind.name
    values = checkpoint.read("w")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)
    assert kind.name in checkpoint.notes[0]
    checkpoint.close()


@pytest.mark.parametrize(("kind", "bound"), [(Q.Q8_0, 0.005), (Q.Q4_0, 0.126)])
def test_quantization_error_is_what_the_bits_allow(tmp_path: Path, kind: Q, bound: float):
    weight = RNG.uniform(-1, 1, (4, 256)).astype("f4")
    write(tmp_path / "m.gguf", {"w": (gguf.quants.quantize(weight, kind), kind)})
    checkpoint = open_gguf(tmp_path / "m.gguf")
    assert np.abs(checkpoint.read("w") - weight).max() < bound
    checkpoint.close()


def test_without_the_package_quantized_tensors_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weight = np.ones((2, 32), "f4")
    write(tmp_path / "m.gguf", {"w": (weight, None), "q": (gguf.quants.quantize(weight, Q.Q8_0), Q.Q8_0)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    checkpoint = open_gguf(tmp_path / "m.gguf")
    assert [spec.name for spec in checkpoint.specs] == ["w"]
    assert checkpoint.skips[0].reason == "quantized as Q8_0; install genscope[gguf] to read it"
    checkpoint.close()


def test_split_files_are_joined_and_missing_parts_named(tmp_path: Path):
    names = [tmp_path / f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for number, path in enumerate(names):
        write(path, {f"w{number}": (np.full((2, 8), number, "f4"), None)}, no=number, count=3)
    for path in names:
        checkpoint = open_gguf(path)
        assert [checkpoint.read(f"w{number}")[0, 0] for number in range(3)] == [0, 1, 2]
        checkpoint.close()
    names[1].rename(tmp_path / "elsewhere")
    with pytest.raises(PartialResult, match=r"one of 3 parts and m-00002-of-00003\.gguf cannot be found"):
        open_gguf(names[0])
    names[0].rename(tmp_path / "renamed.gguf")
    with pytest.raises(CorruptInput, match="keep the names of the parts"):
        open_gguf(tmp_path / "renamed.gguf")
    write(names[0], {"w2": (np.ones((2, 8), "f4"), None)}, no=0, count=3)
    write(names[1], {"w1": (np.ones((2, 8), "f4"), None)}, no=1, count=3)
    with pytest.raises(CorruptInput, match="two tensors are called 'w2'"):
        open_gguf(names[0])
    names[1].unlink()
    names[1].symlink_to("/dev/zero")
    with pytest.raises(GenscopeError):
        open_gguf(names[0])


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def tensor(name: str = "w", dims: tuple[int, ...] = (8, 2), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", size) for size in dims) + struct.pack("<IQ", kind, offset)


def model(*tensors: bytes, keys: tuple[bytes, ...] = (), data: int = 64, version: int = 3, counts: tuple[int, int] | None = None) -> bytes:
    n_tensors, n_keys = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys) + b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + b"\0" * data


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


HOSTILE = {
    "array of 2^63 numbers in 43 bytes": (model(keys=(key("a", 9, struct.pack("<IQ", 4, 2**63)),)), CorruptInput, "claims 9223372036854775808 items"),
    "array of 2^62 strings": (model(keys=(key("a", 9, struct.pack("<IQ", 8, 2**62)),)), CorruptInput, "4611686018427387904 entries"),
    "nested array of 2^62": (model(keys=(key("a", 9, struct.pack("<IQ", 9, 2**62)),)), CorruptInput, "4611686018427387904 entries"),
    "nested five deep": (model(keys=(key("a", 9, struct.pack("<IQ", 9, 1) * 6),), data=200), LimitExceeded, "nests arrays"),
    "2^63 keys": (model(counts=(0, 2**63)), CorruptInput, "key-value pairs"),
    "2^63 tensors": (model(counts=(2**63, 0)), CorruptInput, "claims 9223372036854775808 tensors"),
    "string of 2^62": (model(keys=(key("a", 8, struct.pack("<Q", 2**62)),)), CorruptInput, "4611686018427387904"),
    "key of 2^62": (model(counts=(0, 1), data=0)[:24] + struct.pack("<Q", 2**62) + b"\0" * 40, CorruptInput, "a key claims"),
    "10^6 dimensions": (model(text("w") + struct.pack("<I", 10**6), data=100), CorruptInput, "1000000 dimensions"),
    "dimensions that wrap to 4": (model(tensor(dims=(4194305, 4194305, 211106198978564))), LimitExceeded, "elements"),
    "offset past the end": (model(tensor(offset=1 << 40)), CorruptInput, "ends at byte"),
    "offset that wraps": (model(tensor(offset=2**64 - 32)), CorruptInput, "ends at byte"),
    "unaligned offset": (model(tensor(offset=8)), CorruptInput, "not a multiple of the alignment 32"),
    "type 999": (model(tensor(kind=999)), UnsupportedInput, "unknown type id 999"),
    "value type 99": (model(keys=(key("a", 99, b""),)), CorruptInput, "unknown value type 99"),
    "two tensors of one name": (model(tensor(), tensor(), data=128), CorruptInput, "two tensors are called 'w'"),
    "two keys of one name": (model(keys=(key("a", 4, b"\0" * 4),) * 2), CorruptInput, "stands twice"),
    "two tensors sharing bytes": (model(tensor("a"), tensor("b", offset=32), data=128), CorruptInput, "share bytes"),
    "version 1": (model(version=1), UnsupportedInput, "version 1"),
    "version 99": (model(version=99), UnsupportedInput, "version 99"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + b"\0" * 40, UnsupportedInput, "big-endian"),
    "row not a multiple of the block": (model(tensor(dims=(33, 2), kind=8)), CorruptInput, "no multiple of the Q8_0 block of 32"),
    "alignment 0": (model(keys=(key("general.alignment", 4, struct.pack("<I", 0)),)), CorruptInput, "power of two"),
    "alignment 48": (model(keys=(key("general.alignment", 4, struct.pack("<I", 48)),)), CorruptInput, "power of two"),
    "alignment as text": (model(keys=(key("general.alignment", 8, text("32")),)), CorruptInput, "power of two"),
    "name not UTF-8": (model(tensor("w").replace(b"w", b"\xff")), CorruptInput, "UTF-8"),
    "name of 70 kB": (model(tensor("w" * 70_000)), LimitExceeded, "70000 bytes long"),
    "cut in the header": (model(tensor())[:60], CorruptInput, "downloaded completely"),
    "cut in the data": (model(tensor(), data=63), CorruptInput, "ends at byte"),
    "not GGUF": (b"GGML" + b"\0" * 40, CorruptInput, "not a GGUF file"),
    "empty": (b"", CorruptInput, "magic"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_gguf(tmp_path: Path, case: str):
    raw, error, words = HOSTILE[case]
    (tmp_path / "x.gguf").write_bytes(raw)
    begun = time.process_time()
    with pytest.raises(error, match=words) as caught:
        open_gguf(tmp_path / "x.gguf")
    assert time.process_time() - begun < 1
    assert "x.gguf" in str(caught.value)


def test_the_valid_model_of_the_table_opens(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(
        model(tensor("a"), tensor("b", offset=64), tensor("zero", dims=(0, 2**63)), keys=(key("a", 7, b"\1"),), data=128)
    )
    checkpoint = open_gguf(tmp_path / "x.gguf")
    assert [spec.shape for spec in checkpoint.specs] == [(2, 8), (2, 8)]
    assert checkpoint.skips[0].reason == "empty: it has no elements"
    checkpoint.close()


def test_kinds_follow_the_names_of_the_format(tmp_path: Path):
    shapes = {"blk.0.attn_qkv.weight": (24, 8), "blk.0.ffn_up_exps.weight": (2, 4, 8), "blk.0.attn_norm.weight": (8,), "output.weight": (9, 8)}
    write(tmp_path / "m.gguf", {name: (np.ones(shape, "f4"), None) for name, shape in shapes.items()})
    checkpoint = open_gguf(tmp_path / "m.gguf")
    assert [(spec.kind, dict(spec.attributes)) for spec in checkpoint.specs] == [
        ("attention", {"num_heads": 4}),
        ("experts", {}),
        (None, {}),
        ("linear", {}),
    ]
    checkpoint.close()


def test_a_header_that_never_ends_is_cut_off(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(model(*(tensor(f"w{number}", dims=(0,)) for number in range(500))))
    with pytest.raises(LimitExceeded, match="past the limit of 10000 bytes"):
        open_gguf(tmp_path / "x.gguf", Limits(header_bytes=10_000))
    with pytest.raises(LimitExceeded, match="500 tensors"):
        open_gguf(tmp_path / "x.gguf", Limits(n_tensors=499))
