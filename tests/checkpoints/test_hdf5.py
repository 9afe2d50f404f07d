"""HDF5 and Keras weight files: names, kinds, values; and nothing that leads out of the file."""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest

from genscope.checkpoints.hdf5 import open_hdf5, weight_names
from genscope.checkpoints.keras_kinds import keras_kind
from genscope.checkpoints.limits import Limits
from genscope.core.tensors import Checkpoint, TensorSpec
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput, UnsupportedInput, UsageError
from genscope.layers.matricize import ViewOptions, build_matrix, plan_matrices

RNG = np.random.default_rng(0)


def legacy_keras(path: Path) -> dict[str, np.ndarray]:
    weights = {
        "dense/kernel:0": RNG.standard_normal((6, 4)).astype("f4"),
        "dense/bias:0": RNG.standard_normal(4).astype("f4"),
        "conv2d/kernel:0": RNG.standard_normal((3, 3, 2, 5)).astype("f4"),
        "separable/depthwise_kernel:0": RNG.standard_normal((3, 3, 8, 2)).astype("f4"),
        "emb/embeddings:0": RNG.standard_normal((10, 3)),
        "lstm/lstm_cell/kernel:0": RNG.standard_normal((5, 12)).astype("f2"),
        "lstm/lstm_cell/recurrent_kernel:0": RNG.standard_normal((3, 12)).astype("f2"),
    }
    with h5py.File(path, "w") as file:
        for name, values in weights.items():
            file[f"model_weights/{name.split('/')[0]}/{name}"] = values
        file["optimizer_weights/Adam/m/dense/kernel:0"] = np.full((6, 4), 1234.5)
        file["optimizer_weights/step"] = 3
    return weights


def test_legacy_keras(tmp_path: Path):
    weights = legacy_keras(tmp_path / "m.h5")
    checkpoint = open_hdf5(tmp_path / "m.h5")
    assert isinstance(checkpoint, Checkpoint)
    assert {spec.name: spec.shape for spec in checkpoint.specs} == {name: values.shape for name, values in weights.items()}
    for name, values in weights.items():
        read = checkpoint.read(name)
        np.testing.assert_array_equal(read, values)
        assert read.dtype == (np.float64 if values.dtype == np.float64 else np.float32)
    kinds = {spec.name: (spec.kind, spec.layout, dict(spec.attributes)) for spec in checkpoint.specs}
    assert kinds["dense/kernel:0"] == ("linear", "keras", {})
    assert kinds["dense/bias:0"] == (None, "keras", {})
    assert kinds["conv2d/kernel:0"] == ("conv2d", "keras", {})
    assert kinds["separable/depthwise_kernel:0"] == ("conv2d", "keras", {"groups": 8, "depthwise": True, "depth_multiplier": 2})
    assert kinds["emb/embeddings:0"] == ("embedding", "keras", {})
    assert kinds["lstm/lstm_cell/recurrent_kernel:0"] == ("lstm", "keras", {"keras_weight": "recurrent_kernel"})
    assert checkpoint.notes == ("2 optimizer and metric variables are not weights and were left out.",)
    checkpoint.close()
    with pytest.raises(UsageError, match="was closed"):
        checkpoint.read("dense/kernel:0")


def test_keras_3_weights(tmp_path: Path):
    bfloat16 = np.array([[1.5, -2.0]], dtype=ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones((4, 3), "f4")
        file["layers/dense/vars/1"] = np.ones(3, "f4")
        file["layers/conv2d_transpose_1/vars/0"] = np.ones((3, 3, 8, 4), "f4")
        file["layers/lstm/cell/vars/1"] = np.ones((3, 12), "f4")
        file["layers/embedding/vars/0"] = np.ones((9, 2), "f4")
        file["layers/multi_head_attention/query_dense/vars/0"] = np.ones((8, 2, 4), "f4")
        file["layers/half/vars/0"] = bfloat16
        file["layers/half/vars/0"].attrs["dtype"] = "bfloat16"
        file["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], "u4")
        file["optimizer/vars/2"] = np.ones((4, 3), "f4")
    checkpoint = open_hdf5(tmp_path / "m.weights.h5")
    kinds = {spec.name: spec.kind for spec in checkpoint.specs if len(spec.shape) > 1}
    assert kinds == {
        "layers/dense/vars/0": "linear",
        "layers/conv2d_transpose_1/vars/0": "conv_transpose2d",
        "layers/lstm/cell/vars/1": "lstm",
        "layers/embedding/vars/0": "embedding",
        "layers/multi_head_attention/query_dense/vars/0": None,
        "layers/half/vars/0": "linear",
    }
    np.testing.assert_array_equal(checkpoint.read("layers/half/vars/0"), [[1.5, -2.0]])
    assert [skip.layer for skip in checkpoint.skips] == ["layers/dropout/seed_generator/vars/0"]
    checkpoint.close()


def test_names_that_would_stand_twice_keep_their_path():
    assert weight_names(["model_weights/a/a/k:0", "a/a/k:0", "b/k"]) == ["model_weights/a/a/k:0", "a/a/k:0", "b/k"]


def test_kinds_by_shape_and_word():
    cases = {
        ("gru/gru_cell/kernel:0", (3, 12)): "gru",
        ("conv1d/kernel:0", (5, 3, 8)): "conv1d",
        ("conv3d/kernel:0", (3, 3, 3, 1, 8)): "conv3d",
        ("layers/functional/layers/depthwise_conv2d/vars/0", (3, 3, 8, 1)): "conv2d",
        ("layers/separable_conv2d/vars/1", (1, 1, 8, 16)): "conv2d",
        ("net/weight", (4, 3)): None,
        ("norm/gamma:0", (4,)): None,
    }
    for (name, shape), kind in cases.items():
        assert keras_kind(name, {name: shape})[0] == kind, name


def test_odd_datasets_are_skipped_and_the_rest_is_read(tmp_path: Path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["good"] = np.eye(3)
        file["compressed"] = file.create_dataset("packed", data=np.ones((64, 64)), chunks=(16, 64), compression="gzip", shuffle=True)
        file["compound"] = np.zeros(3, dtype=[("a", "f4")])
        file["enum"] = np.array([True])
        file.create_dataset("text", data="hello")
        file.create_dataset("vlen", (2,), dtype=h5py.vlen_dtype(np.float32))
        file.create_dataset("reference", (2,), dtype=h5py.ref_dtype)
        file["nothing"] = h5py.Empty("f4")
        file["scalar"] = 1.5
        file["zero"] = np.zeros((0, 4))
        file["whole"] = np.arange(4)
        file["complex"] = np.ones(2, complex)
        file["big_endian"] = np.arange(4, dtype=">f4")
        file["extended"] = np.ones(2, np.longdouble)
    checkpoint = open_hdf5(tmp_path / "m.h5")
    assert [spec.name for spec in checkpoint.specs] == ["big_endian", "compressed", "good", "scalar"]
    assert {skip.layer for skip in checkpoint.skips} == {
        "compound",
        "enum",
        "text",
        "vlen",
        "reference",
        "nothing",
        "whole",
        "complex",
        "extended",
        "zero",
    }
    assert next(spec for spec in checkpoint.specs if spec.name == "compressed").aliases == ("packed",)
    np.testing.assert_array_equal(checkpoint.read("compressed"), np.ones((64, 64)))
    np.testing.assert_array_equal(checkpoint.read("big_endian"), np.arange(4))
    assert checkpoint.read("scalar").shape == ()
    checkpoint.close()


def test_large_tensors_are_streamed(tmp_path: Path):
    values = np.arange(12_000_000, dtype="f4").reshape(3000, 4000)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("w", data=values, chunks=(700, 4000))
    with open_hdf5(tmp_path / "m.h5")._reader:
        pass
    checkpoint = open_hdf5(tmp_path / "m.h5")
    np.testing.assert_array_equal(checkpoint.read("w"), values)
    checkpoint.close()


def test_loops_and_dangling_links_end(tmp_path: Path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        group = file.create_group("a")
        group["w"] = np.eye(2)
        group["self"] = group
        group["up"] = file["/"]
        file["again"] = group
        file["soft"] = h5py.SoftLink("/soft")
        file["soft_cycle"] = h5py.SoftLink("/a/self")
        file["dangling"] = h5py.SoftLink("/nowhere")
    checkpoint = open_hdf5(tmp_path / "m.h5")
    assert [spec.name for spec in checkpoint.specs] == ["a/w"]
    assert "3 soft links" in checkpoint.notes[0]
    checkpoint.close()


def external_link(file: h5py.File, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    file["link"] = h5py.ExternalLink(str(folder / "pipe"), "/w")


def external_link_in_the_optimizer(file: h5py.File, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    file["optimizer/vars/0"] = h5py.ExternalLink(str(folder / "pipe"), "/w")


def external_storage(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(np.full(4, 1234.5).tobytes())
    file.create_dataset("w", (4,), dtype="f8", external=[(str(folder / "secret"), 0, 32)])


def virtual_dataset(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "secret.h5", "w") as other:
        other["w"] = np.full((1, 4), 1234.5)
    layout = h5py.VirtualLayout((1, 4), "f8")
    layout[0] = h5py.VirtualSource(str(folder / "secret.h5"), "w", (1, 4))[0]
    file.create_virtual_dataset("w", layout)


def shape_bomb(file: h5py.File, folder: Path) -> None:
    file.create_dataset("w", (10**6, 495_000), dtype="f8", chunks=(1000, 1000), compression="gzip")


def contiguous_bomb(file: h5py.File, folder: Path) -> None:
    file.create_dataset("w", (10**6, 10**6), dtype="f8")


def one_huge_chunk(file: h5py.File, folder: Path) -> None:
    file.create_dataset("w", (150_000_000,), dtype="f4", chunks=(150_000_000,), compression="gzip", fillvalue=0)
    file["w"].id.write_direct_chunk((0,), b"\0" * 2_000_000)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (external_link, UnsafeInput, "external link"),
        (external_link_in_the_optimizer, UnsafeInput, "external link"),
        (external_storage, UnsafeInput, "external storage"),
        (virtual_dataset, UnsafeInput, "virtual"),
        (shape_bomb, LimitExceeded, "promises 3960000000000 bytes"),
        (contiguous_bomb, LimitExceeded, "promises 8000000000000 bytes"),
        (one_huge_chunk, LimitExceeded, "chunks of 600000000 bytes"),
    ],
)
def test_hostile_hdf5(tmp_path: Path, build, error: type[GenscopeError], words: str):
    folder = tmp_path / "outside"
    folder.mkdir()
    with h5py.File(tmp_path / "m.h5", "w") as file:
        build(file, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(error, match=words) as caught:
        open_hdf5(tmp_path / "m.h5")
    assert "m.h5" in str(caught.value)
    assert "1234.5" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_an_unknown_filter_is_never_loaded(tmp_path: Path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["good"] = np.eye(2)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, plist)
        file["w"].id.write_direct_chunk((0,), b"\0" * 16)
    checkpoint = open_hdf5(tmp_path / "m.h5")
    assert [spec.name for spec in checkpoint.specs] == ["good"]
    assert "filter 32015, a plug-in that is never loaded" in checkpoint.skips[0].reason
    checkpoint.close()


@pytest.mark.parametrize("raw", [b"", b"\x89HDF\r\n\x1a\n", b"hello" * 100, b"\x89HDF\r\n\x1a\n" + b"\xff" * 3000])
def test_not_hdf5(tmp_path: Path, raw: bytes):
    (tmp_path / "m.h5").write_bytes(raw)
    with pytest.raises(CorruptInput, match=r"m\.h5 is (not an HDF5 file|damaged)"):
        open_hdf5(tmp_path / "m.h5")


def test_a_damaged_tensor_does_not_stop_the_others(tmp_path: Path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["good"] = np.eye(2)
        file.create_dataset("bad", data=np.random.default_rng(0).standard_normal((32, 32)), chunks=(32, 32), compression="gzip")
        at = file["bad"].id.get_chunk_info(0).byte_offset
    raw = bytearray((tmp_path / "m.h5").read_bytes())
    raw[at : at + 64] = b"\xff" * 64
    (tmp_path / "m.h5").write_bytes(bytes(raw))
    checkpoint = open_hdf5(tmp_path / "m.h5")
    with pytest.raises(CorruptInput, match=r"^m\.h5: "):
        checkpoint.read("bad")
    np.testing.assert_array_equal(checkpoint.read("good"), np.eye(2))
    checkpoint.close()


def test_a_file_changed_under_the_reader_is_noticed(tmp_path: Path):
    legacy_keras(tmp_path / "m.h5")
    checkpoint = open_hdf5(tmp_path / "m.h5")
    with open(tmp_path / "m.h5", "ab") as file:
        file.write(b"more")
    with pytest.raises(CorruptInput, match="changed while it was being read"):
        checkpoint.read("dense/kernel:0")
    checkpoint.close()


def test_a_file_replaced_by_another_keeps_its_content(tmp_path: Path):
    weights = legacy_keras(tmp_path / "m.h5")
    checkpoint = open_hdf5(tmp_path / "m.h5")
    legacy_keras(tmp_path / "new.h5")
    (tmp_path / "new.h5").rename(tmp_path / "m.h5")
    np.testing.assert_array_equal(checkpoint.read("dense/kernel:0"), weights["dense/kernel:0"])
    checkpoint.close()


def test_too_many_datasets(tmp_path: Path):
    legacy_keras(tmp_path / "m.h5")
    with pytest.raises(LimitExceeded, match="more than 3 datasets"):
        open_hdf5(tmp_path / "m.h5", Limits(n_tensors=3))


def test_without_h5py_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    legacy_keras(tmp_path / "m.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UnsupportedInput, match=r"install genscope\[keras\]"):
        open_hdf5(tmp_path / "m.h5")


@pytest.mark.data
def test_real_keras_file_equals_its_safetensors_twin(real_data: Path):
    from safetensors.numpy import load_file

    folder = real_data / "keras-xception"
    checkpoint = open_hdf5(folder / "original" / "fer2013_mini_XCEPTION.51-0.63.hdf5")
    twin = load_file(folder / "fer2013_mini_XCEPTION.51-0.63.safetensors")
    assert {spec.name for spec in checkpoint.specs} == set(twin)
    for name, values in twin.items():
        np.testing.assert_array_equal(checkpoint.read(name), values)
    assert "105 optimizer" in checkpoint.notes[0]
    checkpoint.close()
    other = open_hdf5(folder / "original" / "tiny_XCEPTION_KDEF.hdf5")
    assert len(other.specs) == 80
    other.close()


def singular_values(specs: Sequence[TensorSpec], read: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """Singular values by view, of every matrix the layers make."""
    found = {}
    for matrix in plan_matrices(specs, ViewOptions()).matrices:
        stack = build_matrix(matrix, {name: read(name) for name in matrix.tensors}).stack
        assert stack is not None
        found[f"{matrix.kind} {matrix.view}"] = np.sort(np.linalg.svd(stack.astype("f8"), compute_uv=False).ravel())
    return found


@pytest.mark.parametrize(
    ("keras_name", "keras_shape", "torch_name", "axes"),
    [
        ("dense/kernel:0", (6, 4), "fc.weight", (1, 0)),
        ("conv2d/kernel:0", (3, 3, 4, 5), "conv.weight", (3, 2, 0, 1)),
        ("conv1d/kernel:0", (3, 4, 5), "conv.weight", (2, 1, 0)),
        ("conv2d_transpose/kernel:0", (3, 3, 5, 4), "deconv.weight", (3, 2, 0, 1)),
        ("emb/embeddings:0", (10, 3), "emb.weight", (0, 1)),
        ("layers/dense/vars/0", (6, 4), "fc.weight", (1, 0)),
    ],
)
def test_a_keras_layer_has_the_spectrum_of_its_torch_twin(tmp_path: Path, keras_name: str, keras_shape: tuple[int, ...], torch_name: str, axes):
    values = RNG.standard_normal(keras_shape).astype("f4")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file[f"model_weights/{keras_name}" if ":" in keras_name else keras_name] = values
    checkpoint = open_hdf5(tmp_path / "m.h5")
    ours = singular_values(checkpoint.specs, checkpoint.read)
    twin = np.ascontiguousarray(values.transpose(axes))
    theirs = singular_values([TensorSpec(torch_name, twin.shape, "float32", twin.nbytes)], lambda _: twin)
    assert set(ours) == set(theirs)
    for view, expected in theirs.items():
        np.testing.assert_allclose(ours[view], expected, rtol=1e-6)
    checkpoint.close()
