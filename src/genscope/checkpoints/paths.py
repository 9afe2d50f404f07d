"""The one path policy: what may be opened, and how. Every format goes through here.

A path the *user* typed may be any symlink. A name found *inside* a file must be a plain component of the same folder; symlinks there
are followed only when they end inside the folder, or in the blobs of the same Hugging Face cache entry. Everything opened is a regular
file, read with ``pread`` from one descriptor, and refused if it changes under the reader.
"""

import errno
import os
import stat
from typing import Any

from genscope.checkpoints.input_file import InputFile
from genscope.core.text import display_name
from genscope.errors import UnsafeInput, UnsupportedInput, UsageError

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)


def shown(path: str | os.PathLike[str]) -> str:
    """The base name of ``path``, fit for a message."""
    text = os.fspath(path)
    return display_name(os.path.basename(text.rstrip("/")) or text)


def check_component(name: Any, where: str) -> str:
    r"""``name`` if it is one plain file name: text, no separators, not ``.`` or ``..``, at most 255 bytes.

    Raises:
        UnsafeInput: the name could lead out of the folder.

    Example:
        >>> check_component("model-00001-of-00002.safetensors", "index")
        'model-00001-of-00002.safetensors'
    """
    if not isinstance(name, str):
        raise UnsafeInput(f"{where}: a file name must be text but is {display_name(repr(name), 40)}; the file was not opened.")
    encoded = name.encode("utf-8", "surrogatepass")
    bad = not name or name in {".", ".."} or len(encoded) > 255 or any(c in name for c in "/\\\0") or (len(name) > 1 and name[1] == ":")
    if bad:
        raise UnsafeInput(f'{where}: the file name "{display_name(name, 80)}" could lead out of the folder; it was not opened.')
    return name


def open_input(path: str | os.PathLike[str]) -> InputFile:
    """Open the file a user named. Symlinks are followed; a FIFO, device, socket or folder is refused at once, without waiting.

    Raises:
        UnsupportedInput: not a regular file.
        UsageError: there is no such file, or it may not be read.
    """
    name = shown(path)
    return InputFile(name, lambda: _open_or_say(os.fspath(path), _FLAGS, name, None))


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor of the regular file a user named, as :func:`open_input`; the caller closes it."""
    fd = _open_or_say(os.fspath(path), _FLAGS, shown(path), None)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsupportedInput(f"{shown(path)}: not a regular file; give a checkpoint file or a folder.")
    return fd


def open_folder(path: str | os.PathLike[str]) -> int:
    """A descriptor of the folder a user named; the caller closes it."""
    return _open_or_say(os.fspath(path), _FLAGS | _DIRECTORY, shown(path), None)


def _open_or_say(path: str | bytes, flags: int, name: str, folder: int | None) -> int:
    try:
        return os.open(path, flags, dir_fd=folder)
    except OSError as error:
        raise open_error(error, name) from None
    except ValueError:
        raise UsageError(f"{name}: the path holds a NUL byte and names no file; check the path.") from None


def open_error(error: OSError, name: str) -> Exception:
    """The sentence for a file that would not open."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return UnsupportedInput(f"{name}: no such file or folder; check the path.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return UnsupportedInput(f"{name}: may not be read (permission denied); change its permissions.")
    if error.errno == errno.ELOOP:
        return UnsafeInput(f"{name}: is a symbolic link that is not followed here (a loop, or a link inside the folder); name the target itself.")
    if error.errno in {errno.ENXIO, errno.ENODEV, errno.EISDIR}:
        return UnsupportedInput(f"{name}: not a regular file; give a checkpoint file or a folder.")
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return UnsupportedInput(f"{name}: too many open files; raise the limit with `ulimit -n`.")
    return UnsupportedInput(f"{name}: could not be opened ({os.strerror(error.errno or 0)}); check the path.")


def open_inside(root: str | os.PathLike[str], name: Any) -> int:
    """A descriptor of the regular file ``name`` in ``root``, where ``name`` comes from an untrusted file.

    Raises:
        UnsafeInput: the name is no plain component, or a symlink leads out of ``root`` (and not into the blobs of the same cache entry).
        UnsupportedInput: no such file, or not a regular file.
    """
    where = shown(root)
    return open_relative_inside(root, check_component(name, where))


def open_relative_inside(root: str | os.PathLike[str], name: Any) -> int:
    """Like :func:`open_inside` for a relative path of several components, each checked and opened without following links on the way."""
    where = shown(root)
    if not isinstance(name, str):
        check_component(name, where)
    parts = [check_component(part, where) for part in name.split("/")]
    folder = open_folder(root)
    try:
        try:
            fd = _walk(folder, parts)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
                raise open_error(error, display_name(name)) from None
            fd = _open_link(folder, os.path.realpath(root), parts, display_name(name))
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsafeInput(f"{display_name(name)}: not a regular file; it was not read.")
    return fd


def _walk(folder: int, parts: list[str]) -> int:
    """Open ``parts`` one below the other from ``folder``, never through a symlink."""
    held: list[int] = []
    try:
        here = folder
        for part in parts[:-1]:
            here = os.open(part, _FLAGS | _NOFOLLOW | _DIRECTORY, dir_fd=here)
            held.append(here)
        return os.open(parts[-1], _FLAGS | _NOFOLLOW, dir_fd=here)
    finally:
        for fd in held:
            os.close(fd)


def _open_link(folder: int, root: str, parts: list[str], name: str) -> int:
    """Follow a symlink that stays inside the root or goes directly into the blobs of the same cache entry; refuse any other."""
    target = os.path.realpath(os.path.join(root, *parts))
    outside = UnsafeInput(f"{name}: is a symbolic link that leads out of the folder; it was not opened, copy the file into the folder instead.")
    try:
        if target.startswith(root.rstrip("/") + "/"):
            return _walk(folder, os.path.relpath(target, root).split("/"))
        blobs = blobs_folder(root)
        if blobs is None or os.path.dirname(target) != blobs:
            raise outside
        holder = os.open(blobs, _FLAGS | _NOFOLLOW | _DIRECTORY)
        try:
            return _walk(holder, [os.path.basename(target)])
        finally:
            os.close(holder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:
            raise outside from None
        raise open_error(error, name) from None


def blobs_folder(root: str) -> str | None:
    """The ``blobs`` folder of the cache entry that ``root`` (a real path) is a snapshot of, or ``None``."""
    parts = root.split("/")
    for index in range(len(parts) - 2, 0, -1):
        if parts[index] == "snapshots" and parts[index - 1].startswith("models--"):
            return "/".join([*parts[:index], "blobs"])
    return None


def file_inside(root: str | os.PathLike[str], name: Any) -> InputFile:
    """:func:`open_relative_inside` as an :class:`InputFile` that can be released and opened again."""
    label = display_name(name) if isinstance(name, str) else shown(root)
    return InputFile(label, lambda: open_relative_inside(root, name))
