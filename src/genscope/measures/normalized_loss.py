"""Losses and errors on the training and test data, as they are and of the normalized network, with the first-order law that ties them.

Liao et al. 2018 plot test against training cross-entropy of networks divided by their product norm ρ. For small logits
``L(f/ρ) = ln C − E[f_y − mean_c f_c]/ρ + O(1/ρ²)``, so such points lie on a line through ``(ln C, ln C)`` whose slope is the ratio of
test and training margins, whatever the networks are. The functions here give that prediction and a null control beside every fit.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import spearmanr

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.normalization import Normalization
from genscope.measures.ingredients.outputs import Outputs, TestOutputs

_S1 = "Liao et al. 2018"
_DATA = ("node_rescaling", "permutation")
_ALL = ("node_rescaling", "layer_scaling", "permutation")


def _mean(values: np.ndarray) -> Estimate:
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return Estimate(mean, mean - half if math.isfinite(half) else None, mean + half if math.isfinite(half) else None)


def _rate(errors: np.ndarray) -> Estimate:
    from scipy.stats import beta

    wrong, n = int(errors.sum()), len(errors)
    low = float(beta.ppf(0.025, wrong, n - wrong + 1)) if wrong else 0.0
    high = float(beta.ppf(0.975, wrong + 1, n - wrong)) if wrong < n else 1.0
    return Estimate(wrong / n, low, high)


@measure(symbol=r"\hat L", unit="nats", expects="none", source="definition", invariant_to=_DATA, cost="one pass")
def train_loss(outputs: Outputs) -> Estimate:
    """The mean training loss, with its 95 % interval over examples."""
    return _mean(outputs.losses)


@measure(symbol=r"\hat R", unit="error rate", expects="none", source="definition", invariant_to=_ALL, cost="one pass")
def train_error(outputs: Outputs) -> Estimate:
    """The share of training examples classified wrong, with its Clopper–Pearson 95 % interval."""
    return _rate(outputs.errors)


@measure(symbol=r"L_{\mathrm{test}}", unit="nats", expects="larger gap", source="definition", invariant_to=_DATA, cost="one pass of the test data")
def test_loss(test_outputs: TestOutputs) -> Estimate:
    """The mean test loss, with its 95 % interval over examples."""
    return _mean(test_outputs.losses)


@measure(
    symbol=r"R_{\mathrm{test}}", unit="error rate", expects="larger gap", source="definition", invariant_to=_ALL, cost="one pass of the test data"
)
def test_error(test_outputs: TestOutputs) -> Estimate:
    """The share of test examples classified wrong, with its Clopper–Pearson 95 % interval."""
    return _rate(test_outputs.errors)


@measure(symbol=r"R_{\mathrm{test}}-\hat R", unit="error rate", expects="larger gap", source="definition", invariant_to=_ALL, cost="both passes")
def gap(outputs: Outputs, test_outputs: TestOutputs) -> Estimate:
    """Test error minus training error, with a 95 % normal interval."""
    value = float(test_outputs.errors.mean() - outputs.errors.mean())
    half = 1.96 * math.sqrt(outputs.errors.var() / len(outputs.errors) + test_outputs.errors.var() / len(test_outputs.errors))
    return Estimate(value, value - half, value + half)


@measure(symbol=r"\ln\rho", unit="nats", expects="larger gap", source=f"{_S1}, eq. 2", invariant_to=("permutation",), cost="O(n)")
def log_rho(log_product_norm: float) -> float:
    """``ln ∏ρ_k``: the product of the layers' Frobenius norms, first bias included, later biases rescaled (exact or undefined)."""
    return log_product_norm


@measure(
    symbol=r"L(\tilde f)",
    unit="nats",
    expects="larger gap",
    source=f"{_S1}, section 3",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass",
)
def normalized_train_loss(outputs: Outputs, normalization: Normalization, loss: str) -> float | Undefined:
    """The training loss of the normalized network ``f̃ = f/ρ``; close to ``ln C`` when ρ is large."""
    return normalized_loss_of(outputs, normalization, loss)


@measure(
    symbol=r"L_{\mathrm{test}}(\tilde f)",
    unit="nats",
    expects="larger gap",
    source=f"{_S1}, section 3",
    invariant_to=("layer_scaling", "permutation"),
    cost="test pass",
)
def normalized_test_loss(test_outputs: TestOutputs, normalization: Normalization, loss: str) -> float | Undefined:
    """The test loss of the normalized network ``f̃ = f/ρ``."""
    return normalized_loss_of(test_outputs, normalization, loss)


@measure(
    symbol=r"m_{\mathrm{test}}/m_{\mathrm{train}}",
    unit="1",
    expects="smaller gap",
    source=f"{_S1}, first-order law",
    invariant_to=_ALL,
    cost="both passes",
)
def predicted_slope(outputs: Outputs, test_outputs: TestOutputs) -> float | Undefined:
    """The slope of test against training normalized loss that the first-order law predicts: the ratio of ``E[f_y − mean_c f_c]``."""
    train = mean_centred_margin(outputs.logits, outputs.labels)
    if train == 0:
        return Undefined("the mean of f_y − mean_c f_c over the training data is zero, so no slope is predicted")
    return mean_centred_margin(test_outputs.logits, test_outputs.labels) / train


@measure(
    symbol=r"\tilde f_{\mathrm{top}}",
    unit="1",
    expects="smaller gap",
    source=f"{_S1}, Figure 20",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass",
)
def normalized_top_logit(outputs: Outputs, normalization: Normalization) -> Estimate:
    """The mean largest output of the normalized network; the interval holds 90 % of the training examples (the histogram is in the curves)."""
    top = np.exp(np.log(np.maximum(outputs.logits.max(axis=1), 1e-300)) - normalization.log_rho)
    return Estimate(float(top.mean()), float(np.quantile(top, 0.05)), float(np.quantile(top, 0.95)))


def normalized_loss_of(outputs: Outputs, normalization: Normalization, loss: str) -> float:
    """The mean loss of ``f/ρ`` from the logits of f (no new pass)."""
    import torch

    from genscope.measures.ingredients.losses import example_losses

    logits = outputs.logits * math.exp(-normalization.log_rho)
    return float(example_losses(loss, torch.from_numpy(logits), torch.from_numpy(outputs.labels)).mean())


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
