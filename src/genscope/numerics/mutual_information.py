"""How much the order of two models by a measure tells about their order by error, once their hyper-parameters are known."""

import numpy as np


def conditional_information(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Conditional mutual information and conditional entropy of two discrete variables, from counts.

    .. math:: I(X;Y|U) = \sum_u p(u) \sum_{x,y} p(x,y|u) \ln \frac{p(x,y|u)}{p(x|u)\,p(y|u)}, \quad H(Y|U) = -\sum_u p(u)\sum_y p(y|u)\ln p(y|u)

    Args:
        counts: non-negative weights of the joint outcomes, shape [..., cells, x, y].

    Returns:
        (I, H) in nats, shape [...]; both 0 for an empty table. Plug-in estimates: with few pairs per cell I is biased upwards.

    Source: Jiang et al. 2020, "Fantastic generalization measures and where to find them", section on conditional mutual information.

    Example:
        >>> information, entropy = conditional_information(np.array([[[5, 0], [0, 5]]]))
        >>> round(float(information), 6), round(float(entropy), 6)
        (0.693147, 0.693147)
    """
    counts = np.asarray(counts, dtype=np.float64)
    total = np.maximum(counts.sum(axis=(-3, -2, -1)), 1e-300)
    joint = _x_log_x(counts).sum(axis=(-3, -2, -1))
    cell = _x_log_x(counts.sum(axis=(-2, -1))).sum(axis=-1)
    x_side = _x_log_x(counts.sum(axis=-1)).sum(axis=(-2, -1))
    y_side = _x_log_x(counts.sum(axis=-2)).sum(axis=(-2, -1))
    information = np.maximum((joint + cell - x_side - y_side) / total, 0.0)
    entropy = np.maximum((cell - y_side) / total, 0.0)
    return information, entropy


def _x_log_x(values: np.ndarray) -> np.ndarray:
    return values * np.log(np.where(values > 0, values, 1.0))


def oriented_cells(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The unordered pair of settings of two models as a cell number, with the sign that puts the pair in its canonical direction.

    Args:
        left, right: integer settings of the first and second model of each pair, shape [pairs].

    Returns:
        (cell [pairs], sign [pairs]: +1, −1 where the pair was turned, 0 where both settings are equal and no direction exists, number of cells).
    """
    low, high = np.minimum(left, right), np.maximum(left, right)
    size = int(high.max()) + 1 if len(high) else 1
    cells, number = np.unique(low.astype(np.int64) * size + high, return_inverse=True)
    return number, np.sign(right - left).astype(np.int8), len(cells)


def sign_counts(
    x_signs: np.ndarray, y_signs: np.ndarray, cell: np.ndarray, turn: np.ndarray, n_cells: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Joint counts of two signs (−1, 0, +1) per cell, shape [cells, 3, 3]; pairs without a direction count half in each direction."""
    flip = np.where(turn == 0, 1, turn)
    code = cell * 9 + (x_signs * flip + 1).astype(np.int64) * 3 + (y_signs * flip + 1).astype(np.int64)
    counts = np.bincount(code, weights=weights, minlength=n_cells * 9).astype(np.float64).reshape(n_cells, 3, 3)
    undirected = np.zeros(n_cells, dtype=bool)
    undirected[cell[turn == 0]] = True
    counts[undirected] = (counts[undirected] + counts[undirected][:, ::-1, ::-1]) / 2
    return counts
