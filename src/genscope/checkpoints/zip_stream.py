"""The bytes of one zip member as a stream of small pieces, so that a deflated tensor is never in memory twice."""

import zlib
from collections.abc import Iterator

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.zip_archive import DEFLATED, Member, data_offset
from genscope.core.text import display_name
from genscope.errors import CorruptInput


def unfold(file: InputFile, member: Member, piece_bytes: int = 1 << 20) -> Iterator[bytes]:
    """The member's bytes in pieces of at most ``piece_bytes``; the last one is only given after length and checksum agreed.

    Raises:
        CorruptInput: the compressed bytes are damaged, unpack to another length, or the checksum differs.
    """
    shown = display_name(member.name)
    inflate = zlib.decompressobj(-15) if member.method == DEFLATED else None
    crc, produced, at, pending = 0, 0, 0, b""
    start = data_offset(file, member)
    damaged = CorruptInput(f"{file.name}: the zip member {shown!r} is damaged; get a fresh copy.")
    while produced < member.size:
        if not pending and at < member.stored:
            pending = file.pread(start + at, min(piece_bytes, member.stored - at))
            at += len(pending)
        if inflate is None:
            piece, pending = pending, b""
        else:
            try:
                piece = inflate.decompress(pending, piece_bytes)
            except zlib.error:
                raise damaged from None
            pending = inflate.unconsumed_tail
        if not piece and not pending and at >= member.stored:
            raise damaged
        produced += len(piece)
        crc = zlib.crc32(piece, crc)
        if produced > member.size or (produced == member.size and crc != member.crc):
            raise damaged
        yield piece
