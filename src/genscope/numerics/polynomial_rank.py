"""How many units polynomials need, as exact numbers and as numeric ranks: shallow networks against binary trees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from genscope.errors import UsageError


@dataclass(frozen=True)
class UnitCounts:
    """Units that polynomials of degree ``degree`` in ``variables`` variables need.

    Args:
        variables, degree: n, and the degree k.
        shallow: C(n + k, k), the dimension of all polynomials of degree k (theorem 2).
        tree: (n − 1)·C(2 + k, 2), for binary trees of polynomials of degree k (theorem 3).
        shallow_printed, tree_printed: k^n and (n − 1)·k², which the theorems give as approximations.
        composed_degree: k^(log₂ n), the degree that a tree of polynomials of degree k has as a whole.
        shallow_composed: C(n + k^(log₂ n), n), what a shallow network needs for all polynomials of that degree.
        tree_dimension: parameters of such a tree that change its function: (n − 1)·C(2 + k, 2) − 2(n − 2).
    """

    variables: int
    degree: int
    shallow: int
    tree: int
    shallow_printed: int
    tree_printed: int
    composed_degree: int
    shallow_composed: int
    tree_dimension: int


def unit_counts(variables: int, degree: int) -> UnitCounts:
    r"""The exact numbers of theorems 2 and 3 beside their printed approximations.

    .. math:: r_{shallow} = \binom{n+k}{k}, \qquad r_{tree} = (n-1)\binom{2+k}{2}

    The printed k^n leaves out 1/n! (for n = 8, k = 4: 65,536 against 495). The two numbers belong to different degrees: a tree of constituents of
    degree k has degree k^(log₂ n), so the tree polynomials are no subset of the polynomials of degree k, as the text has it;
    ``shallow_composed`` compares like with like. ``tree_dimension`` is smaller than ``tree`` because every inner edge can be scaled and shifted
    without changing the function.

    Args:
        variables: n, a power of two from 2.
        degree: k from 1.

    Returns:
        :class:`UnitCounts`, exact integers.

    Raises:
        UsageError: other values.

    Cost: a few products of integers.

    Source: Poggio, Banburski & Liao, theorems 2 and 3; dimension of the trees: ours.

    Example:
        >>> [(unit_counts(8, k).shallow, unit_counts(8, k).tree) for k in (2, 3, 4)]
        [(45, 42), (165, 70), (495, 105)]
        >>> unit_counts(4, 2).shallow, unit_counts(4, 2).tree
        (15, 18)
    """
    if variables < 2 or variables & (variables - 1):
        raise UsageError(f"A binary tree needs a power of two of variables, 2 or more, not {variables}.")
    if degree < 1:
        raise UsageError(f"The degree is {degree}; it has to be 1 or more.")
    per_node = math.comb(2 + degree, 2)
    composed = degree ** (variables.bit_length() - 1)
    return UnitCounts(
        variables,
        degree,
        math.comb(variables + degree, degree),
        (variables - 1) * per_node,
        degree**variables,
        (variables - 1) * degree**2,
        composed,
        math.comb(variables + composed, variables),
        # trees of affine functions are affine: n + 1 numbers
        (variables - 1) * per_node - 2 * (variables - 2) if degree > 1 else variables + 1,
    )


def monomial_exponents(variables: int, degree: int) -> np.ndarray:
    """Exponents [C(n + k, k), n] of all monomials of degree at most ``degree``, by total degree.

    Example:
        >>> monomial_exponents(2, 2).tolist()
        [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]
    """
    rows = []
    for total in range(degree + 1):
        for chosen in combinations_with_replacement(range(variables), total):
            rows.append(np.bincount(np.array(chosen, dtype=np.int64), minlength=variables))
    return np.array(rows)


def monomial_rank(variables: int, degree: int, rng: np.random.Generator) -> int:
    """Numeric rank of the design matrix of all monomials on random points: the dimension of the polynomials.

    Formula: rank [x_i^β] over β, with a quarter more points than monomials, uniform in [-1, 1].

    Example:
        >>> monomial_rank(8, 3, np.random.default_rng(0))
        165
    """
    exponents = monomial_exponents(variables, degree)
    points = rng.uniform(-1.0, 1.0, (_enough(len(exponents)), variables))
    powers = points[:, None, :] ** np.arange(degree + 1)[:, None]  # [points, degree + 1, variables]
    design = np.ones((len(points), len(exponents)))
    for place in range(variables):
        design *= powers[:, exponents[:, place], place]
    return numeric_rank(design)


def ridge_power_rank(variables: int, degree: int, rng: np.random.Generator, units: int | None = None) -> int:
    """Dimension of what ``units`` shallow units (w·x + b)^k with random weights span.

    With C(n + k, k) units it is the whole space of polynomials of degree k, with fewer as many dimensions as units: theorem 2's count is needed
    and suffices.

    Example:
        >>> ridge_power_rank(4, 2, np.random.default_rng(0)), ridge_power_rank(4, 2, np.random.default_rng(0), units=40)
        (15, 15)
    """
    dimension = math.comb(variables + degree, degree)
    units = dimension if units is None else units
    weights = rng.standard_normal((variables + 1, units))
    weights /= np.linalg.norm(weights, axis=0)
    points = rng.uniform(-1.0, 1.0, (_enough(max(dimension, units)), variables))
    return numeric_rank((np.hstack((points, np.ones((len(points), 1)))) @ weights) ** degree)


def tree_polynomial_rank(variables: int, degree: int, rng: np.random.Generator) -> int:
    """Rank of the derivative of a random tree of polynomials with respect to its coefficients: the dimension of the set of such trees.

    The value at every point is differentiated exactly, by the chain rule along the tree.

    Example:
        >>> tree_polynomial_rank(4, 2, np.random.default_rng(0))
        14
    """
    exponents = monomial_exponents(2, degree)
    points = rng.uniform(-1.0, 1.0, (_enough((variables - 1) * len(exponents)), variables))
    values, columns = points, [np.empty((len(points), 0)) for _ in range(variables)]  # per node: d value / d coefficients below it
    while values.shape[1] > 1:
        next_values, next_columns = [], []
        for place in range(0, values.shape[1], 2):
            pair = values[:, place : place + 2]
            monomials, by_input = _monomials(pair, exponents)
            coefficients = rng.standard_normal(len(exponents))
            raw = monomials @ coefficients
            scale = np.abs(raw).max()  # a constant of the node: keeps every level within [-1, 1]
            inner = [(by_input[side] @ coefficients / scale)[:, None] * columns[place + side] for side in (0, 1)]
            next_values.append(raw / scale)
            next_columns.append(np.hstack((monomials / scale, *inner)))
        values, columns = np.stack(next_values, axis=1), next_columns
    return numeric_rank(columns[0])


def numeric_rank(matrix: np.ndarray, tolerance: float | None = None) -> int:
    """Number of singular values above ``max(shape)·eps·σ_max`` after every column is scaled to a largest entry of one."""
    sizes = np.abs(matrix).max(axis=0)
    scaled = matrix[:, sizes > 0] / sizes[sizes > 0]
    values = np.linalg.svd(scaled, compute_uv=False)
    bound = max(matrix.shape) * np.finfo(np.float64).eps if tolerance is None else tolerance
    return int((values > bound * values[0]).sum()) if values.size else 0


def _enough(dimension: int) -> int:
    return dimension + dimension // 4 + 8


def _monomials(pair: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, Sequence[np.ndarray]]:
    """Monomials of two variables [points, m] and their derivatives by either."""
    first, second = exponents.T
    x, y = pair[:, :1], pair[:, 1:]
    by_x = first * x ** np.maximum(first - 1, 0) * y**second
    by_y = second * x**first * y ** np.maximum(second - 1, 0)
    return x**first * y**second, (by_x, by_y)
