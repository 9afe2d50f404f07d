"""The child's side of :mod:`genscope.checkpoints.isolate`: limits first, then the parser, then requests until the parent is gone."""

import contextlib
import importlib
import io
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from genscope.checkpoints.isolate import ADDRESS_SPACE, CPU_SECONDS, FOLDER_PREFIX
from genscope.checkpoints.isolate_channel import receive_header, send_answer
from genscope.errors import GenscopeError

Operations = Mapping[str, Callable[..., Any]]


class PositionedFile(io.RawIOBase):
    """The bytes ``[start, start + size)`` of a file descriptor as a read-only seekable file that never moves the shared offset."""

    def __init__(self, fd: int, start: int = 0, size: int | None = None) -> None:
        self._fd = fd
        self._start = start
        self._size = os.fstat(fd).st_size - start if size is None else size
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Current position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as the window reaches."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size - self._at))
        filled = 0
        while filled < wanted:
            piece = os.pread(self._fd, min(wanted - filled, 1 << 24), self._start + self._at + filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._at += filled
        return filled


def limit_resources() -> None:
    """Bound address space and forbid core dumps and file growth for this process."""
    import resource

    for name, value in (("RLIMIT_AS", ADDRESS_SPACE), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", 64)):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))


def renew_cpu_budget() -> None:
    """Give the next request ``CPU_SECONDS`` from now; the kernel ends the process beyond."""
    import resource

    with contextlib.suppress(ValueError, OSError):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + CPU_SECONDS, hard))


def answer(operations: Operations, fd: int, request: Mapping[str, Any], channel: socket.socket) -> None:
    """Run one operation and send its result or its error; foreign exceptions become one sentence."""
    try:
        result = operations[request["operation"]](fd, **request["arguments"])
        header, buffers = result if isinstance(result, tuple) else (result, None)
    except GenscopeError as error:
        header, buffers = {"error": type(error).__name__, "message": str(error)}, None
    except MemoryError:
        header, buffers = {"error": "LimitExceeded", "message": "{file}: reading it needs more memory than the isolated reader may use."}, None
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        header, buffers = {"error": "CorruptInput", "message": f"{{file}}: its library cannot read it ({type(error).__name__}: {first_line})."}, None
    send_answer(channel, header, buffers)


def main(arguments: list[str]) -> None:
    """Serve ``MODULE FD SOCKET`` until the parent closes the socket."""
    module_name, fd, channel = arguments[0], int(arguments[1]), socket.socket(fileno=int(arguments[2]))
    limit_resources()
    renew_cpu_budget()
    try:
        operations: Operations = importlib.import_module(module_name).OPERATIONS
    except ImportError as error:
        send_answer(channel, {"error": "UnsupportedInput", "message": f"the isolated reader needs a package that is not installed: {error}"})
        return
    try:
        send_answer(channel, {"ready": True})
        while True:
            request = receive_header(channel)
            renew_cpu_budget()
            answer(operations, fd, request, channel)
    except (EOFError, OSError, ValueError, KeyboardInterrupt):
        _remove_own_folder()
        os._exit(0)


def _remove_own_folder() -> None:
    """A parent that was killed cannot clean up; ``rmdir`` only ever removes the empty folder made for this process."""
    with contextlib.suppress(OSError):
        folder = os.getcwd()
        if os.path.basename(folder).startswith(FOLDER_PREFIX):
            os.rmdir(folder)
