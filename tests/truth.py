"""Slow exact answers and planted data that tests compare with."""

import numpy as np


def planted_power_law(n: int, alpha: float, rng: np.random.Generator, *, xmin: float = 1.0) -> np.ndarray:
    """``n`` independent draws from ``ρ(λ) ∝ λ^(-alpha)``, ``λ >= xmin``."""
    return xmin * np.exp(rng.standard_exponential(n) / (alpha - 1.0))


def planted_tail_on_bulk(n: int, alpha: float, rng: np.random.Generator, *, share: float = 0.2) -> np.ndarray:
    """A flat bulk on [0.1, 1] and, for ``share`` of the values, a power-law tail that starts at 1."""
    n_tail = round(share * n)
    return np.concatenate((rng.uniform(0.1, 1.0, n - n_tail), planted_power_law(n_tail, alpha, rng)))


def matrix_with_singular_values(values: np.ndarray, rows: int, cols: int, rng: np.random.Generator) -> np.ndarray:
    """[rows, cols] float64 with exactly these singular values, up to rounding; random singular vectors."""
    left, _ = np.linalg.qr(rng.standard_normal((rows, values.size)))
    right, _ = np.linalg.qr(rng.standard_normal((cols, values.size)))
    return (left * values) @ right.T


def noise_eigenvalues(rows: int, cols: int, rng: np.random.Generator, *, uniform: bool = False) -> np.ndarray:
    """Eigenvalues of ``W Wᵀ`` for a matrix of independent entries."""
    weights = rng.uniform(-1.0, 1.0, (rows, cols)) if uniform else rng.standard_normal((rows, cols))
    return np.linalg.eigvalsh(weights @ weights.T)


def ks_distance_by_definition(tail: np.ndarray, alpha: float) -> float:
    """``sup_x |F_n(x) - F(x)|`` of ``tail`` from a power law that starts at its smallest value, counting values one by one."""
    start = tail.min()
    worst = 0.0
    for x in np.unique(tail):
        fitted = 1.0 - (x / start) ** (1.0 - alpha)
        worst = max(worst, abs(np.mean(tail <= x) - fitted), abs(np.mean(tail < x) - fitted))
    return worst


def best_tail_by_brute_force(values: np.ndarray, min_tail: int) -> tuple[float, float, int, float]:
    """alpha, xmin, tail size and distance of the Clauset–Shalizi–Newman fit: every distinct value tried, every point looked at."""
    best = (np.inf, 0.0, 0.0, 0)
    for start in np.unique(values):
        tail = values[values >= start]
        spread = np.sum(np.log(tail / start))
        if tail.size >= min_tail and spread > 1e-9 * tail.size:
            alpha = 1.0 + tail.size / spread
            distance = ks_distance_by_definition(tail, alpha)
            if distance < best[0]:
                best = (distance, alpha, start, tail.size)
    return best[1], best[2], best[3], best[0]
