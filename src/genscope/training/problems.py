"""The built-in two-dimensional problems of Huang et al.: spirals, the swiss roll, and concentric rings with a pinched margin."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.training.datasets.labelled import Labelled, Split

Draw = Callable[[int, np.random.Generator], Labelled]


@dataclass(frozen=True)
class Problem:
    """A problem whose distribution is known.

    Args:
        name: ``spirals``, ``swiss-roll`` or ``rings``.
        split: training and test examples.
        unseen: further examples of the same distribution, for the poison term; neither trained on nor tested on.
        draw: ``draw(n, rng)`` gives ``n`` fresh examples.
        facts: the numbers that define it.
    """

    name: str
    split: Split
    unseen: Labelled
    draw: Draw
    facts: dict[str, float]


def spirals(seed: int = 0, *, n_per_class: int = 200, turns: float = 1.5, train_share: float = 0.33) -> Problem:
    """Two interleaved spirals ``r = 5 √θ`` without noise: a third to train, the rest in halves for the poison and for the test.

    Args:
        seed: of the split; the points themselves are fixed.
        n_per_class: points per spiral, at equal steps of θ from 0. Both spirals begin at the origin, so of these two points one is always wrong
            when both are trained on.
        turns: how far θ goes, in turns.
        train_share: part of all points that is trained on.

    Source: Huang et al. 2019, Figure 1 and the released code (132 training, 134 poison, 134 test points).

    Example:
        >>> problem = spirals()
        >>> len(problem.split.train), len(problem.unseen), len(problem.split.test)
        (132, 134, 134)
    """
    theta = np.arange(n_per_class) * (2 * math.pi * turns / n_per_class)
    x, y = _both(5 * np.sqrt(theta), theta)
    order = generator_for(seed, "spirals", "split").permutation(len(y))
    n_train = int(train_share * len(y))
    half = n_train + (len(y) - n_train) // 2
    train, unseen, test = (_labelled(x[picks], y[picks]) for picks in (order[:n_train], order[n_train:half], order[half:]))

    def draw(n: int, rng: np.random.Generator) -> Labelled:
        angle = rng.uniform(0, 2 * math.pi * turns, n)
        x, y = _both(5 * np.sqrt(angle), angle)
        picks = np.arange(n) + n * rng.integers(0, 2, n)
        return _labelled(x[picks], y[picks])

    return Problem("spirals", Split(train, test), unseen, draw, {"turns": turns})


def _both(radius: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A spiral of class 0 and its mirror image of class 1."""
    one = np.stack([radius * np.cos(theta), radius * np.sin(theta)], axis=1)
    return np.concatenate([one, -one]), np.repeat([0, 1], len(theta))


def swiss_roll(seed: int = 0, *, n: int = 400, noise: float = 0.5, n_test: int = 2000, n_unseen: int = 400) -> Problem:
    """Two noisy spirals ``x = ∓1.5 θ cos θ, y = ±1.5 θ sin θ`` with ``θ = √U · 600°``.

    Args:
        seed: of all points.
        n: training points, half per class.
        noise: standard deviation of the Gaussian noise on each coordinate.
        n_test, n_unseen: test points and fixed poison points.

    Source: Huang et al. 2019, Figures 3, 5 and 6, and the released code (400 points, noise 0.5).

    Example:
        >>> problem = swiss_roll()
        >>> problem.split.train.x.shape, int(problem.split.train.y.sum())
        ((400, 2), 200)
    """

    def half_each(count: int, rng: np.random.Generator) -> Labelled:
        half = (count + 1) // 2
        theta = np.sqrt(rng.random((half, 1))) * math.radians(600)
        one = np.concatenate([-1.5 * np.cos(theta) * theta, 1.5 * np.sin(theta) * theta], axis=1) + rng.standard_normal((half, 2)) * noise
        return _labelled(np.concatenate([one, -one])[:count], np.repeat([0, 1], half)[:count])

    train, test, unseen = (
        half_each(count, generator_for(seed, "swiss roll", part)) for count, part in ((n, "train"), (n_test, "test"), (n_unseen, "unseen"))
    )
    return Problem("swiss-roll", Split(train, test), unseen, half_each, {"noise": noise})


def rings(seed: int = 0, *, gap: float = 0.001, n_test: int = 520) -> Problem:
    """Concentric rings: 40 points of class 1 on radius ``0.4 + gap`` between 10 points of class 0 on radius 0.4 and 80 on radius 0.95.

    With a small gap the circle that separates the inner rings passes close to all their points, and training does not find it.

    Args:
        seed: of the test points; the training points are fixed.
        gap: distance between the two inner rings.
        n_test: points at random angles on the same rings, in the same proportions.

    Source: Huang et al. 2019, Figure 8 and the released code (gap 0.001).

    Example:
        >>> len(rings().split.train)
        130
    """
    if gap <= 0:
        raise UsageError(f"The gap between the inner rings must be positive, not {gap}.")
    radii, labels, counts = np.array([0.4 + gap, 0.4, 0.95]), np.array([1, 0, 0]), np.array([40, 10, 80])
    angles = [2 * math.pi * np.arange(40) / 40, 2 * math.pi * np.arange(10) / 10 + math.pi / 40, 2 * math.pi * np.arange(80) / 80]
    ring = np.repeat(np.arange(3), counts)

    def at(ring: np.ndarray, angle: np.ndarray) -> Labelled:
        return _labelled(radii[ring, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1), labels[ring])

    def draw(n: int, rng: np.random.Generator) -> Labelled:
        return at(rng.choice(3, n, p=counts / counts.sum()), rng.uniform(0, 2 * math.pi, n))

    test, unseen = (draw(n_test, generator_for(seed, "rings", part)) for part in ("test", "unseen"))
    return Problem("rings", Split(at(ring, np.concatenate(angles)), test), unseen, draw, {"gap": gap})


def _labelled(x: np.ndarray, y: np.ndarray) -> Labelled:
    return Labelled(np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.int64))


PROBLEMS: dict[str, Callable[..., Problem]] = {"spirals": spirals, "swiss-roll": swiss_roll, "rings": rings}
_OPTIONS: dict[str, dict[str, type]] = {
    "spirals": {"seed": int, "n_per_class": int, "turns": float, "train_share": float},
    "swiss-roll": {"seed": int, "n": int, "noise": float, "n_test": int, "n_unseen": int},
    "rings": {"seed": int, "gap": float, "n_test": int},
}


def is_problem(text: str) -> bool:
    """Whether ``text`` names a built-in problem, alone or with options (``rings:gap=0.1,seed=3``)."""
    return text.partition(":")[0] in PROBLEMS


def open_problem(text: str) -> Problem:
    """A built-in problem by name, with options after a colon.

    Raises:
        UsageError: no such problem or option, or a value that is no number.

    Example:
        >>> open_problem("rings:gap=0.2").facts["gap"]
        0.2
    """
    name, _, words = text.partition(":")
    if name not in PROBLEMS:
        raise UsageError(f"There is no built-in problem {name!r}; choose one of {', '.join(PROBLEMS)}.")
    options: dict[str, float | int] = {}
    for word in filter(None, words.split(",")):
        key, equals, value = word.partition("=")
        kind = _OPTIONS[name].get(key)
        if kind is None or not equals:
            raise UsageError(f"{name} has no option {word!r}; give NAME=NUMBER with one of {', '.join(_OPTIONS[name])}.")
        try:
            options[key] = kind(value)
        except ValueError:
            raise UsageError(f"{name}: {key}={value!r} is no {'whole number' if kind is int else 'number'}.") from None
    return PROBLEMS[name](**options)
