"""Native parsers run in a child process: a crash, a hang or a runaway allocation there is one sentence here.

The child is ``python -m genscope.checkpoints.isolate MODULE FD SOCKET``: an empty folder as working directory, no standard streams,
limits on address space, CPU and written files, and the one open file it may read. It answers requests over a socket pair with
a JSON header and raw bytes (never pickle), so a compromised parser can lie about numbers but not run code here.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from genscope import errors
from genscope.checkpoints.isolate_channel import receive_exactly, receive_header, send_header
from genscope.core.text import display_name
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput

ADDRESS_SPACE = 2 << 30
CPU_SECONDS = 120
START_SECONDS = 60.0
SOCKET_BUFFER = 1 << 22
MAX_CRASHES = 8
FOLDER_PREFIX = "genscope-reader-"
MAX_CHILDREN = 4
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
        self._crashes = 0
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
            send_header(child.channel, {"operation": operation, "arguments": dict(arguments)})
            header = receive_header(child.channel)
            declared = header.get("n_bytes", 0)
            if "error" not in header and declared != (len(buffer) if buffer is not None else 0):
                raise CorruptInput(f"{self.label}: the isolated reader answered {declared} bytes, not what was promised; the file is damaged.")
            if buffer is not None and "error" not in header:
                receive_exactly(child.channel, buffer)
            finished = True
        except TimeoutError:
            raise CorruptInput(f"reader timed out on {self.label} (no answer to {operation!r} in time); the file is damaged or hostile.") from None
        except (EOFError, OSError, ValueError):
            raise self._death(child) from None
        finally:
            if not finished:
                self._crashes += 1
                self._drop()
        if "error" in header:
            raise self._error(header)
        return header

    def _running_child(self) -> "_Child":
        if self._closed:
            raise CorruptInput(f"{self.label}: the checkpoint was closed; open it again to read from it.")
        if self._child is None:
            if self._crashes >= MAX_CRASHES:
                raise CorruptInput(f"reader crashed {MAX_CRASHES} times on {self.label}; the file is damaged or hostile.")
            _make_room(self)
            self._child = _Child(self.module, self._fd)
        return self._child

    @property
    def is_running(self) -> bool:
        """Whether a child is alive for this reader."""
        return self._child is not None

    def rest(self) -> bool:
        """End the child if it is idle; the next call starts another."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._drop()
        finally:
            self._lock.release()
        return True

    def file_status(self) -> os.stat_result:
        """``fstat`` of the file being read."""
        return os.fstat(self._fd)

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


_active: "weakref.WeakSet[IsolatedReader]" = weakref.WeakSet()


def _make_room(newcomer: IsolatedReader) -> None:
    """Keep at most ``MAX_CHILDREN`` processes: a comparison of fifty files must not hold fifty parsers in memory."""
    others = [reader for reader in _active if reader is not newcomer and reader.is_running]
    for reader in others[: max(0, len(others) - MAX_CHILDREN + 1)]:
        reader.rest()
    _active.add(newcomer)


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
            hello = receive_header(self.channel)
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
        return tempfile.mkdtemp(prefix=FOLDER_PREFIX)
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


if __name__ == "__main__":
    from genscope.checkpoints.isolate_child import main

    main(sys.argv[1:])
