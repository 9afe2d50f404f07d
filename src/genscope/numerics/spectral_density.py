"""The density of the eigenvalues of a symmetric operator by stochastic Lanczos quadrature, batched over probes, with its standard error."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genscope.numerics.lanczos import Operator


@dataclass(frozen=True)
class SpectralDensity:
    """One discrete measure per probe; their average approximates the density of the eigenvalues.

    Args:
        nodes: Ritz values, ``[probes, steps]``.
        weights: of each node, ``[probes, steps]``; rows sum to 1.
        n: dimension of the operator.
        n_products: products with it.
    """

    nodes: np.ndarray
    weights: np.ndarray
    n: int
    n_products: int

    def trace_of(self, function: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
        """``tr f(A)`` and its standard error over the probes."""
        values = self.n * (self.weights * function(self.nodes)).sum(axis=1)
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")

    def on_grid(self, grid: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
        """Density on ``grid`` smoothed by a Gaussian of an absolute ``width`` (so that curves can be compared), and its standard error.

        Returns:
            Density and standard error, ``[grid]``; the density integrates to 1.
        """
        kernel = np.exp(-0.5 * ((grid[None, :, None] - self.nodes[:, None, :]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        each = (kernel * self.weights[:, None, :]).sum(axis=2)
        sem = each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.full(len(grid), np.nan)
        return each.mean(axis=0), sem

    def share_above(self, value: float) -> tuple[float, float]:
        """Share of the eigenvalues above ``value`` and its standard error."""
        mean, sem = self.trace_of(lambda nodes: (nodes > value).astype(float))
        return mean / self.n, sem / self.n


def spectral_density(multiply: Operator, n: int, rng: np.random.Generator, *, n_probes: int = 8, n_steps: int = 60) -> SpectralDensity:
    r"""Stochastic Lanczos quadrature: ``tr f(A)/n ≈ mean over probes of Σ_k τ_k² f(θ_k)``.

    All probes advance together (one product with a block per step), with full re-orthogonalisation, which keeps ghosts of the top eigenvalue
    out of the density. θ are the eigenvalues of the tridiagonal matrix of each probe, τ the first components of their eigenvectors.

    Args:
        multiply: the action on a block of columns, ``[n, k] -> [n, k]``.
        n: dimension.
        rng: generator of the probes (random signs).
        n_probes: starting vectors; the standard error falls with their root.
        n_steps: Lanczos steps, at most n; the quadrature is exact for polynomials up to degree ``2·n_steps − 1``.

    Returns:
        Nodes and weights of every probe.

    Cost: ``n_probes · n_steps`` products and ``O(n · n_probes · n_steps²)`` for the orthogonalisation; keeps ``n · n_probes · n_steps`` numbers.

    Source: Golub & Welsch 1969; Ubaru, Chen & Saad 2017; for Hessians Ghorbani et al. 2019 and Yao et al. 2020 (PyHessian).

    Example:
        >>> found = spectral_density(lambda v: np.arange(1.0, 6.0)[:, None] * v, 5, np.random.default_rng(0), n_steps=5)
        >>> [round(number, 6) for number in found.trace_of(lambda x: x)]
        [15.0, 0.0]
    """
    steps = min(n_steps, n)
    current = rng.choice((-1.0, 1.0), size=(n, n_probes)) / np.sqrt(n)
    basis = np.empty((n_probes, steps, n))
    diagonal, off = np.zeros((n_probes, steps)), np.zeros((n_probes, steps))
    scale = np.zeros(n_probes)
    for step in range(steps):
        basis[:, step] = current.T
        image = np.ascontiguousarray(multiply(current).T)
        scale = np.maximum(scale, np.linalg.norm(image, axis=1))
        diagonal[:, step] = np.einsum("pn,pn->p", image, basis[:, step])
        for _ in range(2):  # twice is enough (Parlett)
            held = basis[:, : step + 1]
            image -= np.matmul(np.matmul(held, image[:, :, None])[:, None, :, 0], held)[:, 0]
        length = np.linalg.norm(image, axis=1)
        # Where the Krylov space is exhausted the rest decouples: a zero off-diagonal gives the later nodes no weight.
        alive = length > 1e-10 * np.maximum(scale, 1e-300)
        off[:, step] = np.where(alive, length, 0.0)
        current = np.where(alive[:, None], image / np.where(alive, length, 1.0)[:, None], 0.0).T
    return _quadrature(diagonal, off, n, n_probes * steps)


def _quadrature(diagonal: np.ndarray, off: np.ndarray, n: int, n_products: int) -> SpectralDensity:
    probes, steps = diagonal.shape
    tridiagonal = np.zeros((probes, steps, steps))
    places = np.arange(steps)
    tridiagonal[:, places, places] = diagonal
    tridiagonal[:, places[:-1], places[1:]] = tridiagonal[:, places[1:], places[:-1]] = off[:, :-1]
    nodes, vectors = np.linalg.eigh(tridiagonal)
    return SpectralDensity(nodes, vectors[:, 0] ** 2, n, n_products)
