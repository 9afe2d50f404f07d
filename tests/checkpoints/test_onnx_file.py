"""ONNX against the ``onnx`` package on valid models; orientation from the graph; hostile models and external data."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.onnx_file import open_onnx
from genscope.core.tensors import Checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput

RNG = np.random.default_rng(0)


def save(path: Path, tensors: list[TensorProto], nodes: tuple[Any, ...] = (), **extra: Any) -> Path:
    graph = helper.make_graph(list(nodes), "g", [], [], initializer=tensors, **extra)
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def tensor(name: str, shape: tuple[int, ...] = (3, 4), dtype: str = "f4") -> TensorProto:
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(dtype), name)


def test_every_float_type_raw_and_typed(tmp_path: Path):
    values = np.array([[0.5, -1.5, 448.0], [0.0, 2.0, -0.0625]])
    types = {
        "float": (TensorProto.FLOAT, "f4"),
        "double": (TensorProto.DOUBLE, "f8"),
        "half": (TensorProto.FLOAT16, "f2"),
        "brain": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        "e4": (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
        "e4z": (TensorProto.FLOAT8E4M3FNUZ, ml_dtypes.float8_e4m3fnuz),
        "e5": (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
        "e5z": (TensorProto.FLOAT8E5M2FNUZ, ml_dtypes.float8_e5m2fnuz),
    }
    tensors = []
    for name, (code, dtype) in types.items():
        stored = values.astype(dtype)
        tensors.append(helper.make_tensor(f"{name}_raw", code, values.shape, stored.tobytes(), raw=True))
        tensors.append(helper.make_tensor(f"{name}_typed", code, values.shape, stored.astype("f8").ravel().tolist()))
    checkpoint = open_onnx(save(tmp_path / "m.onnx", tensors))
    assert isinstance(checkpoint, Checkpoint)
    assert len(checkpoint.specs) == len(tensors)
    for proto in tensors:
        read = checkpoint.read(proto.name)
        assert read.dtype == (np.float64 if proto.data_type == TensorProto.DOUBLE else np.float32)
        np.testing.assert_array_equal(read, numpy_helper.to_array(proto).astype("f8"), err_msg=proto.name)
    checkpoint.close()


def test_other_types_are_skipped_with_reasons(tmp_path: Path):
    tensors = [
        tensor("w"),
        numpy_helper.from_array(np.arange(3), "counts"),
        numpy_helper.from_array(np.array([b"a", b"b"], dtype=object), "words"),
        helper.make_tensor("nibbles", TensorProto.INT4, (4,), [1, 2, 3, 4]),
        helper.make_tensor("turned", TensorProto.COMPLEX64, (2,), np.ones(2, "c8").tobytes(), raw=True),
        helper.make_tensor("flags", TensorProto.BOOL, (2,), [True, False]),
    ]
    unknown = helper.make_tensor("unknown", TensorProto.FLOAT, (2,), [1.0, 2.0])
    unknown.data_type = 99
    checkpoint = open_onnx(save(tmp_path / "m.onnx", [*tensors, unknown]))
    assert [spec.name for spec in checkpoint.specs] == ["w"]
    reasons = {skip.layer: skip.reason for skip in checkpoint.skips}
    words = {"counts": "int64", "words": "text", "nibbles": "int4", "turned": "complex64", "flags": "bool", "unknown": "99"}
    assert set(reasons) == set(words)
    for name, word in words.items():
        assert word in reasons[name]


def test_orientation_and_kinds_follow_the_operators(tmp_path: Path):
    node = helper.make_node
    nodes = (
        node("MatMul", ["x", "right"], ["y0"]),
        node("MatMul", ["left", "x"], ["y1"]),
        node("Gemm", ["x", "gemm", "bias"], ["y2"]),
        node("Gemm", ["x", "gemm_t"], ["y3"], transB=1),
        node("Transpose", ["turned"], ["t"], perm=[1, 0]),
        node("MatMul", ["x", "t"], ["y4"]),
        node("Identity", ["renamed"], ["r"]),
        node("MatMul", ["x", "r"], ["y5"]),
        node("Conv", ["x", "conv"], ["y6"], group=4, strides=[2, 2], dilations=[1, 1], pads=[1, 1, 1, 1]),
        node("ConvTranspose", ["x", "deconv"], ["y7"]),
        node("Gather", ["table", "i"], ["y8"]),
        node("LSTM", ["x", "W", "R", "B"], ["y9"], hidden_size=2),
        node("BatchNormalization", ["x", "scale", "shift", "mean", "var"], ["y10"]),
        node("Constant", [], ["made"], value=tensor("ignored", (2, 5))),
        node("MatMul", ["x", "made"], ["y11"]),
    )
    shapes = dict.fromkeys(("right", "left", "gemm", "gemm_t", "turned", "renamed", "table"), (3, 4))
    shapes |= {"bias": (4,), "conv": (8, 1, 3, 3), "deconv": (4, 2, 3), "W": (2, 8, 3), "R": (2, 8, 2), "B": (2, 16)}
    shapes |= dict.fromkeys(("scale", "shift", "mean", "var"), (4,))
    tensors = [tensor(name, shape) for name, shape in shapes.items()]
    checkpoint = open_onnx(save(tmp_path / "m.onnx", tensors, nodes))
    found = {spec.name: (spec.kind, spec.layout) for spec in checkpoint.specs}
    assert found["right"] == ("linear", "keras")
    assert found["left"] == ("linear", "torch")
    assert found["gemm"] == ("linear", "keras")
    assert found["gemm_t"] == ("linear", "torch")
    assert found["turned"] == ("linear", "torch")
    assert found["renamed"] == ("linear", "keras")
    assert found["made"] == ("linear", "keras")
    assert found["table"] == ("embedding", "torch")
    assert found["conv"] == ("conv2d", "torch")
    assert found["deconv"] == ("conv_transpose1d", "torch")
    assert found["scale"] == ("norm", "torch")
    assert {spec.name: spec.attributes for spec in checkpoint.specs}["conv"] == {"groups": 4, "stride": (2, 2), "dilation": (1, 1)}
    # Recurrent weights: one matrix per direction, gates from ONNX's order i o f c to torch's i f g o.
    stored = numpy_helper.to_array(tensors[list(shapes).index("W")])
    gates = np.split(stored[1], 4)
    np.testing.assert_array_equal(checkpoint.read("W.reverse"), np.concatenate([gates[0], gates[2], gates[3], gates[1]]))
    assert found["R.forward"] == ("lstm", "torch")
    assert {skip.layer: skip.reason for skip in checkpoint.skips} == {"B": "bias of a recurrent layer"}


@pytest.mark.parametrize("raw_bytes", [True, False])
@pytest.mark.parametrize(("axis", "shape"), [(None, []), (0, [3]), (1, [4]), (-1, [4])])
def test_quantized_weights_are_the_numbers_they_stand_for(tmp_path: Path, raw_bytes: bool, axis: int | None, shape: list[int]):
    stored = RNG.integers(-128, 128, (3, 4)).astype("i1")
    scale, zero = RNG.uniform(0.5, 1, shape).astype("f4"), RNG.integers(-5, 6, shape).astype("i1")
    content = stored.tobytes() if raw_bytes else stored.ravel().tolist()
    tensors = [
        helper.make_tensor("w", TensorProto.INT8, (3, 4), content, raw=raw_bytes),
        numpy_helper.from_array(scale, "s"),
        numpy_helper.from_array(zero, "z"),
    ]
    nodes = (
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], **({} if axis is None else {"axis": axis})),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    )
    checkpoint = open_onnx(save(tmp_path / "m.onnx", tensors, nodes))
    (spec,) = checkpoint.specs
    assert (spec.name, spec.dtype, spec.kind, spec.layout) == ("w", "float32", "linear", "keras")
    assert spec.attributes["dequantized_from"] == "int8"
    along = (3, 1) if axis == 0 else (1, 4)
    expected = (stored.astype("f8") - zero.reshape(along if shape else ())) * scale.reshape(along if shape else ())
    np.testing.assert_allclose(checkpoint.read("w"), expected, rtol=1e-6)
    assert {skip.layer for skip in checkpoint.skips} == {"s", "z"}


def test_integers_without_a_fitting_scale_stay_integers(tmp_path: Path):
    stored = numpy_helper.from_array(np.ones((3, 4), "i1"), "w")
    for scale, axis in (((5,), 1), ((3, 4), 1), ((4,), 7)):
        nodes = (helper.make_node("DequantizeLinear", ["w", "s"], ["d"], axis=axis),)
        checkpoint = open_onnx(save(tmp_path / "m.onnx", [stored, tensor("s", scale)], nodes))
        assert "w" in {skip.layer for skip in checkpoint.skips}


def test_fused_projections_keep_their_name_for_the_split(tmp_path: Path):
    nodes = (helper.make_node("Gemm", ["x", "attn.qkv.weight"], ["y"], transB=1),)
    (spec,) = open_onnx(save(tmp_path / "m.onnx", [tensor("attn.qkv.weight", (12, 4))], nodes)).specs
    assert (spec.kind, spec.layout) == ("attention", "torch")


def test_subgraphs_are_read_under_names_of_their_own(tmp_path: Path):
    def branch(name: str) -> Any:
        return helper.make_graph([helper.make_node("MatMul", ["w", "outer"], ["y"])], name, [], [], initializer=[tensor("w")])

    nodes = [helper.make_node("If", ["c"], ["z"], name="choice", then_branch=branch("a"), else_branch=branch("b")) for _ in range(2)]
    checkpoint = open_onnx(save(tmp_path / "m.onnx", [tensor("w"), tensor("outer")], tuple(nodes)))
    names = {spec.name: spec.layout for spec in checkpoint.specs}
    assert len(names) == 6
    assert names["choice.then_branch/w"] == "torch" and names["choice.else_branch#2/w"] == "torch"
    assert names["outer"] == "keras"


def with_external(path: Path, shape: tuple[int, ...] = (3, 4), **keys: str) -> Path:
    proto = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for name, value in keys.items():
        proto.external_data.add(key=name, value=value)
    return save(path, [proto])


def test_external_data_inside_the_folder(tmp_path: Path):
    values = np.arange(14, dtype="f4")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.bin").write_bytes(values.tobytes())
    path = with_external(tmp_path / "m.onnx", location="sub/data.bin", offset="8", length="48")
    checkpoint = open_onnx(path)
    np.testing.assert_array_equal(checkpoint.read("w"), values[2:].reshape(3, 4))
    assert "data.bin" in checkpoint.notes[0]
    checkpoint.close()
    (tmp_path / "sub" / "data.bin").write_bytes(values[:12].tobytes())
    plain = open_onnx(with_external(tmp_path / "m.onnx", location="./sub/data.bin"))
    np.testing.assert_array_equal(plain.read("w"), values[:12].reshape(3, 4))
    reference = numpy_helper.to_array(onnx.load(tmp_path / "m.onnx").graph.initializer[0])
    np.testing.assert_array_equal(plain.read("w"), reference)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a model's place in it, and forbidden things outside."""
    (tmp_path / "secret.bin").write_bytes(np.full(12, 1234.5, "f4").tobytes())
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "model"
    (folder / "real").mkdir(parents=True)
    (folder / "data.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "parent").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "ABSOLUTE",
        "real/../../secret.bin",
        "real/../data.bin",
        "..\\secret.bin",
        "link.bin",
        "parent/secret.bin",
        "parent/pipe",
        "pipe",
        "real",
        "m.onnx",
        "missing.bin",
        "",
        ".",
        "//data.bin",
        "real//data.bin",
        "data.bin\0",
        "x" * 300,
        "/dev/zero",
    ],
)
def test_external_data_outside_the_folder_is_refused(outside: Path, location: str):
    path = with_external(outside / "m.onnx", location=location.replace("ABSOLUTE", str(outside.parent / "secret.bin")))
    with pytest.raises(GenscopeError) as caught:
        open_onnx(path)
    assert "1234.5" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"length": "1000000000000000"}, CorruptInput, "are claimed and it has 48"),
        ({"length": "44"}, CorruptInput, "needs 48 bytes and its external data are 44"),
        ({"offset": "-8"}, CorruptInput, "not a plain number"),
        ({"offset": "4"}, CorruptInput, "are claimed and it has 48"),
        ({"offset": "1e3"}, CorruptInput, "not a plain number"),
        ({"offset": "٣"}, CorruptInput, "not a plain number"),
        ({"length": "9" * 5000}, CorruptInput, "not a plain number"),
        ({"__class__": "x"}, UnsafeInput, "unknown key '__class__'"),
    ],
)
def test_impossible_external_data(outside: Path, keys: dict[str, str], error: type[GenscopeError], words: str):
    with pytest.raises(error, match=words):
        open_onnx(with_external(outside / "m.onnx", location="data.bin", **keys))


def test_the_model_file_is_no_data_file(outside: Path):
    path = with_external(outside / "m.onnx", location="m.onnx", offset="0", length="48")
    assert path.stat().st_size > 48
    with pytest.raises(UnsafeInput, match="in the model file itself"):
        open_onnx(path)


def raw(name: str = "w", dims: tuple[int, ...] = (2, 2), data: bytes = bytes(16), code: int = TensorProto.FLOAT) -> TensorProto:
    return TensorProto(name=name, data_type=code, dims=dims, raw_data=data)


HOSTILE_TENSORS = {
    "negative": ([raw(dims=(-1, 4))], CorruptInput, "non-negative"),
    "shape and bytes differ": ([raw(dims=(2, 3))], CorruptInput, "needs 24 bytes and the model holds 16"),
    "10^12 values": ([raw(dims=(10**6, 10**6))], CorruptInput, "needs 4000000000000 bytes"),
    "wraps to 4": ([raw(dims=(4194305, 4194305, 211106198978564))], LimitExceeded, "elements"),
    "33 dimensions": ([raw(dims=(1,) * 33)], LimitExceeded, "more than 32 dimensions"),
    "no values": ([raw(data=b"")], CorruptInput, "needs"),
    "two of one name": ([raw(), raw()], CorruptInput, "two tensors are called 'w'"),
    "typed and raw": ([TensorProto(name="w", data_type=1, dims=(2,), raw_data=bytes(8), float_data=[1.0, 2.0])], CorruptInput, "twice"),
    "too few typed": ([TensorProto(name="w", data_type=1, dims=(3,), float_data=[1.0, 2.0])], CorruptInput, "cannot be that many"),
    "integers cut": ([raw(dims=(2,), code=TensorProto.INT64)], None, ""),
    "integers longer": ([raw(dims=(3,), code=TensorProto.INT64)], CorruptInput, "needs 24"),
}


@pytest.mark.parametrize("case", HOSTILE_TENSORS)
def test_hostile_tensors(tmp_path: Path, case: str):
    tensors, error, words = HOSTILE_TENSORS[case]
    path = save(tmp_path / "x.onnx", tensors)
    if error is None:
        open_onnx(path).close()
        return
    with pytest.raises(error, match=words) as caught:
        open_onnx(path)
    assert "x.onnx" in str(caught.value)


def nested(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph, ``depth`` times."""

    def field(number: int, body: bytes) -> bytes:
        size, out = len(body), bytearray([number << 3 | 2])
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        return bytes(out) + bytes([size]) + body

    body = b""
    for _ in range(depth):
        body = field(1, field(5, field(6, body)))
    return field(7, body)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no graph"),
        (b"hello world", "protobuf|message"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "claims"),
        (b"\x3a\x00\x3a\x00", "2 graphs"),
        (b"\x08" + b"\xff" * 11, "inside a number"),
        (nested(1000), "nests subgraphs deeper"),
        (b"\x3a\x02\x2a\x80", "inside a number"),
    ],
)
def test_not_a_model(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(GenscopeError, match=words):
        open_onnx(tmp_path / "x.onnx")


def test_a_cut_model_is_refused_wherever_it_is_cut(tmp_path: Path):
    whole = save(tmp_path / "x.onnx", [tensor("a"), tensor("b")]).read_bytes()
    graph_end = len(whole) - len(whole.rsplit(b"b", 1)[1])
    for length in range(10, graph_end, 7):
        (tmp_path / "x.onnx").write_bytes(whole[:length])
        with pytest.raises(GenscopeError, match=r"x\.onnx"):
            open_onnx(tmp_path / "x.onnx")


def test_limits_on_tensors_and_names(tmp_path: Path):
    path = save(tmp_path / "x.onnx", [tensor("a"), tensor("b" * 100)])
    with pytest.raises(LimitExceeded, match="n_tensors"):
        open_onnx(path, Limits(n_tensors=1))
    with pytest.raises(LimitExceeded, match="100 bytes long"):
        open_onnx(path, Limits(name_bytes=99))


def test_the_onnx_package_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save(tmp_path / "x.onnx", [tensor("a")])
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert open_onnx(path).read("a").shape == (3, 4)


@pytest.mark.data
@pytest.mark.parametrize("name", ["example.onnx", "tempNetwork.onnx"])
def test_real_models_agree_with_the_package(real_data: Path, name: str):
    path = real_data / "onnx-tiny" / name
    checkpoint = open_onnx(path)
    stored = {proto.name: numpy_helper.to_array(proto) for proto in onnx.load(path).graph.initializer}
    read = {spec.name: checkpoint.read(spec.name) for spec in checkpoint.specs}
    same = set(read) & set(stored)
    assert len(same) >= 16
    for tensor_name in same:
        np.testing.assert_array_equal(read[tensor_name], stored[tensor_name])
    assert {skip.layer for skip in checkpoint.skips} | {key.rsplit(".", 1)[0] if key not in stored else key for key in read} == set(stored)


@pytest.mark.data
def test_real_model_has_the_published_norms(real_data: Path):
    """Printed by WeightWatcher 0.6.5, which scales convolutions by √(1/2): largest eigenvalue and stable rank of the pooled kernel slices."""
    folder = real_data / "onnx-tiny"
    checkpoint = open_onnx(folder / "tempNetwork.onnx")
    for row in json.loads((folder / "expected.json").read_text())["rows"]:
        kernel = checkpoint.read(row["name"]).astype("f8").transpose(2, 3, 0, 1)
        values = np.linalg.svd(kernel, compute_uv=False).ravel()
        assert values.max() ** 2 / 2 == pytest.approx(row["spectral_norm"], abs=5e-7)
        assert (values**2).sum() / values.max() ** 2 == pytest.approx(row["stable_rank"], abs=5e-6)
