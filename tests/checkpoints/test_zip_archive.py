import io
import struct
import zipfile

import pytest

from genscope.checkpoints import zip_archive
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import open_input
from genscope.errors import CorruptInput, LimitExceeded, UnsafeInput


def made(tmp_path, members, compression=zipfile.ZIP_STORED, name="a.zip"):
    with zipfile.ZipFile(tmp_path / name, "w", compression) as file:
        for member, data in members.items():
            with file.open(member, "w", force_zip64=member.startswith("big")) as stream:
                stream.write(data)
    return open_input(tmp_path / name)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_back(compression, tmp_path):
    members = {"a/b": b"x" * 1000, "empty": b"", "bigger": b"y" * 10, "ü": b"z"}
    file = made(tmp_path, members, compression)
    held = zip_archive.read_directory(file, Limits())
    assert {name: zip_archive.read_member(file, member, Limits()) for name, member in held.items()} == members
    zip_archive.verify_members(file, held, Limits())


def test_comment_and_streamed_archives(tmp_path):
    class Pipe(io.BytesIO):
        """A stream that cannot seek: sizes come after the data."""

        def tell(self):
            raise OSError

        def seekable(self):
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        file.writestr("a", b"hello")
        file.comment = b"made by hand"
    (tmp_path / "s.zip").write_bytes(pipe.getvalue())
    file = open_input(tmp_path / "s.zip")
    held = zip_archive.read_directory(file, Limits())
    assert zip_archive.read_member(file, held["a"], Limits()) == b"hello"


def test_overlapping_members_are_refused(tmp_path):
    file = made(tmp_path, {"a": b"1" * 100, "b": b"2" * 100})
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    # The first member claims the bytes of the second too, in both its headers.
    central = raw.find(b"PK\x01\x02")
    for at in (18, 22):
        raw[at : at + 4] = struct.pack("<I", 200)
    for at in (20, 24):
        raw[central + at : central + at + 4] = struct.pack("<I", 200)
    (tmp_path / "o.zip").write_bytes(raw)
    with pytest.raises(UnsafeInput, match="overlaps"):
        zip_archive.read_directory(open_input(tmp_path / "o.zip"), Limits())
    assert file.size == len(raw)


def test_wrong_checksum_and_wrong_unfolded_size(tmp_path):
    made(tmp_path, {"a": b"12345" * 100}, zipfile.ZIP_DEFLATED)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    central = raw.find(b"PK\x01\x02")
    for at, where in ((14, 0), (16, central)):
        raw[where + at] ^= 1
    (tmp_path / "c.zip").write_bytes(raw)
    file = open_input(tmp_path / "c.zip")
    held = zip_archive.read_directory(file, Limits())
    with pytest.raises(CorruptInput, match="checksum"):
        zip_archive.verify_members(file, held, Limits())
    for size, word in ((499, "more"), (501, "less")):
        for at, where in ((22, 0), (24, central)):
            raw[where + at : where + at + 4] = struct.pack("<I", size)
        (tmp_path / "d.zip").write_bytes(raw)
        file = open_input(tmp_path / "d.zip")
        member = zip_archive.read_directory(file, Limits())["a"]
        with pytest.raises(CorruptInput, match=word):
            zip_archive.read_member(file, member, Limits())


def test_member_count_is_limited(tmp_path):
    with pytest.raises(LimitExceeded, match="zip_members"):
        zip_archive.read_directory(made(tmp_path, {str(i): b"" for i in range(20)}), Limits(zip_members=10))
