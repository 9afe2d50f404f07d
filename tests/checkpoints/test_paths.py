import os
import socket
import time

import pytest

from genscope.checkpoints import paths
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, UnsafeInput, UnsupportedInput


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "ok").write_bytes(b"inside")
    (folder / "sub" / "deep").write_bytes(b"deep")
    (tmp_path / "secret").write_bytes(b"1234.5")
    return folder


def content(fd):
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


BAD = [
    "../secret",
    "/etc/passwd",
    "sub/../../secret",
    "..\\secret",
    "%2e%2e/secret",
    "",
    ".",
    "..",
    "a\0b",
    3,
    None,
    ["ok"],
    "x" * 256,
    "C:x",
    "sub/deep",
]


@pytest.mark.parametrize("name", BAD, ids=repr)
def test_names_that_could_lead_out_are_refused_before_opening(name, root, monkeypatch):
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("opened something"))
    with pytest.raises(UnsafeInput):
        paths.open_inside(root, name)


def test_plain_names_open(root):
    assert content(paths.open_inside(root, "ok")) == b"inside"
    assert content(paths.open_relative_inside(root, "sub/deep")) == b"deep"


@pytest.mark.parametrize("name", ["../secret", "/x", "sub/../../secret", "sub//deep", "./ok", "sub/.."])
def test_relative_names_are_checked_part_by_part(name, root):
    with pytest.raises(UnsafeInput):
        paths.open_relative_inside(root, name)


def test_links_inside_are_followed_and_links_outside_are_not(root, tmp_path):
    (root / "near").symlink_to("ok")
    (root / "far").symlink_to("../secret")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "chain").symlink_to("near")
    (root / "loop").symlink_to("loop")
    (root / "linked_folder").symlink_to(tmp_path)
    assert content(paths.open_inside(root, "near")) == b"inside"
    assert content(paths.open_inside(root, "chain")) == b"inside"
    for name in ("far", "absolute", "loop", "linked_folder/secret"):
        with pytest.raises(UnsafeInput):
            paths.open_relative_inside(root, name)


def test_hard_links_are_allowed(root, tmp_path):
    os.link(tmp_path / "secret", root / "hard")
    assert content(paths.open_inside(root, "hard")) == b"1234.5"


def cache(tmp_path):
    entry = tmp_path / "models--org--name"
    snapshot = entry / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (entry / "blobs").mkdir()
    (entry / "blobs" / "b1").write_bytes(b"blob")
    (snapshot / "w").symlink_to("../../blobs/b1")
    return entry, snapshot


def test_cache_snapshot_may_point_into_its_own_blobs_only(tmp_path):
    entry, snapshot = cache(tmp_path)
    other = tmp_path / "models--org--other" / "blobs"
    other.mkdir(parents=True)
    (other / "b2").write_bytes(b"1234.5")
    (snapshot / "stolen").symlink_to("../../../models--org--other/blobs/b2")
    (entry / "blobs" / "sub").mkdir()
    (entry / "blobs" / "sub" / "b3").write_bytes(b"1234.5")
    (snapshot / "below").symlink_to("../../blobs/sub/b3")
    (entry / "blobs" / "hop").symlink_to(other / "b2")
    (snapshot / "hopped").symlink_to("../../blobs/hop")
    assert content(paths.open_inside(snapshot, "w")) == b"blob"
    assert content(paths.open_inside(str(snapshot) + "/", "w")) == b"blob"
    for name in ("stolen", "below", "hopped"):
        with pytest.raises(UnsafeInput):
            paths.open_inside(snapshot, name)


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_other_than_regular_files_are_refused_at_once(kind, root, monkeypatch):
    name = "odd"
    if kind == "fifo":
        os.mkfifo(root / name)
    elif kind == "folder":
        (root / name).mkdir()
    else:
        held = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(root)
        held.bind(name)
        held.close()
    started = time.monotonic()
    with pytest.raises(GenscopeError, match=r"not a regular file|odd"):
        os.close(paths.open_inside(root, name))
    with pytest.raises(GenscopeError):
        open_checkpoint(root / name)
    assert time.monotonic() - started < 1


def test_device_is_refused():
    with pytest.raises(UnsupportedInput, match="not a regular file"):
        open_checkpoint("/dev/zero")


def test_user_may_type_any_link_but_not_a_loop(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root / "ok")
    assert paths.open_input(link).pread(0, 6) == b"inside"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UnsafeInput, match="loop"):
        open_checkpoint(loop)


def test_unreadable_file_is_said(root, monkeypatch):
    real = os.open

    def denied(path, *args, **options):
        if str(path).endswith("ok"):
            raise PermissionError(13, "denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(UnsupportedInput, match="permission denied"):
        paths.open_input(root / "ok")


@pytest.mark.parametrize("name", ["with space.bin", "-leading-dash.bin", "new\nline.bin", os.fsdecode(b"\xff\xfe.bin")])
def test_odd_file_names_give_one_clean_line(name, tmp_path):
    (tmp_path / name).write_bytes(b"nothing known")
    with pytest.raises(GenscopeError) as refusal:
        open_checkpoint(tmp_path / name)
    text = str(refusal.value)
    assert "\n" not in text and text.encode("utf-8")


def test_short_reads_and_reopening(root):
    file = paths.open_input(root / "ok")
    with pytest.raises(CorruptInput, match="incomplete"):
        file.pread(2, 100)
    file.release()
    assert file.pread(0, 2) == b"in"
    file.release()
    (root / "ok").write_bytes(b"another content")
    with pytest.raises(CorruptInput, match="changed"):
        file.pread(0, 2)


def test_missing_path_is_said():
    for name in ("nowhere/at/all.pt", "missing.safetensors", "a\0b", ""):
        with pytest.raises(GenscopeError):
            open_checkpoint(name)
