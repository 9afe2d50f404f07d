"""The wire reader against the protobuf library, and against bytes that are no messages."""

from pathlib import Path

import numpy as np
import pytest
from onnx import AttributeProto

from genscope.checkpoints.paths import open_input
from genscope.checkpoints.protobuf_wire import BYTES, VARINT, WireReader, packed_varints
from genscope.errors import CorruptInput, LimitExceeded


def reader(folder: Path, raw: bytes, max_fields: int = 1000) -> WireReader:
    (folder / "x").write_bytes(raw)
    return WireReader(open_input(folder / "x"), max_fields)


def test_fields_of_a_real_message(tmp_path: Path):
    numbers = [0, 1, -1, 127, 128, 2**63 - 1, -(2**63)]
    message = AttributeProto(name="é", i=-5, f=1.5, ints=numbers, s=b"\xff" * 300)
    wire = reader(tmp_path, message.SerializeToString())
    fields = list(wire.fields(0, wire.file.size))
    by_number = {field.number: field for field in fields}
    assert wire.text(by_number[1], 10, "a name") == "é"
    assert wire.integers(by_number[3], 1, "i") == [-5]
    assert np.array([by_number[2].value], "u4").view("f4")[0] == 1.5
    assert wire.bytes(by_number[4].start, by_number[4].end) == b"\xff" * 300
    assert [number for field in fields if field.number == 8 for number in wire.integers(field, 10, "ints")] == numbers
    with pytest.raises(CorruptInput, match="UTF-8"):
        wire.text(by_number[4], 1000, "a name")
    with pytest.raises(LimitExceeded, match="300 bytes long"):
        wire.text(by_number[4], 10, "a name")
    assert by_number[3].wire == VARINT and by_number[1].wire == BYTES


def test_long_spans_and_windows(tmp_path: Path):
    payload = np.random.default_rng(0).bytes(700_000)
    wire = reader(tmp_path, payload)
    assert wire.bytes(0, 700_000) == payload
    for start, end in ((0, 10), (299_990, 300_010), (5, 9), (699_990, 700_000)):
        assert wire.bytes(start, end) == payload[start:end]


@pytest.mark.parametrize("raw", [b"\x0a\x05abc", b"\x80", b"\xff" * 12, b"\x00\x01", b"\x0b", b"\x09\x01", b"\x0d\x01\x02"])
def test_damaged_messages(tmp_path: Path, raw: bytes):
    wire = reader(tmp_path, raw)
    with pytest.raises(CorruptInput, match="x"):
        list(wire.fields(0, len(raw)))


def test_the_number_of_fields_is_bounded(tmp_path: Path):
    wire = reader(tmp_path, b"\x08\x01" * 100, max_fields=99)
    with pytest.raises(LimitExceeded, match="more protobuf fields"):
        list(wire.fields(0, 200))


def test_packed_numbers():
    numbers = [0, 1, 127, 128, 300, 65535, 2**32, 2**63, 2**64 - 1]
    raw = bytearray()
    for number in numbers:
        while number > 127:
            raw.append(number & 127 | 128)
            number >>= 7
        raw.append(number)
    assert packed_varints(bytes(raw), "x").tolist() == numbers
    assert packed_varints(b"", "x").tolist() == []
    with pytest.raises(CorruptInput, match="cut short"):
        packed_varints(b"\x80", "x")
    with pytest.raises(CorruptInput, match="64 bits"):
        packed_varints(b"\x80" * 10 + b"\x01", "x")
