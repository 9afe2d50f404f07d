"""Writing that leaves either the old file or the new one, never half."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from genscope.errors import StoreError


def write_atomically(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write ``data`` to a temporary sibling, flush it to disk, and rename it over ``path``.

    With ``durable=False`` it is not flushed: after a power cut (not after a kill) the file may be empty or old, for what can be done without.
    A device (``/dev/stdout``, ``/dev/null``, ``/dev/fd/3``) is written to as it is, never replaced by a file.

    Raises:
        StoreError: the folder is missing, read-only or full; the old file is untouched.
    """
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    with atomic_stream(path, durable=durable) as stream:
        stream.write(raw)


@contextlib.contextmanager
def atomic_stream(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A stream whose content appears under ``path`` only when the block ends well; see :func:`write_atomically`."""
    temporary = None
    try:
        if _is_stream(path):
            with path.open("wb") as stream:
                yield stream
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        # an interrupt leaves no half-written sibling behind either
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        raise StoreError(f"{path.name}: could not be written ({error.strerror or error}); nothing was changed.") from None


def _is_stream(path: Path) -> bool:
    # by its folder, not its kind: a pipe that a stranger left in a folder of results is replaced like any file
    return os.path.abspath(path).startswith(("/dev/", "/proc/"))
