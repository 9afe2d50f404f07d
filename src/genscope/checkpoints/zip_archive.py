"""Zip archives read by position, with everything refused that two readers could see differently.

Members must not be encrypted, duplicated, overlapping or described differently by the local header and the central directory; nothing
may stand before the first member or after the end record. Values are stored plainly, or deflated within a ratio and a budget.
"""

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.core.text import display_name
from genscope.errors import CorruptInput, UnsafeInput, UnsupportedInput

STORED, DEFLATED = 0, 8
_END = struct.Struct("<4s4H2IH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: where its local header is, how it is stored, and its checksum."""

    name: str
    header: int
    method: int
    flags: int
    stored: int
    size: int
    crc: int


def member_names(file: InputFile, limits: Limits) -> list[str]:
    """Names in the central directory, unchecked; cheap, for telling formats apart."""
    return [member.name for member in _directory(file, limits)]


def read_directory(file: InputFile, limits: Limits) -> dict[str, Member]:
    """All members by name, after the checks named above (each local header is read).

    Raises:
        UnsafeInput: duplicates, encryption, disagreeing headers, prepended or appended bytes, overlaps.
        CorruptInput: truncated or not a zip archive.
        LimitExceeded: too many members, or one that unfolds too far.
    """
    members = _directory(file, limits)
    named: dict[str, Member] = {}
    for member in members:
        if member.name in named:
            raise UnsafeInput(
                f"{file.name}: the archive holds two members called {display_name(member.name)!r}; two readers would see different files."
            )
        named[member.name] = member
        _check_member(file, member, limits)
    reached = 0
    for member in sorted(members, key=lambda item: item.header):
        if member.header < reached:
            raise UnsafeInput(
                f"{file.name}, member {display_name(member.name)!r}: overlaps the member before it; the archive is damaged or made by hand."
            )
        if reached == 0 and member.header != 0:
            raise UnsafeInput(f"{file.name}: {member.header} bytes stand before the first member; the archive is damaged or made by hand.")
        reached = data_offset(file, member) + member.stored
    return named


def _directory(file: InputFile, limits: Limits) -> list[Member]:
    count, length, offset = _end_record(file)
    limits.check("zip_members", count, f"{file.name}: members of the archive")
    limits.check("header_bytes", length, f"{file.name}: length of the archive's directory")
    raw = file.pread(offset, length)
    members: list[Member] = []
    at = 0
    while at < length:
        if length - at < _CENTRAL.size or raw[at : at + 4] != b"PK\x01\x02":
            raise CorruptInput(f"{file.name}: entry {len(members)} of the archive's directory is damaged (byte {offset + at}); get a fresh copy.")
        member, size = _central_entry(raw, at, file.name)
        members.append(member)
        at += size
    if len(members) != count or at != length:
        raise CorruptInput(f"{file.name}: the archive's directory lists {len(members)} members but promises {count}; get a fresh copy.")
    return members


def _end_record(file: InputFile) -> tuple[int, int, int]:
    """Number of members, length and offset of the central directory."""
    tail_at = max(0, file.size - 65535 - _END.size)
    tail = file.pread(tail_at, file.size - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise CorruptInput(f"{file.name}: the zip archive has no end record in its {file.size} bytes: it is incomplete, get a fresh copy.")
    _, disk, _, _, count, length, offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise UnsafeInput(f"{file.name}: bytes stand after the archive's end record; the archive is damaged or made by hand.")
    end_at = tail_at + at
    if disk not in (0, 0xFFFF):
        raise UnsupportedInput(f"{file.name}: the archive is split over several files; join them first.")
    if end_at >= _END64_LOCATOR.size:
        locator = file.pread(end_at - _END64_LOCATOR.size, _END64_LOCATOR.size)
        if locator[:4] == b"PK\x06\x07":
            end_at = _END64_LOCATOR.unpack(locator)[2]
            if end_at + _END64.size > file.size:
                raise CorruptInput(
                    f"{file.name}: the archive's end record points to byte {end_at} of {file.size}; it is incomplete, get a fresh copy."
                )
            signature, *_, count, length, offset = _END64.unpack(file.pread(end_at, _END64.size))
            if signature != b"PK\x06\x06":
                raise CorruptInput(f"{file.name}: the archive's 64-bit end record is damaged; get a fresh copy.")
    if offset + length != end_at:
        raise UnsafeInput(
            f"{file.name}: the archive's directory ends at byte {offset + length} but its end record is at {end_at}; bytes were put in or cut out."
        )
    return count, length, offset


def _central_entry(raw: bytes, at: int, file_name: str) -> tuple[Member, int]:
    (_, _, _, flags, method, _, _, crc, stored, size, name_len, extra_len, comment_len, _, _, _, header) = _CENTRAL.unpack_from(raw, at)
    name_at = at + _CENTRAL.size
    total = _CENTRAL.size + name_len + extra_len + comment_len
    if at + total > len(raw):
        raise CorruptInput(f"{file_name}: the archive's directory is cut short; get a fresh copy.")
    name = raw[name_at : name_at + name_len].decode("utf-8", "surrogateescape")
    if 0xFFFFFFFF in (size, stored, header):
        size, stored, header = _zip64(raw[name_at + name_len : name_at + name_len + extra_len], size, stored, header)
    return Member(name, header, method, flags, stored, size, crc), total


def _zip64(extra: bytes, *values: int) -> list[int]:
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            found = list(values)
            field = at + 4
            for index, value in enumerate(values):
                if value == 0xFFFFFFFF and field + 8 <= min(at + 4 + length, len(extra)):
                    found[index] = struct.unpack_from("<Q", extra, field)[0]
                    field += 8
            return found
        at += 4 + length
    return list(values)


def _check_member(file: InputFile, member: Member, limits: Limits) -> None:
    where = f"{file.name}, member {display_name(member.name)!r}"
    if member.flags & _ENCRYPTED:
        raise UnsupportedInput(f"{where}: is encrypted; unpack and save the checkpoint again without a password.")
    if member.method not in (STORED, DEFLATED):
        raise UnsupportedInput(f"{where}: is compressed by method {member.method}; save the checkpoint again without compression.")
    if member.method == STORED and member.stored != member.size:
        raise CorruptInput(f"{where}: is stored plainly but claims {member.size} bytes in {member.stored}; get a fresh copy.")
    if member.header + _LOCAL.size > file.size or data_offset(file, member) + member.stored > file.size:
        raise CorruptInput(f"{where}: its {member.stored} bytes from byte {member.header} on leave the file of {file.size} bytes; get a fresh copy.")
    if member.method == DEFLATED:
        limits.check_unfolding(member.stored, member.size, where)


def data_offset(file: InputFile, member: Member) -> int:
    """Where the member's bytes begin; its local header must agree with the directory."""
    where = f"{file.name}, member {display_name(member.name)!r}"
    raw = file.pread(member.header, _LOCAL.size)
    signature, _, flags, method, _, _, crc, stored, size, name_len, extra_len = _LOCAL.unpack(raw)
    if signature != b"PK\x03\x04":
        raise CorruptInput(f"{where}: there is no local header at byte {member.header}; get a fresh copy.")
    tail = file.pread(member.header + _LOCAL.size, name_len + extra_len)
    if 0xFFFFFFFF in (size, stored):
        size, stored = _zip64(tail[name_len:], size, stored)
    later = bool(flags & 0x8)
    agrees = (
        tail[:name_len].decode("utf-8", "surrogateescape") == member.name
        and method == member.method
        and (flags & _ENCRYPTED) == (member.flags & _ENCRYPTED)
        and (size == member.size or (later and size == 0))
        and (stored == member.stored or (later and stored == 0))
        and (crc == member.crc or (later and crc == 0))
    )
    if not agrees:
        raise UnsafeInput(f"{where}: its local header and the archive's directory disagree; two readers would see different files.")
    return member.header + _LOCAL.size + name_len + extra_len


def read_member(file: InputFile, member: Member, limits: Limits) -> bytes:
    """The whole member, unfolded; never more than it declares, never more than the budget."""
    where = f"{file.name}, member {display_name(member.name)!r}"
    limits.check("memory_bytes", member.size, f"{where}: bytes")
    raw = file.pread(data_offset(file, member), member.stored)
    if member.method == STORED:
        return raw
    unfold, data = zlib.decompressobj(-15), io.BytesIO()
    try:
        # by pieces into one growing buffer: zlib alone would hold the result twice
        for at in range(0, len(raw), _PIECE):
            data.write(unfold.decompress(raw[at : at + _PIECE], member.size + 1 - data.tell()) if data.tell() <= member.size else b"")
    except zlib.error:
        raise CorruptInput(f"{where}: its compressed bytes are damaged; get a fresh copy.") from None
    if data.tell() != member.size:
        raise CorruptInput(
            f"{where}: unfolds to {'more' if data.tell() > member.size else 'less'} than the {member.size} bytes it claims; get a fresh copy."
        )
    return data.getvalue()


def verify_members(file: InputFile, members: Mapping[str, Member], limits: Limits) -> None:
    """Compare every member's bytes with its stored CRC-32; reads the whole file, a piece at a time.

    Raises:
        CorruptInput: names the first member whose bytes were changed.
    """
    for member in members.values():
        crc = 0
        if member.method == STORED:
            start = data_offset(file, member)
            for at in range(0, member.size, 1 << 24):
                crc = zlib.crc32(file.pread(start + at, min(1 << 24, member.size - at)), crc)
        else:
            crc = zlib.crc32(read_member(file, member, limits))
        if crc != member.crc:
            raise CorruptInput(f"{file.name}, member {display_name(member.name)!r}: its bytes do not match their checksum; get a fresh copy.")
