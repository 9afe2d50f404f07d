"""Randomness that does not depend on company: every consumer's generator is derived from the seed and its own name."""

import hashlib

import numpy as np


def generator_for(seed: int, *names: str) -> np.random.Generator:
    """A NumPy generator for ``names`` (node, layer, …), the same whatever else runs beside it.

    Example:
        >>> a = generator_for(0, "bootstrap", "fc.weight").random()
        >>> b = generator_for(0, "bootstrap", "fc.weight").random()
        >>> a == b
        True
    """
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
