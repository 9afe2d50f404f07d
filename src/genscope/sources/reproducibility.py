"""What it takes to get the same numbers again."""

import hashlib
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import genscope

PACKAGES = ("numpy", "scipy")


def reproducibility_block(
    *, seed: int, device: str = "cpu", digests: Mapping[str, str] | None = None, packages: tuple[str, ...] = PACKAGES
) -> dict[str, Any]:
    """Versions, seed, threads, device and digests; no user, host or path."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {
        "genscope": genscope.__version__,
        "python": platform.python_version(),
        **found,
        "machine": platform.machine(),
        "seed": seed,
        "blas_threads_per_matrix": 1,
        "device": device,
        "weights_digest": _combined(digests or {}),
    }


def array_digest(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes as read (widened to float32 or float64)."""
    return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data if array.size else b"").hexdigest()


def _combined(digests: Mapping[str, str]) -> str | None:
    if not digests:
        return None
    lines = "\n".join(f"{name}\x1f{digest}" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def usable_cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
