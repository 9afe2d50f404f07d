"""Arrays as bytes, sealed texts, claims: what stores are built from."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from genscope.core.arrays import WORDS, packed, unpacked
from genscope.core.claims import claimed, is_claimed
from genscope.core.files import write_atomically
from genscope.core.sealed import read_regular, sealed, unsealed
from genscope.errors import StoreError

ARRAYS = st.sampled_from(sorted(WORDS)).flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))


@given(st.dictionaries(st.text(min_size=1, max_size=6), ARRAYS, max_size=4))
def test_arrays_come_back_exactly(arrays: dict[str, np.ndarray]) -> None:
    found = unpacked(packed(arrays))
    assert set(found) == set(arrays) - {"__metadata__"}
    for name, array in found.items():
        assert array.dtype == arrays[name].dtype and array.shape == arrays[name].shape
        assert array.tobytes() == np.ascontiguousarray(arrays[name]).tobytes()


def test_the_bytes_are_a_safetensors_file(tmp_path: Path) -> None:
    reader = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    arrays = {"b": np.arange(6).reshape(2, 3), "a": np.float32([1.5]), "c": np.array([True, False])}
    found = reader.load(packed(arrays))
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays) and packed(found) == packed(arrays)


@given(st.binary(max_size=200))
def test_any_bytes_are_arrays_or_a_value_error(raw: bytes) -> None:
    try:
        unpacked(raw)
    except ValueError:
        return


@pytest.mark.parametrize("cut", [0, 7, 30, -1])
def test_cut_arrays_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(packed({"walk": np.arange(50.0)})[:cut])


def test_objects_and_complex_numbers_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'z' holds complex128"):
        packed({"z": np.zeros(2, complex)})


@given(st.text(), st.integers(0, 400))
def test_a_sealed_text_changed_anywhere_is_refused(text: str, place: int) -> None:
    held = sealed(text)
    assert unsealed(held) == text
    place %= len(held)
    changed = held[:place] + ("x" if held[place] != "x" else "y") + held[place + 1 :]
    with pytest.raises(ValueError, match="checksum"):
        unsealed(changed)


def test_links_and_pipes_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(__file__)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"."):
            read_regular(tmp_path / name)


def test_a_claim_excludes_others_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "cell"
    with claimed(path) as first, claimed(path) as second:
        assert first and not second and is_claimed(path)
    assert not path.exists() and not is_claimed(path)
    path.write_text("left by a killed process")
    with claimed(path) as mine:
        assert mine
    assert not path.exists()


def test_waiting_claims_come_one_after_another(tmp_path: Path) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with claimed(tmp_path / "cell", wait=True) as mine:
                assert mine
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1 and not (tmp_path / "cell").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be made"), claimed(tmp_path / "file" / "cell"):
        pass


def test_without_durability_the_file_is_still_whole_or_old(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "one", durable=False)
    write_atomically(tmp_path / "a", "two", durable=False)
    assert (tmp_path / "a").read_text() == "two" and [path.name for path in tmp_path.iterdir()] == ["a"]
