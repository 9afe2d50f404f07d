"""What a hostile file is expected to lead to, and the small weights they are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CANARY = 1234.5
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((12, 10)).astype("<f4")


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Args:
        name: ``number: what``, the number as in the list of cases.
        build: makes it in an empty folder and returns the path to give to the command line.
        says: for a refusal, words of the sentence; ``None`` when the run must succeed.
        skips: tensor name -> words of the reason of its row or skip.
        rows: names of layers that must be analysed with status ok or doubtful.
        words: further words of the command line.
        notes: words of a note; ``absent`` words must not stand in any.
        seconds: the most it may take.
        names_file: whether the sentence must hold the base name of the path.
    """

    name: str
    build: Callable[[Path], Path]
    says: str | None = None
    skips: tuple[tuple[str, str], ...] = ()
    rows: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    notes: str = ""
    absent: str = "\0"
    seconds: float = 5.0
    names_file: bool = True


def refused(name: str, build: Callable[[Path], Path], says: str = "", **more: object) -> Case:
    """A case that must end with exit code 1 and a sentence that holds ``says``."""
    return Case(name, build, says, **more)  # type: ignore[arg-type]


def file_of(name: str, content: bytes) -> Callable[[Path], Path]:
    """A builder of one file."""

    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return build
