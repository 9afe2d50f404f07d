"""Losses and errors on the training and test data, as they are and of the normalized network, with the first-order law that ties them.

Liao et al. 2018 plot test against training cross-entropy of networks divided by their product norm ρ. For small logits
``L(f/ρ) = ln C − E[f_y − mean_c f_c]/ρ + O(1/ρ²)``, so such points lie on a line through ``(ln C, ln C)`` whose slope is the ratio of
test and training margins, whatever the networks are. The functions here give that prediction and a null control beside every fit.
"""

import math

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.first_order_law import mean_centred_margin
from genscope.measures.ingredients.normalization import Normalization
from genscope.measures.ingredients.outputs import Outputs, TestOutputs

_S1 = "Liao et al. 2018"
_ALL = ("node_rescaling", "layer_scaling", "permutation")


@measure(symbol=r"\ln\rho", unit="nats", expects="larger gap", source=f"{_S1}, eq. 2", invariant_to=("permutation",), cost="O(n)")
def log_rho(log_product_norm: float) -> float:
    """The product norm of the layer-normalized network, in logarithms.

    Formula:
        ln ρ = Σ_k ln ρ_k with ρ_k = ‖W_k‖_F, the first bias included, later biases rescaled: f = ρ f̃ exactly.
    Reading:
        Grows with training time and with random labels.
    Args:
        log_product_norm: ln ρ of the layer-normalized network.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when no exact layer normalization exists.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Liao et al. 2018, eq. 2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_rho")
        1.498
    """
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
    """The training loss of the normalized network.

    Formula:
        L̂(f̃), f̃ = f/ρ; where no exact layer normalization exists, ρ is the output norm on one training example.
    Reading:
        Close to ln C when ρ is large; smaller means larger normalized margins.
    Args:
        outputs: logits, labels, losses and errors of the training data.
        normalization: ln ρ and how it was found.
        loss: name of the loss.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass.
    Source:
        Liao et al. 2018, section 3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("normalized_train_loss")
        0.4186
    """
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
    """The test loss of the normalized network.

    Formula:
        L_test(f̃), f̃ = f/ρ.
    Reading:
        Nearly linear in the normalized training loss (first-order law).
    Args:
        test_outputs: the same of the test data.
        normalization: ln ρ and how it was found.
        loss: name of the loss.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined without test data.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        Test pass.
    Source:
        Liao et al. 2018, section 3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("normalized_test_loss")
        0.6422
    """
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
    """The slope of test against training normalized loss that the first-order law predicts.

    Formula:
        m_test/m_train with m = E[f_y − mean_c f_c].
    Reading:
        One when test examples have the margins of training examples; smaller is worse.
    Args:
        outputs: logits, labels, losses and errors of the training data.
        test_outputs: the same of the test data.
    Returns:
        A number; unit 1.
    Raises:
        Nothing; undefined without test data.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        Both passes.
    Source:
        Liao et al. 2018, first-order law.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("predicted_slope")
        0.3333
    """
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
    """The mean largest output of the normalized network.

    Formula:
        E max_c f_c/ρ; the interval holds 90 % of the training examples, the histogram is among the curves.
    Reading:
        How far the normalized network is from constant outputs.
    Args:
        outputs: logits, labels, losses and errors of the training data.
        normalization: ln ρ and how it was found.
    Returns:
        A number with its interval; unit 1.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass.
    Source:
        Liao et al. 2018, Figure 20.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("normalized_top_logit")
        0.3354
    """
    top = np.exp(np.log(np.maximum(outputs.logits.max(axis=1), 1e-300)) - normalization.log_rho)
    return Estimate(float(top.mean()), float(np.quantile(top, 0.05)), float(np.quantile(top, 0.95)))


def normalized_loss_of(outputs: Outputs, normalization: Normalization, loss: str) -> float:
    """The mean loss of ``f/ρ`` from the logits of f (no new pass)."""
    import torch

    from genscope.measures.ingredients.losses import example_losses

    logits = outputs.logits * math.exp(-normalization.log_rho)
    return float(example_losses(loss, torch.from_numpy(logits), torch.from_numpy(outputs.labels)).mean())
