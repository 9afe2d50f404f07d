"""``org/name`` and ``org/name@revision`` in the local Hugging Face cache, without the network and without its library."""

import os
import re

from genscope.core.text import display_name
from genscope.errors import CorruptInput, UnsafeInput, UnsupportedInput

_NAME = re.compile(r"^(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}(?:@(?P<revision>[\w./-]{1,200}))?$")
_COMMIT = re.compile(r"^[0-9a-f]{7,40}$")


def cache_folder() -> str:
    """Where the hub's library keeps its files: ``HF_HUB_CACHE``, ``HF_HOME``/hub, or ``~/.cache/huggingface/hub``."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return os.path.expanduser(os.environ[name])
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface")
    return os.path.join(os.path.expanduser(home), "hub")


def resolve_name(text: str) -> str | None:
    """The snapshot folder of a model's name, or ``None`` if ``text`` does not look like ``org/name``.

    Raises:
        UnsupportedInput: the name is not in the cache, or that revision is not.
    """
    match = _NAME.match(text)
    if match is None or "/" not in text.split("@", 1)[0] or ".." in text or text.endswith((".safetensors", ".pt", ".pth", ".bin", ".ckpt")):
        return None
    name = text.split("@", 1)[0]
    entry = os.path.join(cache_folder(), "models--" + name.replace("/", "--"))
    if not os.path.isdir(entry):
        raise UnsupportedInput(
            f"{display_name(text)}: neither a file or folder here nor in the local Hugging Face cache; download it first (hf download)."
        )
    return _snapshot(entry, match["revision"] or "main", text)


def snapshot_of(folder: str) -> str:
    """``folder``, or its main snapshot if it is a whole cache entry (``models--org--name``)."""
    if os.path.basename(os.path.abspath(folder)).startswith("models--") and os.path.isdir(os.path.join(folder, "snapshots")):
        return _snapshot(folder, "main", os.path.basename(os.path.abspath(folder)))
    return folder


def _snapshot(entry: str, revision: str, text: str) -> str:
    found = _held_snapshot(entry, revision, text)
    # a snapshot is a folder of its own entry: a link would make another folder the root of all that is read
    if os.path.realpath(found) != os.path.join(os.path.realpath(entry), "snapshots", os.path.basename(found)):
        raise UnsafeInput(f"{display_name(text)}: its snapshot is a symbolic link that leads out of the cache entry; name the folder itself.")
    return found


def _held_snapshot(entry: str, revision: str, text: str) -> str:
    snapshots = os.path.join(entry, "snapshots")
    commit = _reference(entry, revision) or revision
    if "/" not in commit and commit not in {".", ".."} and os.path.isdir(os.path.join(snapshots, commit)):
        return os.path.join(snapshots, commit)
    held = sorted(os.listdir(snapshots)) if os.path.isdir(snapshots) else []
    if _COMMIT.match(revision):
        held_here = [name for name in held if name.startswith(revision)]
        if len(held_here) == 1:
            return os.path.join(snapshots, held_here[0])
    if revision == "main" and len(held) == 1 and not os.path.lexists(os.path.join(entry, "refs")):
        return os.path.join(snapshots, held[0])
    known = ", ".join(display_name(name, 40) for name in held[:5]) or "none"
    raise UnsupportedInput(
        f"{display_name(text)}: revision {display_name(revision, 60)!r} is not in the local cache (held: {known}); download it first."
    )


def _reference(entry: str, revision: str) -> str | None:
    """The commit that ``refs/<revision>`` names."""
    if any(part in {"", ".", ".."} for part in revision.split("/")):
        return None
    path = os.path.join(entry, "refs", *revision.split("/"))
    if not os.path.isfile(path) or os.path.islink(path):
        return None
    with open(path, "rb") as stream:
        commit = stream.read(256).decode("ascii", "replace").strip()
    if not re.fullmatch(r"[0-9A-Za-z_.-]{1,64}", commit) or commit in {".", ".."}:
        raise CorruptInput(f"{os.path.basename(entry)}: the cache's reference {display_name(revision, 60)!r} holds no commit; download it again.")
    return commit
