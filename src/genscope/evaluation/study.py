"""What is ranked and how: columns in memory, already given their parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.evaluation.table import LARGEST
from genscope.numerics.bootstrap import resampling_weights
from genscope.numerics.rank_correlation import average_ranks


@dataclass(frozen=True)
class RankOptions:
    """How uncertainty is found.

    Args:
        n_bootstrap: resamples of models (or of clusters); lowered for very large tables, which is said.
        n_permutations: random orders for the null.
        seed: of both.
        level: of all intervals.
        n_test_examples: examples behind each error; gives the Hoeffding weights of the sign error (without it every pair counts fully).
    """

    n_bootstrap: int = 1000
    n_permutations: int = 2000
    seed: int = 0
    level: float = 0.95
    n_test_examples: int | None = None

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        if self.n_bootstrap < 20 or self.n_permutations < 20:
            raise UsageError("At least 20 bootstrap resamples and 20 permutations are needed.")
        if not 0.5 <= self.level < 1:
            raise UsageError("The level of the intervals must lie between 0.5 and 1.")


@dataclass(frozen=True)
class Study:
    """Models with their measures, errors and circumstances.

    Args:
        values: measures and baselines by name, [n] each, NaN where missing.
        target: error, gap or accuracy [n], NaN where missing.
        target_name: its column.
        models: names [n].
        higher_is_better: whether the target grows with quality.
        axes: hyper-parameters as labels [n].
        groups: group labels [n], or ``None``.
        covariates: numeric confounders [n].
        clusters: labels of models that are resampled together, or ``None``.
        baselines: names in ``values`` that are baselines.
    """

    values: Mapping[str, np.ndarray]
    target: np.ndarray
    target_name: str
    models: tuple[str, ...]
    higher_is_better: bool = False
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    clusters: tuple[str, ...] | None = None
    baselines: frozenset[str] = frozenset()

    @property
    def better(self) -> str:
        """The word for a larger target."""
        return f"larger {self.target_name}"

    def batches(self) -> tuple["Batch", ...]:
        """Measures that are defined on the same models, together."""
        goal = usable(self.target)
        keyed: dict[bytes, list[str]] = {}
        for name, column in self.values.items():
            keyed.setdefault((goal & usable(column)).tobytes(), []).append(name)
        return tuple(Batch(self, tuple(names), np.frombuffer(key, dtype=bool)) for key, names in keyed.items())


def usable(values: np.ndarray) -> np.ndarray:
    """Which entries are numbers that can be squared."""
    return np.abs(values) <= LARGEST


@dataclass(frozen=True)
class Batch:
    """Measures ``names`` on the models where ``mask`` holds; what follows is restricted to those models."""

    study: Study
    names: tuple[str, ...]
    mask: np.ndarray

    @property
    def n(self) -> int:
        """Number of models."""
        return int(self.mask.sum())

    @property
    def columns(self) -> np.ndarray:
        """Measures, [k, n]."""
        return np.stack([self.study.values[name][self.mask] for name in self.names]) if self.names else np.zeros((0, self.n))

    @property
    def target(self) -> np.ndarray:
        """Target, [n]."""
        return self.study.target[self.mask]

    def codes(self, labels: tuple[str, ...] | None) -> np.ndarray | None:
        """Labels of these models as integers; an empty label is a group of its own."""
        if labels is None:
            return None
        here = [label for label, kept in zip(labels, self.mask, strict=True) if kept]
        return np.unique(np.array(here, dtype=object).astype(str), return_inverse=True)[1]

    def independent(self, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """What is exchangeable under the null: (columns, target, groups) of the models, or the median ranks of each cluster (in its group)."""
        clusters = self.codes(self.study.clusters)
        if clusters is None:
            return self.columns, self.target, groups
        pair = np.stack([np.zeros_like(clusters) if groups is None else groups, clusters])
        units, member = np.unique(pair, axis=1, return_inverse=True)
        member = member.reshape(-1)
        ranks = [average_ranks(values) for values in (*self.columns, self.target)]
        medians = np.array([[np.median(values[member == u]) for u in range(units.shape[1])] for values in ranks])
        return medians[:-1], medians[-1], None if groups is None else units[0]

    def weights(self, options: RankOptions) -> np.ndarray:
        """Bootstrap counts [resamples, n]; the same draws whatever other measures are ranked."""
        rng = generator_for(options.seed, "rank", "bootstrap")
        return resampling_weights(self.n, affordable_resamples(options.n_bootstrap, self.n), rng, self.codes(self.study.clusters))


def affordable_resamples(n_bootstrap: int, n: int) -> int:
    """Resamples that keep one measure under about ten billion products: all of them up to 3,000 models, 100 at 10,000.

    Example:
        >>> affordable_resamples(1000, 311), affordable_resamples(1000, 10_000)
        (1000, 100)
    """
    return min(n_bootstrap, max(100, int(1e10 / max(1, n * n))))
