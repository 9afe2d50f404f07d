"""What a source is called in results: enough to recognize it, no folder of the user's machine."""

from pathlib import PurePath

from genscope.core.tensors import Checkpoint


def source_name(checkpoint: Checkpoint) -> str:
    """A relative path as it was typed, the last part of an absolute one, ``org/name`` unchanged.

    Example:
        >>> from types import SimpleNamespace
        >>> source_name(SimpleNamespace(source="/home/someone/model.pt")), source_name(SimpleNamespace(source="runs/a.pt"))
        ('model.pt', 'runs/a.pt')
    """
    path = PurePath(checkpoint.source)
    outside = path.is_absolute() or ".." in path.parts
    return path.name if outside and path.name not in {"", ".."} else str(checkpoint.source)
