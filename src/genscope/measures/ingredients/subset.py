"""A fixed random subset of the training data that the costly measures share, kept in memory in micro-batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.measures.ingredients.types import Batches

# Micro-batches of this size keep activations of small networks in cache.
MICRO_BATCH = 128


@dataclass(frozen=True)
class Subset:
    """Examples for perturbation, curvature and ascent: ``batches`` of ``(x, y)``, ``n`` in all of ``n_examples``."""

    batches: tuple[tuple[Any, Any], ...]
    n: int
    n_examples: int

    def head(self, count: int) -> tuple[tuple[Any, Any], ...]:
        """The first ``count`` examples (the subset is in random order), in micro-batches."""
        kept, seen = [], 0
        for x, y in self.batches:
            if seen >= count:
                break
            take_n = min(len(y), count - seen)
            kept.append((x, y) if take_n == len(y) else (take(x, slice(0, take_n)), y[:take_n]))
            seen += take_n
        return tuple(kept)


@ingredient
def subset(batches: Batches, n_examples: int, rng: np.random.Generator, *, max_examples: int = 1000) -> Subset:
    """Up to ``max_examples`` training examples, drawn without replacement and shuffled once."""
    chosen = rng.permutation(n_examples)[: min(max_examples, n_examples)]
    return gather(batches, chosen, n_examples)


def gather(batches: Batches, chosen: np.ndarray, n_examples: int) -> Subset:
    """The examples with the given indices, in the given order, in micro-batches."""
    rank = np.full(n_examples, -1)
    rank[chosen] = np.arange(len(chosen))
    xs, ys, places, start = [], [], [], 0
    for x, y in batches:
        here = rank[start : start + len(y)]
        start += len(y)
        picked = np.flatnonzero(here >= 0)
        if len(picked):
            xs.append(take(x, picked))
            ys.append(take(y, picked))
            places.append(here[picked])
    order = np.argsort(np.concatenate(places))
    x, y = take(joined(xs), order), take(joined(ys), order)
    parts = [slice(i, i + MICRO_BATCH) for i in range(0, len(order), MICRO_BATCH)]
    return Subset(tuple((take(x, part), take(y, part)) for part in parts), len(order), n_examples)


def take(x: Any, index: Any) -> Any:
    """Rows of an input, whether it is one tensor, a tuple of them or a mapping of them."""
    if isinstance(x, Mapping):
        return {name: take(value, index) for name, value in x.items()}
    if isinstance(x, tuple | list):
        return tuple(take(value, index) for value in x)
    if isinstance(index, np.ndarray):
        import torch

        index = torch.from_numpy(index).to(x.device)
    return x[index]


def joined(parts: list[Any]) -> Any:
    """Batches of an input end to end."""
    import torch

    first = parts[0]
    if isinstance(first, Mapping):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(joined([part[i] for part in parts]) for i in range(len(first)))
    return torch.cat(parts)
