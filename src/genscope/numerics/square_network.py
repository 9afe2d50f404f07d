"""The square and the squared ReLU by ReLU networks whose error is known exactly."""

from dataclasses import dataclass

import numpy as np

from genscope.errors import UsageError

WIDTH = 4


@dataclass(frozen=True)
class SquareNetwork:
    """Weights of a plain ReLU network of one input and one output.

    Args:
        weights: matrices [fan out, fan in], the last of one row.
        biases: vectors [fan out].
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.weights) - 1

    @property
    def n_units(self) -> int:
        """Hidden units."""
        return sum(len(bias) for bias in self.biases[:-1])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The network's value at every entry of ``x``."""
        value = np.asarray(x, dtype=np.float64).reshape(1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            value = np.maximum(weight @ value + bias[:, None], 0.0)
        return (self.weights[-1] @ value + self.biases[-1][:, None]).reshape(np.shape(x))


def square_network(depth: int) -> SquareNetwork:
    r"""A ReLU network of ``depth`` hidden layers of four units that is x_+² on (−∞, 1] (x² on [0, 1]) up to 2^(−2·depth−2).

    .. math:: f_L(x) = x - \sum_{s=1}^{L} 4^{-s} g_s(x), \quad g_s = g \circ g_{s-1}, \quad
        g(x) = 2x_+ - 4(x-\tfrac12)_+ + 2(x-1)_+

    g_s is the sawtooth of 2^(s−1) teeth; f_L interpolates the square at the 2^L + 1 multiples of 2^(−L), and misses it most half-way between two.
    Three units per layer make the sawtooth, the fourth carries the sum. A negative input gives 0 at once, so the same network is the squared
    positive part.

    Args:
        depth: L from 1 to 26 (beyond it float64 no longer resolves the teeth).

    Returns:
        A :class:`SquareNetwork`, 4·L units.

    Raises:
        UsageError: another depth.

    Cost: O(depth) per point.

    Source: Yarotsky 2017, proposition 2 (there with connections that skip layers); used by Poggio, Banburski & Liao below theorem 1.

    Example:
        >>> square_network(2)(np.array([-1.0, 0.0, 0.125, 0.5, 1.0])).tolist()
        [0.0, 0.0, 0.03125, 0.25, 1.0]
        >>> square_error(2)
        0.015625
    """
    if not 1 <= depth <= 26:
        raise UsageError(f"The depth is {depth}; it has to lie between 1 and 26.")
    kinks = np.array([0.0, -0.5, -1.0, 0.0])
    weights = [np.ones((WIDTH, 1))]
    tooth = np.array([2.0, -4.0, 2.0, 0.0])
    for s in range(1, depth):
        carried = np.array([0.0, 0.0, 0.0, 1.0]) - tooth / 4.0**s
        weights.append(np.vstack((tooth, tooth, tooth, carried)))
    weights.append((np.array([0.0, 0.0, 0.0, 1.0]) - tooth / 4.0**depth)[None, :])
    return SquareNetwork(tuple(weights), (*([kinks] * depth), np.zeros(1)))


def square_error(depth: int) -> float:
    """The largest error of :func:`square_network` on (−∞, 1], exactly: 2^(−2·depth−2)."""
    return 2.0 ** (-2 * depth - 2)
