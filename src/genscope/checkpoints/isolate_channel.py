"""What a reader and its child process say to each other: a JSON object with its length, then raw bytes; never pickle."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

HEADER = struct.Struct("<I")
MAX_HEADER = 256 << 20


def send_header(channel: socket.socket, header: Mapping[str, Any]) -> None:
    """One JSON object, with its length before it."""
    raw = json.dumps(header).encode()
    # MSG_NOSIGNAL: a dead child must be an exception even where SIGPIPE has its default action (command lines set it so).
    message, flags = HEADER.pack(len(raw)) + raw, getattr(socket, "MSG_NOSIGNAL", 0)
    channel.sendall(message, flags)


def receive_header(channel: socket.socket) -> dict[str, Any]:
    """The next JSON object; ``EOFError`` when the other side has gone, ``ValueError`` when it sends something else."""
    size = bytearray(HEADER.size)
    receive_exactly(channel, memoryview(size))
    (length,) = HEADER.unpack(size)
    if length > MAX_HEADER:
        raise ValueError("header too long")
    raw = bytearray(length)
    receive_exactly(channel, memoryview(raw))
    header = json.loads(bytes(raw))
    if not isinstance(header, dict):
        raise ValueError("header is not an object")
    return header


def receive_exactly(channel: socket.socket, buffer: memoryview) -> None:
    """Fill ``buffer``."""
    filled = 0
    while filled < len(buffer):
        count = channel.recv_into(buffer[filled:])
        if count == 0:
            raise EOFError
        filled += count


def send_answer(channel: socket.socket, header: Mapping[str, Any], buffers: Iterator[Any] | None = None) -> None:
    """One header and then its bytes."""
    send_header(channel, header)
    for buffer in buffers or ():
        channel.sendall(memoryview(buffer).cast("B"), getattr(socket, "MSG_NOSIGNAL", 0))
