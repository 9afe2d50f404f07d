"""One worker per piece of work: a claim is a locked file, and the lock dies with its process, so no claim outlives its owner."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from genscope.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the claim ``path`` during the block; yields whether it could be had.

    Threads and processes exclude each other alike. A file left behind by a process that was killed is unlocked and is taken over at once.

    Args:
        path: the claim's file; made if it is missing, removed at the end.
        wait: wait for another owner instead of yielding ``False``.

    Raises:
        StoreError: the folder cannot be written.
    """
    fd = _lock(path, wait)
    if fd is None:
        yield False
        return
    try:
        yield True
    finally:
        # removed while it is still locked: whoever waits for it sees that its file is gone and makes a new one
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(fd)


def is_claimed(path: Path) -> bool:
    """Whether a living owner holds ``path``."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _lock(path: Path, wait: bool) -> int | None:
    if fcntl is None:
        raise StoreError("Stores of runs need file locks, which this system does not have; use Linux or macOS.")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except OSError as error:
            raise StoreError(f"{path.parent.name}/{path.name}: could not be made ({error.strerror or error}).") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        if _still_there(path, fd):
            return fd
        os.close(fd)


def _still_there(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
