"""The first-order law behind test-against-training plots of normalized losses, and the null control that belongs beside every fit.

For small logits ``L(f/ρ) = ln C − E[f_y − mean_c f_c]/ρ + O(1/ρ²)``: points lie on a line through ``(ln C, ln C)`` whose slope is the
ratio of test and training margins, whatever the networks are.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import spearmanr


def mean_centred_margin(logits: np.ndarray, labels: np.ndarray) -> float:
    """``E[f_y − mean_c f_c]``.

    Example:
        >>> mean_centred_margin(np.array([[2.0, 0.0]]), np.array([0]))
        1.0
    """
    return float(np.mean(logits[np.arange(len(labels)), labels] - logits.mean(axis=1)))


@dataclass(frozen=True)
class FirstOrderLaw:
    """Per network ``(L_test − ln C)/(L_train − ln C)`` beside ``m_test/m_train``, and the fitted line beside its fixed point ``ln C``."""

    measured: np.ndarray
    predicted: np.ndarray
    slope: float
    intercept: float
    fixed_point: float
    log_classes: float
    r_squared: float


def first_order_law(train: np.ndarray, test: np.ndarray, train_margins: np.ndarray, test_margins: np.ndarray, n_classes: int) -> FirstOrderLaw:
    """Fit test against training normalized cross-entropy of several networks and compare with what the first-order law predicts.

    Args:
        train: normalized training losses, one per network.
        test: normalized test losses.
        train_margins: ``E[f_y − mean_c f_c]`` on the training data, any common scale per network.
        test_margins: the same on the test data.
        n_classes: C.
    """
    slope, intercept = np.polyfit(train, test, 1)
    residual = test - (slope * train + intercept)
    spread = float(np.sum((test - test.mean()) ** 2))
    log_classes = math.log(n_classes)
    fixed = intercept / (1 - slope) if slope != 1 else math.inf
    measured = (test - log_classes) / (train - log_classes)
    r_squared = 1.0 - float(residual @ residual) / spread if spread > 0 else 0.0
    return FirstOrderLaw(measured, test_margins / train_margins, float(slope), float(intercept), float(fixed), log_classes, r_squared)


@dataclass(frozen=True)
class NullControl:
    """Slope, R² and rank correlation that unrelated random scales alone produce."""

    slope: np.ndarray
    r_squared: np.ndarray
    spearman: np.ndarray


def null_control(
    train_logits: np.ndarray, train_labels: np.ndarray, test_logits: np.ndarray, test_labels: np.ndarray,
    *, rng: np.random.Generator, n_networks: int = 24, n_repeats: int = 20, scales: tuple[float, float] = (1e3, 5e3),
) -> NullControl:  # fmt: skip
    """What a fit of test against training normalized loss shows when nothing is there to be found.

    Simulated networks share one logit distribution (bootstrap samples of the given one) and are divided by scales drawn without regard
    to them. A high R² from this null says that the published R² is no evidence; what remains is the slope, the fixed point and the
    rank correlation with the error.

    Args:
        train_logits, train_labels: one network's training outputs.
        test_logits, test_labels: its test outputs.
        rng: generator.
        n_networks: networks per simulated figure.
        n_repeats: simulated figures.
        scales: range of the random divisors.
    """
    slopes, fits, ranks = [], [], []
    for _ in range(n_repeats):
        rho = rng.uniform(*scales, size=n_networks)
        points = []
        for scale in rho:
            pair = []
            for logits, labels in ((train_logits, train_labels), (test_logits, test_labels)):
                rows = rng.integers(0, len(labels), len(labels))
                pair.append((_cross_entropy(logits[rows] / scale, labels[rows]), float(np.mean(logits[rows].argmax(1) != labels[rows]))))
            points.append((pair[0][0], pair[1][0], pair[1][1]))
        train, test, error = np.array(points).T
        law = first_order_law(train, test, np.ones(n_networks), np.ones(n_networks), train_logits.shape[1])
        slopes.append(law.slope)
        fits.append(law.r_squared)
        ranks.append(float(spearmanr(train, error).statistic) if np.ptp(error) > 0 else 0.0)
    return NullControl(np.array(slopes), np.array(fits), np.array(ranks))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]))
