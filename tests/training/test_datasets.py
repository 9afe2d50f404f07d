"""Official data formats built byte by byte; damaged and hostile ones end in one sentence."""

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput, UsageError
from genscope.training.datasets.cifar import load_cifar10, load_cifar100, parse_pickle, parse_records
from genscope.training.datasets.files import read_bytes
from genscope.training.datasets.idx import load_mnist, parse_idx
from genscope.training.datasets.labelled import Labelled
from genscope.training.datasets.open import is_dataset, open_dataset
from genscope.training.datasets.svhn import load_svhn, parse_mat
from genscope.training.datasets.tables import load_csv, load_npz

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 20)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.astype(np.uint8).tobytes()


def batch(labels: Any = None, data: Any = None, protocol: int = 2) -> bytes:
    numbers = [int(v) for v in LABELS] if labels is None else labels
    return pickle.dumps({b"data": PIXELS.reshape(20, -1) if data is None else data, b"labels": numbers, b"filenames": [b"x"] * 20}, protocol=protocol)


def same(found: Labelled) -> None:
    np.testing.assert_array_equal((found.x * 255).round().astype(np.uint8), PIXELS)
    np.testing.assert_array_equal(found.y, LABELS)
    assert found.x.dtype == np.float32 and found.y.dtype == np.int64


def test_mnist_plain_and_gzip(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(7)))
    split = load_mnist(tmp_path)
    assert split.train.x.shape == (7, 1, 28, 28) and split.test is None
    np.testing.assert_allclose(split.train.x[:, 0] * 255, images, atol=1e-4)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:3]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(3)))
    test = open_dataset(f"fashion-mnist:{tmp_path}").test
    assert test is not None and len(test) == 3


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG", "not an idx file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 0]), "unsigned bytes"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends inside its header"),
        (bytes([0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1]), "promises"),
        (idx(np.arange(5)) + b"x", "promises 5 bytes"),
    ],
)
def test_damaged_idx(raw: bytes, sentence: str) -> None:
    with pytest.raises(GenscopeError, match=sentence):
        parse_idx(raw, "file")


def test_cifar_binary_and_pickled_are_the_same(tmp_path: Path) -> None:
    records = b"".join(bytes([int(label)]) + image.tobytes() for label, image in zip(LABELS, PIXELS, strict=True))
    same(parse_records(records, "b", 10, 1))
    for protocol in (0, 1, 2, 4, 5):
        same(parse_pickle(batch(protocol=protocol), "p", 10, "labels"))
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}").write_bytes(batch())
    (tmp_path / "test_batch").write_bytes(batch())
    split = open_dataset(f"cifar10:{tmp_path}")
    assert len(split.train) == 100 and split.test is not None
    same(split.test)


def test_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(b"".join(bytes([7, 42]) + image.tobytes() for image in PIXELS))
    assert set(load_cifar100(tmp_path).train.y.tolist()) == {42}
    (tmp_path / "train.bin").unlink()
    raw = pickle.dumps({b"data": PIXELS.reshape(20, -1), b"fine_labels": [99] * 20, b"coarse_labels": [1] * 20}, protocol=2)
    (tmp_path / "train").write_bytes(raw)
    assert set(load_cifar100(tmp_path).train.y.tolist()) == {99}


def test_a_python_2_batch_is_read() -> None:
    # As the official files: text opcodes (U) for keys and for the array's bytes.
    pixels = PIXELS[:2].reshape(2, -1)
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
    array += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + (6144).to_bytes(4, "little") + pixels.tobytes() + b"tb"
    raw = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x03K\x09eu."
    found = parse_pickle(raw, "data_batch_1", 10, "labels")
    np.testing.assert_array_equal((found.x * 255).round().astype(np.uint8), PIXELS[:2])
    assert found.y.tolist() == [3, 9]


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "was-here"
    evil = pickle.dumps({"data": Bomb(marker), "labels": [1]})
    with pytest.raises(GenscopeError):
        parse_pickle(evil, "evil", 10, "labels")
    assert not marker.exists()
    pickle.loads(evil)
    assert marker.exists(), "the pickle must be able to do harm, or this test proves nothing"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (batch(labels=[11] * 20), "labels from 11"),
        (batch(labels=[1] * 19), "20 images but 19 labels"),
        (batch(labels=["a"] * 20), "no list of integers"),
        (batch(data=PIXELS.reshape(20, -1)[:, :100]), "no array"),
        (batch(data=PIXELS.reshape(20, -1).astype(float)), "no array"),
        (pickle.dumps([1, 2]), "no dictionary"),
        (batch()[:-200], "asks for|ends"),
        (b"", "asks for|ends|left"),
    ],
)
def test_damaged_cifar_pickles(raw: bytes, sentence: str) -> None:
    with pytest.raises(GenscopeError, match=sentence):
        parse_pickle(raw, "data_batch_1", 10, "labels")


def test_damaged_cifar_records_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(CorruptInput, match="whole number"):
        parse_records(b"123", "data_batch_1.bin", 10, 1)
    with pytest.raises(UnsupportedInput, match="none of the CIFAR-10"):
        load_cifar10(tmp_path)
    with pytest.raises(UnsupportedInput, match="give the folder"):
        load_cifar10(tmp_path / "nowhere")


def test_svhn(tmp_path: Path) -> None:
    labels = np.where(LABELS == 0, 10, LABELS).astype(np.uint8)
    savemat(tmp_path / "train_32x32.mat", {"X": PIXELS.transpose(2, 3, 1, 0), "y": labels[:, None]})
    same(load_svhn(tmp_path).train)
    raw = (tmp_path / "train_32x32.mat").read_bytes()
    for cut in (300, 5000, len(raw) - 9):
        with pytest.raises(GenscopeError):
            parse_mat(raw[:cut], "train_32x32.mat")
    with pytest.raises(UnsupportedInput, match="MATLAB 5"):
        parse_mat(b"\x89HDF" + bytes(200), "train_32x32.mat")
    savemat(tmp_path / "other.mat", {"X": PIXELS, "y": labels})
    with pytest.raises(CorruptInput, match="X is no array"):
        parse_mat((tmp_path / "other.mat").read_bytes(), "other.mat")


def test_npz_and_csv(tmp_path: Path) -> None:
    x = RNG.standard_normal((6, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6) % 2)
    np.testing.assert_array_equal(load_npz(tmp_path / "a.npz").train.x, x)
    np.savez(tmp_path / "b.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:4], y_test=LABELS[:4])
    split = open_dataset(str(tmp_path / "b.npz"))
    same(split.train)
    assert split.test is not None and len(split.test) == 4
    (tmp_path / "c.csv").write_text("a,b,label\n1,2.5,cat\n3,4,dog\n")
    found = load_csv(tmp_path / "c.csv").train
    assert found.x.tolist() == [[1.0, 2.5], [3.0, 4.0]] and found.y.tolist() == [0, 1]


def test_damaged_tables(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.ones(3))
    with pytest.raises(UnsupportedInput, match="holds weights"):
        load_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.ones((3, 2)), y=np.array([0.5, 1, 0]))
    with pytest.raises(CorruptInput, match="whole numbers"):
        load_npz(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=np.array([{}], dtype=object), y=np.array([1]))
    with pytest.raises(GenscopeError):
        load_npz(tmp_path / "c.npz")
    (tmp_path / "d.csv").write_text("a,label\nred,1\n")
    with pytest.raises(CorruptInput, match="'a' holds text"):
        load_csv(tmp_path / "d.csv")
    (tmp_path / "e.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptInput):
        load_csv(tmp_path / "e.csv")


def test_files_have_a_limit_and_gzip_bombs_stop(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(LimitExceeded, match="unpacks to more"):
        read_bytes(tmp_path / "bomb.gz", largest=10**6)
    (tmp_path / "short.gz").write_bytes(gzip.compress(b"hello" * 100)[:-12])
    with pytest.raises(CorruptInput, match="gzip"):
        read_bytes(tmp_path / "short.gz")


def test_the_door(tmp_path: Path) -> None:
    assert is_dataset("digits") and is_dataset("cifar10:/x") and is_dataset("a.npz") and not is_dataset("pkg.mod:factory")
    with pytest.raises(UsageError, match="cifar10:FOLDER"):
        open_dataset("imagenet")
    pytest.importorskip("sklearn")
    digits = open_dataset("digits")
    assert digits.train.x.shape == (1000, 1, 8, 8) and digits.test is not None and len(digits.test) == 797


def test_channel_statistics() -> None:
    scaled = Labelled(np.ones((2, 3, 4, 4), dtype=np.float32), np.zeros(2, dtype=np.int64)).scaled((0.5, 0.0, 1.0), (0.5, 2.0, 1.0))
    assert scaled.x[0, :, 0, 0].tolist() == [1.0, 0.5, 0.0] and scaled.x.dtype == np.float32
