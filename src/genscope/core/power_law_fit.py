"""The value of a power-law fit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PowerLawFit:
    """Tail of the eigenvalue density ``ρ(λ) ~ λ^(-alpha)`` for ``λ >= xmin``.

    ``status`` is ``ok``, ``doubtful`` (fitted, but the evidence speaks against a power law or is too thin) or
    ``skipped`` (no fit; ``alpha`` and its companions are ``None``), with ``reason`` in a sentence.
    """

    alpha: float | None
    xmin: float | None
    n_tail: int
    ks_distance: float | None
    alpha_stderr: float | None
    n: int
    status: str = "ok"
    reason: str | None = None
