"""Native parsers run in a child process: a crash, a hang or a runaway allocation there is one sentence here.

The child is ``python -m genscope.checkpoints.isolate MODULE FD SOCKET``: an empty folder as working directory, no standard streams,
limits on address space, CPU and written files, and the one open file it may read. It answers requests over a socket pair with
a JSON header and raw bytes (never pickle), so a compromised parser can lie about numbers but not run code here.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from genscope import errors
from genscope.core.text import display_name
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput

HEADER = struct.Struct("<I")
MAX_HEADER = 256 << 20
ADDRESS_SPACE = 2 << 30
CPU_SECONDS = 120
START_SECONDS = 60.0
SOCKET_BUFFER = 1 << 22
MAX_RESTARTS = 8
_FORWARDED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")


class IsolatedReader:
    """A child process that reads one open file through the operations of ``module``; started when first asked, restarted after a crash.

    Args:
        module: importable name whose ``OPERATIONS`` maps names to functions ``(fd, **arguments) -> header | (header, buffers)``.
        fd: an open file descriptor, duplicated here; -1 for none.
        label: the file's base name, for sentences.
        timeout: wall-clock seconds for one answer (time per gigabyte is added for arrays).
    """

    def __init__(self, module: str, fd: int, label: str, *, timeout: float = 60.0) -> None:
        self.module = module
        self.label = display_name(label)
        self.timeout = timeout
        self._fd = os.dup(fd) if fd >= 0 else -1
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._starts = 0
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_fd, self._fd)

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The JSON answer of one operation."""
        with self._lock:
            return self._exchange(operation, arguments, None)

    def read_into(self, buffer: bytearray | memoryview, operation: str, **arguments: Any) -> dict[str, Any]:
        """Fill ``buffer`` with the operation's bytes; the child must send exactly that many."""
        with self._lock:
            return self._exchange(operation, arguments, memoryview(buffer).cast("B"))

    def _exchange(self, operation: str, arguments: Mapping[str, Any], buffer: memoryview | None) -> dict[str, Any]:
        child = self._running_child()
        finished = False
        try:
            child.channel.settimeout(self.timeout + (len(buffer) / 20e6 if buffer is not None else 0.0))
            _send_header(child.channel, {"operation": operation, "arguments": dict(arguments)})
            header = _receive_header(child.channel)
            declared = header.get("n_bytes", 0)
            if "error" not in header and declared != (len(buffer) if buffer is not None else 0):
                raise CorruptInput(f"{self.label}: the isolated reader answered {declared} bytes, not what was promised; the file is damaged.")
            if buffer is not None and "error" not in header:
                _receive_exactly(child.channel, buffer)
            finished = True
        except TimeoutError:
            raise CorruptInput(f"reader timed out on {self.label} (no answer to {operation!r} in time); the file is damaged or hostile.") from None
        except (EOFError, OSError, ValueError):
            raise self._death(child) from None
        finally:
            if not finished:
                self._drop()
        if "error" in header:
            raise self._error(header)
        return header

    def _running_child(self) -> "_Child":
        if self._closed:
            raise CorruptInput(f"{self.label}: the checkpoint was closed; open it again to read from it.")
        if self._child is None:
            if self._starts >= MAX_RESTARTS:
                raise CorruptInput(f"reader crashed {MAX_RESTARTS} times on {self.label}; the file is damaged or hostile.")
            self._starts += 1
            self._child = _Child(self.module, self._fd)
        return self._child

    def _death(self, child: "_Child") -> GenscopeError:
        code = child.exit_code()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else f"signal {-code}"
            if name == "SIGXCPU":
                return LimitExceeded(f"{self.label}: reading took more than {CPU_SECONDS} s of CPU time; the file is damaged or hostile.")
            return CorruptInput(f"reader crashed ({name}) on {self.label}; the file is damaged or hostile.")
        return CorruptInput(f"reader ended without an answer on {self.label} (exit code {code}); the file or its library is damaged.")

    def _error(self, header: Mapping[str, Any]) -> GenscopeError:
        kind = getattr(errors, str(header["error"]), CorruptInput)
        if not (isinstance(kind, type) and issubclass(kind, GenscopeError)):
            kind = CorruptInput
        return kind(display_name(str(header.get("message", "")).replace("{file}", self.label), 600))

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def close(self) -> None:
        """End the child and release the file."""
        with self._lock:
            self._closed = True
            self._drop()
            self._finalizer()

    def __enter__(self) -> "IsolatedReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def run_isolated(function_path: str, *, label: str = "the input", timeout: float = 60.0, **arguments: Any) -> dict[str, Any]:
    """Run ``module:operation`` once in a child of its own and return its JSON answer.

    Raises:
        CorruptInput: the child crashed or did not answer in time.
    """
    module, operation = function_path.split(":")
    with IsolatedReader(module, -1, label, timeout=timeout) as reader:
        return reader.call(operation, **arguments)


class _Child:
    """One running process, its socket and its empty folder."""

    def __init__(self, module: str, fd: int) -> None:
        self.folder = _empty_folder()
        self.channel, theirs = socket.socketpair()
        for end in (self.channel, theirs):
            # Fewer, larger hand-overs: with the default buffer two processes on a busy machine wait for each other at every 200 kB.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        environment = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
        environment |= {
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry)),
            "HOME": self.folder or "/",
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "HDF5_PLUGIN_PRELOAD": "::",
            "HDF5_USE_FILE_LOCKING": "FALSE",
        }
        with theirs:
            descriptors = [theirs.fileno()] + ([fd] if fd >= 0 else [])
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-m", "genscope.checkpoints.isolate", module, str(fd), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.folder or "/",
                env=environment,
                pass_fds=descriptors,
                start_new_session=True,
            )
        self.close = weakref.finalize(self, _end_child, self.process, self.channel, self.folder)
        self.channel.settimeout(START_SECONDS)
        try:
            hello = _receive_header(self.channel)
        except (EOFError, OSError, ValueError):
            self.close()
            raise UnsupportedInput("The isolated reader could not start; check that `python -m genscope.checkpoints.isolate` runs.") from None
        if "error" in hello:
            self.close()
            raise UnsupportedInput(display_name(str(hello.get("message", "the isolated reader could not start")), 300))

    def exit_code(self) -> int | None:
        """The exit code, waiting a moment for the process to be gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout=5)
        return None


def _empty_folder() -> str | None:
    """A working directory without anything in it; ``None`` where nothing may be written (the child then works from the root folder)."""
    try:
        return tempfile.mkdtemp(prefix="genscope-reader-")
    except OSError:
        return None


def _end_child(process: "subprocess.Popen[bytes]", channel: socket.socket, folder: str | None) -> None:
    channel.close()
    if process.poll() is None:
        process.kill()
    process.wait()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _close_fd(fd: int) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


def _send_header(channel: socket.socket, header: Mapping[str, Any]) -> None:
    raw = json.dumps(header).encode()
    # MSG_NOSIGNAL: a dead child must be an exception even where SIGPIPE has its default action (command lines set it so).
    message, flags = HEADER.pack(len(raw)) + raw, getattr(socket, "MSG_NOSIGNAL", 0)
    channel.sendall(message, flags)


def _receive_header(channel: socket.socket) -> dict[str, Any]:
    size = bytearray(HEADER.size)
    _receive_exactly(channel, memoryview(size))
    (length,) = HEADER.unpack(size)
    if length > MAX_HEADER:
        raise ValueError("header too long")
    raw = bytearray(length)
    _receive_exactly(channel, memoryview(raw))
    header = json.loads(bytes(raw))
    if not isinstance(header, dict):
        raise ValueError("header is not an object")
    return header


def _receive_exactly(channel: socket.socket, buffer: memoryview) -> None:
    filled = 0
    while filled < len(buffer):
        count = channel.recv_into(buffer[filled:])
        if count == 0:
            raise EOFError
        filled += count


def send_answer(channel: socket.socket, header: Mapping[str, Any], buffers: Iterator[Any] | None = None) -> None:
    """Child side: send one header and then its bytes."""
    _send_header(channel, header)
    for buffer in buffers or ():
        channel.sendall(memoryview(buffer).cast("B"), getattr(socket, "MSG_NOSIGNAL", 0))


def receive_request(channel: socket.socket) -> dict[str, Any]:
    """Child side: the next request; ``EOFError`` when the parent has gone."""
    return _receive_header(channel)


if __name__ == "__main__":
    from genscope.checkpoints.isolate_child import main

    main(sys.argv[1:])
