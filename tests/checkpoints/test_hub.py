import numpy as np
import pytest
from safetensors.numpy import save_file

from genscope.checkpoints import hub
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, UnsupportedInput

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    entry = tmp_path / "home" / "hub" / "models--org--model"
    (entry / "blobs").mkdir(parents=True)
    for value, revision in enumerate((OLD, NEW)):
        snapshot = entry / "snapshots" / revision
        snapshot.mkdir(parents=True)
        save_file({"w": np.full((1,), value, "f4")}, entry / "blobs" / f"sha{value}")
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/sha{value}")
    (entry / "refs" / "pr").mkdir(parents=True)
    (entry / "refs" / "main").write_text(NEW)
    (entry / "refs" / "pr" / "1").write_text(OLD)
    return entry


@pytest.mark.parametrize(("name", "value"), [("", 1), ("@main", 1), (f"@{OLD}", 0), ("@aaaaaaaa", 0), ("@pr/1", 0)])
def test_name_and_revision(name, value, cache):
    checkpoint = open_checkpoint(f"org/model{name}")
    assert checkpoint.read("w").tolist() == [value]


def test_the_variables_of_the_library_are_followed(cache, monkeypatch, tmp_path):
    hub_folder = str(tmp_path / "home" / "hub")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(UnsupportedInput):
        open_checkpoint("org/model")
    monkeypatch.setenv("HF_HUB_CACHE", hub_folder)
    assert hub.resolve_name("org/model").endswith(NEW)


def test_whole_cache_entry_as_a_folder(cache):
    assert open_checkpoint(cache).read("w").tolist() == [1]


@pytest.mark.parametrize("name", ["org/absent", "org/model@v9", "org/model@dddddddd"])
def test_what_is_not_there_is_said_without_the_network(name, cache, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *a, **k: pytest.fail("network"))
    with pytest.raises(UnsupportedInput, match="local") as refusal:
        open_checkpoint(name)
    assert str(cache) not in str(refusal.value)


def test_reference_that_leads_out_is_refused(cache):
    (cache / "refs" / "main").write_text("../../../../etc")
    with pytest.raises(CorruptInput, match="no commit"):
        open_checkpoint("org/model")


def test_a_path_comes_before_a_name(cache, tmp_path):
    (tmp_path / "org" / "model").mkdir(parents=True)
    save_file({"w": np.full((1,), 7, "f4")}, tmp_path / "org" / "model" / "model.safetensors")
    assert open_checkpoint("org/model").read("w").tolist() == [7]


@pytest.mark.parametrize("name", ["a/b/c", "../x", "x", "/a/b", "org/..", "org/model.safetensors"])
def test_other_texts_are_paths(name, cache):
    assert hub.resolve_name(name) is None
