"""What can be asked of an analysis, and the named conventions of the literature."""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from genscope.checkpoints.limits import Limits
from genscope.core.tensors import Checkpoint, Skip, TensorSpec
from genscope.errors import UsageError
from genscope.layers.matricize import ViewOptions

FEWEST_RESAMPLES = 20
Progress = Callable[[int, int, str, float], None]

CONVENTIONS: Mapping[str, Mapping[str, Any]] = {
    "genscope": {},
    # Martin & Mahoney: X = WᵀW/N, each kernel position its own matrix, only matrices with M >= 50.
    "martin2019": {"normalization": "WtW/N", "conv": "slices", "pool": False, "min_rows": 50},
    # WeightWatcher 0.7.7: WᵀW with its factors on convolutions, lower Kolmogorov–Smirnov steps, its size limits.
    "weightwatcher": {"normalization": "weightwatcher", "conv": "slices", "ks": "lower", "method": "svd"},
}


@dataclass(frozen=True)
class Opening:
    """How a checkpoint is opened.

    Args:
        limits: bounds on what an untrusted file may ask for.
        base: the base model that an adapter is merged into.
        allow_missing: go on when shards are missing.
        verify: check the stored checksums of a torch archive.
        part: the part of a torch checkpoint to use instead of the chosen one (``"ema"``).
    """

    limits: Limits = field(default_factory=Limits)
    base: str | Path | None = None
    allow_missing: bool = False
    verify: bool = False
    part: str | None = None

    def keywords(self) -> dict[str, Any]:
        """The keywords of ``open_checkpoint`` that were given."""
        given = {"base": self.base, "allow_missing": self.allow_missing, "verify": self.verify, "part": self.part}
        return {"limits": self.limits, **{name: value for name, value in given.items() if value}}


@dataclass(frozen=True)
class Execution:
    """How the work is done; none of it changes a number.

    Args:
        out: folder that keeps every finished matrix; the same call resumes there.
        fresh: start over in ``out``.
        jobs: matrices at once (default: the processors this process may use).
        engine: ``threads``, ``processes``, ``ray`` or ``dask``.
        progress: called with (done, total, layer, share of the predicted work done).
    """

    out: str | Path | None = None
    fresh: bool = False
    jobs: int | None = None
    engine: str = "threads"
    progress: Progress | None = None


def sort_keywords(chosen: Mapping[str, Any]) -> tuple["AnalyzeOptions", Opening, Execution]:
    """Distribute the keywords of ``analyze`` over its three groups of options.

    Raises:
        UsageError: a keyword that none of them has.
    """
    rest = dict(chosen)
    groups = []
    for group in (Opening, Execution):
        names = {entry.name for entry in fields(group)}
        groups.append(group(**{name: rest.pop(name) for name in list(rest) if name in names}))
    return AnalyzeOptions.named(**rest), groups[0], groups[1]  # type: ignore[return-value]


@dataclass(frozen=True)
class AnalyzeOptions:
    """Options of ``analyze``, recorded with every result.

    Args:
        convention: ``genscope``, ``martin2019`` or ``weightwatcher``; sets the fields below it.
        conv: how convolutions become matrices: ``slices``, ``reshape`` or ``operator``.
        pool: pool the kernel positions of a convolution into one spectrum (``slices`` only).
        input_size: height and width at which ``operator`` takes the convolution.
        products: also analyze the products of neighbouring linear layers.
        min_rows: leave out matrices whose smaller side is below this (the paper's M ≥ 50 is ``50``).
        normalization: ``WtW``, ``WtW/N`` or ``weightwatcher``.
        ks: ``two-sided`` or ``lower`` Kolmogorov–Smirnov steps.
        method: ``auto``, ``gram`` or ``svd``.
        device: a torch device such as ``cuda`` for the spectra (default: NumPy on the CPU).
        resamples: bootstrap and goodness-of-fit resamples (0: none; otherwise at least 20, and 50 before a poor fit can be called one).
        randomize: also compare with a seeded random permutation of each matrix.
        vectors: also measure how localized the singular vectors are.
        include, exclude: shell patterns on tensor names.
        measures: names to compute instead of the default set.
        seed: seed of every random draw.
    """

    convention: str = "genscope"
    conv: str = "slices"
    pool: bool = True
    input_size: tuple[int, ...] | None = None
    products: bool = False
    min_rows: int = 1
    normalization: str = "WtW"
    ks: str = "two-sided"
    method: str = "auto"
    device: str | None = None
    resamples: int = 200
    randomize: bool = False
    vectors: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    measures: tuple[str, ...] | None = None
    seed: int = 0

    @classmethod
    def named(cls, convention: str = "genscope", **chosen: Any) -> "AnalyzeOptions":
        """Options of a convention with ``chosen`` fields on top.

        Raises:
            UsageError: an unknown convention, option or value.
        """
        if convention not in CONVENTIONS:
            raise UsageError(f"There is no convention {convention!r}; use one of {', '.join(CONVENTIONS)}.")
        unknown = sorted(set(chosen) - set(cls.__dataclass_fields__))
        if unknown:
            raise UsageError(f"There is no option {unknown[0]!r} of analyze; the options are {', '.join(cls.__dataclass_fields__)}.")
        sequences = {name: _several(chosen[name]) for name in ("include", "exclude", "measures", "input_size") if chosen.get(name) is not None}
        options = replace(cls(convention=convention, **CONVENTIONS[convention]), **{**chosen, **sequences})
        options._check()
        return options

    def _check(self) -> None:
        allowed = {
            "conv": ("slices", "reshape", "operator"),
            "normalization": ("WtW", "WtW/N", "weightwatcher"),
            "ks": ("two-sided", "lower"),
            "method": ("auto", "gram", "svd"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise UsageError(f"{name}={getattr(self, name)!r} is not possible; use one of {', '.join(values)}.")
        if self.min_rows < 1:
            raise UsageError("min_rows must be 1 or more.")
        # fewer give no interval at all, and would pass in silence for a run that looked at the uncertainty
        if self.resamples != 0 and self.resamples < FEWEST_RESAMPLES:
            raise UsageError(f"resamples must be 0 (no interval) or at least {FEWEST_RESAMPLES}; 200 is a good number.")

    @property
    def views(self) -> ViewOptions:
        """The part that decides how tensors become matrices."""
        return ViewOptions(conv=self.conv, pool=self.pool, min_rows=self.min_rows, input_size=self.input_size, products=self.products)

    def wants(self, name: str) -> bool:
        """Whether a tensor passes ``include`` and ``exclude``."""
        included = not self.include or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.include)
        return included and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.exclude)

    def select(self, checkpoint: Checkpoint) -> tuple[list[TensorSpec], list[Skip]]:
        """The tensors and the skips of a checkpoint that pass ``include`` and ``exclude``.

        Raises:
            UsageError: the patterns leave nothing, so that a mistyped one cannot pass for a clean result.
        """
        specs = [spec for spec in checkpoint.specs if self.wants(spec.name)]
        skips = [skip for skip in checkpoint.skips if self.wants(skip.layer)]
        if (checkpoint.specs or checkpoint.skips) and not specs and not skips:
            patterns = " ".join([*(f"--include {one!r}" for one in self.include), *(f"--exclude {one!r}" for one in self.exclude)])
            raise UsageError(f"No tensor is left by {patterns}; `genscope describe` lists the names.")
        return specs, skips

    def to_dict(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | int) else tuple(value)
