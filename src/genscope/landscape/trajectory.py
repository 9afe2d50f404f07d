"""Paths of training in two dimensions: principal components from the Gram matrix, a random walk to hold them against, and t-SNE."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genscope.core.seeds import generator_for
from genscope.errors import UnsupportedInput, UsageError

Array = NDArray[np.float64]
PRINCIPAL, PERPLEXITY, WALKS, CHUNK = 50, 30.0, 200, 2**20


def gram_matrix(columns: Iterable[Sequence[NDArray[np.floating]]]) -> tuple[Array, int]:
    """Inner products of checkpoints, centred at their mean, without ever holding all their parameters.

    Args:
        columns: for each parameter tensor the same tensor of every checkpoint, in order.

    Returns:
        ``[checkpoints, checkpoints]`` in float64, and the number of parameters.

    Cost: checkpoints² · params multiplications; memory for one chunk of :data:`CHUNK` numbers of every checkpoint.
    """
    gram: Array | None = None
    n = 0
    for tensors in columns:
        rows = [np.asarray(tensor).reshape(-1) for tensor in tensors]
        size = len(rows[0])
        n += size
        gram = np.zeros((len(rows), len(rows))) if gram is None else gram
        step = max(1, CHUNK // len(rows))
        for start in range(0, size, step):
            block = np.stack([row[start : start + step].astype(np.float64) for row in rows])
            # subtracting the mean first keeps what distinguishes close checkpoints from cancelling
            block -= block.mean(0)
            gram += block @ block.T
    if gram is None:
        raise UsageError("A trajectory needs at least one parameter tensor.")
    return gram, n


@dataclass(frozen=True)
class Principal:
    """Principal components of a trajectory.

    Args:
        coordinates: ``[checkpoints, components]`` in units of the parameters; the mean of all checkpoints is the origin.
        explained: ``[components]`` share of the variance.
        distance: ``[checkpoints]`` distance from the mean.
        off_plane: ``[checkpoints]`` distance from the plane of the first two components.
    """

    coordinates: Array
    explained: Array
    distance: Array
    off_plane: Array


def principal_components(gram: Array, n_components: int = PRINCIPAL) -> Principal:
    """Principal components from the centred Gram matrix: its eigenvectors, scaled.

    Args:
        gram: ``[checkpoints, checkpoints]`` of centred points.
        n_components: at most.

    Returns:
        Components with their shares of variance; the sign of each is such that the last checkpoint is not on the negative side.

    Raises:
        UsageError: fewer than three checkpoints, or all of them equal.

    Source: Lorch 2016; Li et al. 2018, section 7 (they centre at the last checkpoint, which makes the first component its distance).

    Example:
        >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]) - [1.0, 0.0]
        >>> principal_components(points @ points.T).explained.round(6).tolist()
        [1.0, 0.0]
    """
    if len(gram) < 3:
        raise UsageError(f"A trajectory needs at least 3 checkpoints, not {len(gram)}.")
    total = float(np.trace(gram))
    if not np.isfinite(total):
        raise UsageError("A checkpoint of the trajectory holds NaN or infinite weights; leave it out.")
    if total <= 0:
        raise UsageError("All checkpoints of the trajectory are the same.")
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.where(values > len(gram) * np.finfo(np.float64).eps * total, values, 0.0)  # what is below is rounding
    every = vectors[:, : len(gram) - 1] * np.sqrt(values[: len(gram) - 1])
    every = every * np.where(every[-1] < 0, -1.0, 1.0)
    # from the other components, not as a difference of squares: that would be noise of size 1e-8 for a path in a plane
    off_plane = np.linalg.norm(every[:, 2:], axis=1)
    return Principal(every[:, :n_components], values[:n_components][: len(gram) - 1] / total, np.sqrt(np.diag(gram)), off_plane)


@dataclass(frozen=True)
class Walk:
    """What a random walk with steps of the same lengths looks like.

    Args:
        explained: ``[walks, 2]`` shares of variance of the first two components.
        coordinates: ``[checkpoints, 2]`` of one walk, to draw beside the trajectory.
    """

    explained: Array
    coordinates: Array


def random_walks(step_lengths: Array, n_params: int, *, walks: int = WALKS, seed: int = 0) -> Walk:
    """Principal components of random walks whose steps have the given lengths and independent uniform directions.

    In many dimensions any random walk looks orderly in its first two components (the first explains about 6/π² of the variance), so a picture of a
    trajectory means something only beside it. The inner products of directions in n dimensions are drawn exactly from their Wishart law, so the
    cost does not depend on n.

    Args:
        step_lengths: ``[checkpoints − 1]``.
        n_params: dimensions n.
        walks: how many.
        seed: of the draws.

    Source: Antognini & Sohl-Dickstein 2018.

    Example:
        >>> random_walks(np.ones(300), 10**6, walks=3).explained[:, 0].round(2).tolist()
        [0.61, 0.61, 0.61]
    """
    rng = generator_for(seed, "trajectory", "random walk")
    steps = len(step_lengths)
    explained, first = [], None
    for _ in range(walks):
        directions = _directions_factor(steps, n_params, rng)
        path = np.concatenate([np.zeros((1, directions.shape[1])), np.cumsum(directions * step_lengths[:, None], axis=0)])
        path -= path.mean(0)
        found = principal_components(path @ path.T, 2)
        explained.append(np.pad(found.explained, (0, 2 - len(found.explained))))
        first = found.coordinates if first is None else first
    assert first is not None
    return Walk(np.array(explained), first)


def _directions_factor(steps: int, n: int, rng: np.random.Generator) -> Array:
    """Unit rows whose inner products are those of ``steps`` uniform directions in ``n`` dimensions (Bartlett's factor of a Wishart matrix)."""
    if n <= steps:
        rows = rng.standard_normal((steps, n))
    else:
        rows = np.tril(rng.standard_normal((steps, steps)), -1)
        rows[np.diag_indices(steps)] = np.sqrt(rng.chisquare(n - np.arange(steps)))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tsne(coordinates: Array, *, perplexity: float = PERPLEXITY, seed: int = 0) -> tuple[Array, float]:
    """A t-SNE embedding of points that were reduced to at most 50 principal components first.

    Neighbourhoods are kept, distances and densities are not: gaps between groups mean little, and the picture changes with perplexity and seed.

    Args:
        coordinates: ``[points, components]``.
        perplexity: neighbours per point; lowered to a third of the points where there are few.
        seed: of the optimizer.

    Returns:
        ``[points, 2]`` and the perplexity that was used.

    Raises:
        UsageError: fewer than four points, or a perplexity that is not positive.
        UnsupportedInput: scikit-learn is not installed.

    Source: van der Maaten & Hinton 2008; PCA to 50 components first as in Huang et al. 2019, Figure 1.
    """
    if len(coordinates) < 4:
        raise UsageError(f"t-SNE needs at least 4 checkpoints, not {len(coordinates)}; use PCA.")
    if not perplexity > 0:
        raise UsageError(f"The perplexity must be positive, not {perplexity}.")
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UnsupportedInput("t-SNE needs scikit-learn; install genscope[digits].") from None
    used = float(min(perplexity, (len(coordinates) - 1) / 3))
    init = "pca" if coordinates.shape[1] >= 2 else "random"
    found = TSNE(n_components=2, perplexity=used, init=init, learning_rate="auto", random_state=seed).fit_transform(coordinates)
    return np.asarray(found, dtype=np.float64), used
