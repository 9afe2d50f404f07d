"""Seeded mutations of valid files: every reader ends in a checkpoint or in one of our own errors, whatever the bytes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import gguf
import h5py
import numpy as np
import pytest
from onnx import helper, numpy_helper

from genscope.checkpoints.gguf_file import open_gguf
from genscope.checkpoints.hdf5 import open_hdf5
from genscope.checkpoints.keras_archive import open_keras
from genscope.checkpoints.numpy_file import open_numpy
from genscope.checkpoints.onnx_file import open_onnx
from genscope.core.tensors import Checkpoint
from genscope.errors import GenscopeError

WEIGHT = np.random.default_rng(0).standard_normal((8, 32)).astype("f4")


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, WEIGHT)
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, a=WEIGHT, b=WEIGHT[0], c=np.arange(3))
    return stream.getvalue()


def hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = WEIGHT
        file.create_dataset("layers/conv/vars/0", data=WEIGHT, chunks=(4, 32), compression="gzip")
        file["optimizer/vars/0"] = WEIGHT
        file["soft"] = h5py.SoftLink("/layers")
    return stream.getvalue()


def keras() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("model.weights.h5", hdf5())
    return stream.getvalue()


def onnx_model() -> bytes:
    tensors = [numpy_helper.from_array(WEIGHT, "w"), helper.make_tensor("t", 10, (2, 2), [1.0, 2.0, 3.0, 4.0])]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Conv", ["x", "t"], ["z"], group=2, strides=[1, 1])]
    return helper.make_model(helper.make_graph(nodes, "g", [], [], initializer=tensors)).SerializeToString()


def gguf_model(tmp_path: Path) -> bytes:
    path = tmp_path / "seed.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokens", ["a", "b"])
    writer.add_uint32("general.alignment", 32)
    writer.add_tensor("w", WEIGHT)
    writer.add_tensor("q", gguf.quants.quantize(WEIGHT, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def mutate(raw: bytes, rng: np.random.Generator, header: int) -> bytes:
    """One to eight edits, most of them where the structure is: bytes, numbers of all sizes, cuts, repeats."""
    data = bytearray(raw)
    for _ in range(rng.integers(1, 9)):
        reach = min(header, len(data)) if rng.random() < 0.7 else len(data)
        if reach < 1:
            break
        at = int(rng.integers(reach))
        kind = rng.integers(6)
        if kind == 0:
            data[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            data[at] = rng.integers(256)
        elif kind == 2:
            number = (0, 1, 2**31 - 1, 2**32 - 1, 2**62, 2**63, 2**64 - 1)[rng.integers(7)]
            data[at : at + 8] = number.to_bytes(8, "little")
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 64))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
        else:
            del data[max(at, len(data) // 2) :]
    return bytes(data)


def opened_or_refused(opener: Callable[[Path], Checkpoint], path: Path) -> bool:
    """Whether the file was accepted; anything but our own errors fails the test."""
    try:
        checkpoint = opener(path)
    except GenscopeError as error:
        assert str(error) and "\n" not in str(error)
        return False
    try:
        for spec in list(checkpoint.specs)[:8]:
            try:
                values = checkpoint.read(spec.name)
            except GenscopeError as error:
                assert str(error) and "\n" not in str(error)
                continue
            assert values.shape == spec.shape
            assert values.dtype in (np.float32, np.float64)
    finally:
        checkpoint.close()
    return True


CASES = {
    "npy": (lambda _: npy(), open_numpy, 400, 140),
    "npz": (lambda _: npz(), open_numpy, 400, 10**6),
    "onnx": (lambda _: onnx_model(), open_onnx, 600, 10**6),
    "gguf": (gguf_model, open_gguf, 600, 320),
    "hdf5": (lambda _: hdf5(), open_hdf5, 25, 6000),
    "keras": (lambda _: keras(), open_keras, 15, 6000),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_mutated_files_end_in_a_checkpoint_or_a_sentence(tmp_path: Path, case: str):
    build, opener, n_inputs, header = CASES[case]
    seed = build(tmp_path)
    rng = np.random.default_rng(20)
    path = tmp_path / "mutated.bin"
    path.write_bytes(seed)
    assert opened_or_refused(opener, path)
    accepted = 0
    for _ in range(n_inputs):
        path.write_bytes(mutate(seed, rng, header))
        accepted += opened_or_refused(opener, path)
    assert accepted < n_inputs


def test_the_hdf5_walk_on_many_mutations_in_one_process(tmp_path: Path):
    """The child's own code, called directly where a fresh process for each file would take minutes."""
    import os

    from genscope.checkpoints import hdf5_walk

    seed = hdf5()
    rng = np.random.default_rng(21)
    limits = {"n_tensors": 1000, "ndim": 32, "elements": 2**48, "inflate_ratio": 1100, "chunk_bytes": 512 * 10**6}
    path = tmp_path / "m.h5"
    outcomes = set()
    for _ in range(300):
        path.write_bytes(mutate(seed, rng, 6000))
        fd = os.open(path, os.O_RDONLY)
        try:
            listed = hdf5_walk.list_datasets(fd, start=0, size=os.fstat(fd).st_size, limits=limits, hidden=["optimizer"])
            outcomes.add("listed")
            assert all(set(entry) >= {"path", "shape"} for entry in listed["datasets"])
        except (GenscopeError, OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            outcomes.add(type(error).__name__)
        finally:
            for file in hdf5_walk._files.values():
                file.close()
            hdf5_walk._files.clear()
            os.close(fd)
    assert "listed" in outcomes and len(outcomes) > 1
