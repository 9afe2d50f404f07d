"""Losses and error rates on the training and test data, and the gap between them."""

import math

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.measures.ingredients.outputs import Outputs, TestOutputs

_DATA = ("node_rescaling", "permutation")
_ALL = ("node_rescaling", "layer_scaling", "permutation")


@measure(symbol=r"\hat L", unit="nats", expects="none", source="definition", invariant_to=_DATA, cost="one pass")
def train_loss(outputs: Outputs) -> Estimate:
    """The mean training loss.

    Formula:
        L̂ = (1/m) Σ ℓ(f(x_i), y_i), with its 95 % interval over examples.
    Reading:
        How well the network fits; the scale of its outputs enters.
    Args:
        outputs: logits, labels, losses and errors of the training data.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass.
    Source:
        definition.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("train_loss")
        0.07254
    """
    return _mean(outputs.losses)


@measure(symbol=r"\hat R", unit="error rate", expects="none", source="definition", invariant_to=_ALL, cost="one pass")
def train_error(outputs: Outputs) -> Estimate:
    """The share of training examples that are classified wrong.

    Formula:
        R̂ = (1/m) Σ 1[argmax f(x_i) ≠ y_i], with its Clopper–Pearson 95 % interval.
    Reading:
        How well the network fits, whatever the scale of its outputs.
    Args:
        outputs: logits, labels, losses and errors of the training data.
    Returns:
        A number with its interval; unit error rate.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass.
    Source:
        definition.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("train_error")
        0.0
    """
    return _rate(outputs.errors)


@measure(symbol=r"L_{\mathrm{test}}", unit="nats", expects="larger gap", source="definition", invariant_to=_DATA, cost="one pass of the test data")
def test_loss(test_outputs: TestOutputs) -> Estimate:
    """The mean loss on the test data.

    Formula:
        L_test, with its 95 % interval over examples.
    Reading:
        What training does not show; larger is worse.
    Args:
        test_outputs: the same of the test data.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without test data.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass of the test data.
    Source:
        definition.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("test_loss")
        1.073
    """
    return _mean(test_outputs.losses)


@measure(
    symbol=r"R_{\mathrm{test}}", unit="error rate", expects="larger gap", source="definition", invariant_to=_ALL, cost="one pass of the test data"
)
def test_error(test_outputs: TestOutputs) -> Estimate:
    """The share of test examples that are classified wrong.

    Formula:
        R_test, with its Clopper–Pearson 95 % interval.
    Reading:
        What all other measures try to foretell.
    Args:
        test_outputs: the same of the test data.
    Returns:
        A number with its interval; unit error rate.
    Raises:
        Nothing; undefined without test data.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass of the test data.
    Source:
        definition.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("test_error")
        0.5
    """
    return _rate(test_outputs.errors)


@measure(symbol=r"R_{\mathrm{test}}-\hat R", unit="error rate", expects="larger gap", source="definition", invariant_to=_ALL, cost="both passes")
def gap(outputs: Outputs, test_outputs: TestOutputs) -> Estimate:
    """Test error minus training error.

    Formula:
        R_test − R̂, with a 95 % normal interval.
    Reading:
        The generalization gap itself.
    Args:
        outputs: logits, labels, losses and errors of the training data.
        test_outputs: the same of the test data.
    Returns:
        A number with its interval; unit error rate.
    Raises:
        Nothing; undefined without test data.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        Both passes.
    Source:
        definition.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("gap")
        0.5
    """
    value = float(test_outputs.errors.mean() - outputs.errors.mean())
    half = 1.96 * math.sqrt(outputs.errors.var() / len(outputs.errors) + test_outputs.errors.var() / len(test_outputs.errors))
    return Estimate(value, value - half, value + half)


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


# Names that test collectors would take for tests.
test_loss.__test__ = test_error.__test__ = False  # type: ignore[attr-defined]
