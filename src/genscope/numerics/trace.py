"""Stochastic traces of an operator that is only known by its action: Hutchinson, Hutch++ and XTrace, each with its standard error."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Operator = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TraceEstimate:
    """A trace, the standard error of its mean, and the products spent."""

    value: float
    sem: float
    n_products: int


def exact_trace(multiply: Operator, n: int) -> TraceEstimate:
    """The trace by ``n`` products with the unit vectors; no error."""
    return TraceEstimate(float(np.trace(multiply(np.eye(n)))), 0.0, n)


def hutchinson(multiply: Operator, n: int, n_products: int, rng: np.random.Generator) -> TraceEstimate:
    """``mean_k z_kᵀ A z_k`` over random sign vectors (Hutchinson 1990); SEM from the spread, error O(1/√n_products).

    Args:
        multiply: the action on a block, ``[n, k] -> [n, k]``.
        n: dimension.
        n_products: number of probes, ≥ 2.
        rng: generator of the probes.

    Example:
        >>> hutchinson(lambda v: 3.0 * v, 5, 4, np.random.default_rng(0)).value
        15.0
    """
    probes = rng.choice((-1.0, 1.0), size=(n, n_products))
    values = np.einsum("ik,ik->k", probes, multiply(probes))
    return TraceEstimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n_products)), n_products)


def hutch_plus_plus(multiply: Operator, n: int, n_products: int, rng: np.random.Generator) -> TraceEstimate:
    """Exact trace on a sketched range plus Hutchinson on its complement (Meyer et al. 2021), error O(1/n_products).

    A third of the products each go to sketch, projection and probes; the SEM is that of the probes.

    Example:
        >>> round(hutch_plus_plus(lambda v: np.diag([9.0, 1.0, 0.0, 0.0]) @ v, 4, 6, np.random.default_rng(0)).value, 9)
        10.0
    """
    third = max(2, n_products // 3)
    if third >= n:
        return exact_trace(multiply, n)
    basis, _ = np.linalg.qr(multiply(rng.choice((-1.0, 1.0), size=(n, third))))
    captured = float(np.einsum("ik,ik->", basis, multiply(basis)))
    probes = rng.choice((-1.0, 1.0), size=(n, third))
    probes -= basis @ (basis.T @ probes)
    values = np.einsum("ik,ik->k", probes, multiply(probes))
    return TraceEstimate(captured + float(values.mean()), float(values.std(ddof=1) / np.sqrt(third)), 3 * third)


def deflated_hutchinson(
    form: Callable[[np.ndarray], np.ndarray], captured: float, basis: np.ndarray, rng: np.random.Generator,
    *, max_probes: int = 30, tolerance: float = 0.02, block: int = 4,
) -> TraceEstimate:  # fmt: skip
    """``tr(QᵀAQ)`` of a known subspace plus Hutchinson on its complement, until the SEM is small enough.

    As in Hutch++ (Meyer et al. 2021) the sketch Q takes the variance of the large eigenvalues away, but here it is given: a Krylov space that
    another computation has already paid for. Only quadratic forms are asked of the operator, which are cheaper than products.

    Args:
        form: ``[n, k] -> [k]``, the forms ``zᵀAz`` of the columns.
        captured: ``tr(QᵀAQ)``.
        basis: orthonormal columns Q, ``[n, m]``; chosen independently of the probes.
        rng: generator of the probes.
        max_probes: most quadratic forms.
        tolerance: stop when the SEM is within this share of the trace.
        block: forms asked for at once, ≥ 2; at least two blocks are drawn.

    Example:
        >>> deflated_hutchinson(lambda z: np.array([9.0, 1.0, 1.0]) @ z**2, 9.0, np.eye(3)[:, :1], np.random.default_rng(0)).value
        11.0
    """
    n, values = len(basis), np.zeros(0)
    while len(values) < max_probes:
        probes = rng.choice((-1.0, 1.0), size=(n, min(block, max_probes - len(values))))
        probes -= basis @ (basis.T @ probes)
        values = np.concatenate([values, form(probes)])
        sem = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf
        if len(values) >= 2 * block and sem <= tolerance * abs(captured + float(values.mean())):
            break
    return TraceEstimate(captured + float(values.mean()), sem, len(values))


def xtrace(multiply: Operator, n: int, n_products: int, rng: np.random.Generator) -> TraceEstimate:
    """Leave-one-out form of Hutch++ in which every probe both sketches and tests (Epperly, Tropp & Webber 2024, XTrace).

    Half of the products sketch ``A``, half project it; the n/2 exchangeable estimates give the SEM (conservative).

    Example:
        >>> round(xtrace(lambda v: np.diag([9.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]) @ v, 7, 6, np.random.default_rng(0)).value, 9)
        10.0
    """
    half = max(2, n_products // 2)
    if half >= n:
        return exact_trace(multiply, n)
    probes = rng.standard_normal((n, half))
    probes *= np.sqrt(n) / np.linalg.norm(probes, axis=0)
    sketch = multiply(probes)
    basis, triangle = np.linalg.qr(sketch)
    if np.min(np.abs(np.diag(triangle))) <= 1e-13 * np.max(np.abs(np.diag(triangle)), initial=1e-300):
        # The sketch holds the whole range of A: its trace on that range is exact.
        return TraceEstimate(float(np.einsum("ik,ik->", basis, multiply(basis))), 0.0, 2 * half)
    images = multiply(basis)
    inner, projected = basis.T @ images, basis.T @ probes
    # s_i spans what is lost from the range when probe i is left out: the normalised columns of R^{-T}.
    lost = np.linalg.inv(triangle).T
    lost /= np.linalg.norm(lost, axis=0)
    overlap = np.einsum("ik,ik->k", lost, projected)
    kept = projected - lost * overlap
    whole = np.trace(inner) - np.einsum("ik,ik->k", lost, inner @ lost)
    # (I − QᵢQᵢᵀ)ωᵢ = ωᵢ − Q·kept, and its quadratic form, from small matrices only.
    omega_a_omega = np.einsum("ik,ik->k", probes, sketch)
    cross = np.einsum("ik,ik->k", kept, images.T @ probes)
    quadratic = omega_a_omega - 2.0 * cross + np.einsum("ik,ik->k", kept, inner @ kept)
    remaining = n - np.einsum("ik,ik->k", kept, kept)
    values = whole + quadratic * (n - half + 1) / remaining
    return TraceEstimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(half)), 2 * half)
