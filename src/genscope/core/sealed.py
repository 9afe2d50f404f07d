"""Text files that carry their own checksum, and reading that trusts no link, pipe or half-written file."""

import hashlib
import os
import stat
from pathlib import Path

LARGEST = 512 << 20


def read_regular(path: Path, *, largest: int = LARGEST) -> str:
    """The text of a regular file; a link, a pipe or a device is an ``OSError`` at once, as is a file beyond ``largest`` bytes."""
    return read_regular_bytes(path, largest=largest).decode("utf-8")


def read_regular_bytes(path: Path, *, largest: int = LARGEST) -> bytes:
    """The bytes of a regular file, with the refusals of :func:`read_regular`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise OSError(f"{path.name} is no regular file, or too large")
        return stream.read()


def sealed(document: str) -> str:
    """JSON text beside its checksum.

    Example:
        >>> unsealed(sealed('{"alpha": 2}'))
        '{"alpha": 2}'
    """
    return f'{{"check": "{checksum(document.encode("utf-8", "surrogatepass"))}", "cell": {document}}}'


def unsealed(text: str) -> str:
    """The JSON text inside what :func:`sealed` wrote.

    Raises:
        ValueError: the text does not agree with its checksum.
    """
    inner = text[len('{"check": "", "cell": ') + 64 : -1]
    if text != sealed(inner):
        raise ValueError("the file does not agree with its checksum")
    return inner


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
