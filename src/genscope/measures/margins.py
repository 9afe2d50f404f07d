"""Margins: by how much each training example is classified right."""

import math

import numpy as np
from scipy.stats import binom

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.numerics.logspace import log_of, log_product

_S4 = "Neyshabur et al. 2017"


def order_statistic(values: np.ndarray, quantile: float) -> float:
    """The smallest value such that a share ``quantile`` of the examples lies at or below it: the ⌈εm⌉-th smallest.

    Example:
        >>> order_statistic(np.arange(100.0), 0.05), order_statistic(np.arange(100.0), 0.0)
        (4.0, 0.0)
    """
    rank = max(1, math.ceil(quantile * len(values) - 1e-12))
    return float(np.partition(values, rank - 1)[rank - 1])


@measure(
    symbol=r"\gamma_{\mathrm{margin}}",
    unit="logit units",
    expects="smaller gap",
    source=f"{_S4}, section 2.2",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def margin(margins: np.ndarray, *, quantile: float = 0.05) -> Estimate:
    """The margin that all but a share ``quantile`` of the training examples exceed; negative when more than that share is wrong.

    The interval is the 95 % order-statistic interval of that quantile in the population. A negative value is reported as it is;
    measures that divide by the margin are then undefined.
    """
    ordered = np.sort(margins)
    n = len(ordered)
    low, high = (int(np.clip(binom.ppf(p, n, quantile), 0, n - 1)) for p in (0.025, 0.975))
    return Estimate(order_statistic(margins, quantile), float(ordered[low]), float(ordered[high]))


@measure(
    symbol=r"\min_i \gamma_i",
    unit="logit units",
    expects="smaller gap",
    source=f"{_S4}, section 2.2",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def hard_margin(margins: np.ndarray) -> float:
    """The smallest margin of any training example; decided by one example and by the size of the training set."""
    return float(margins.min())


@measure(
    symbol=r"1/\gamma^2",
    unit="1/logit units^2",
    expects="larger gap",
    source="Jiang et al. 2020, inverse margin",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def inverse_margin(positive_margin: float) -> float:
    """``1/γ²`` of the margin quantile."""
    return positive_margin**-2


@measure(
    symbol=r"\ln(\gamma/\prod_i\|W_i\|_F)",
    unit="nats",
    expects="smaller gap",
    source=f"{_S4}, section 2.2; Poggio et al. 2020",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass and the layers' norms",
)
def log_margin_over_frobenius(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The margin of the network whose layers have unit Frobenius norm, ``ln γ − Σ ln‖W_i‖_F`` (exact for bias-free homogeneous networks)."""
    return math.log(positive_margin) - log_product(layer.frobenius for layer in layer_norms)


@measure(
    symbol=r"\ln(\gamma/\rho)",
    unit="nats",
    expects="smaller gap",
    source="Poggio, Banburski & Liao 2020, normalized margin y f(V; x)",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass",
)
def log_margin_over_rho(positive_margin: float, log_product_norm: float) -> float:
    """The margin of the layer-normalized network, ``ln γ − ln ρ`` with the product norm ρ of the normalized losses."""
    return math.log(positive_margin) - log_product_norm


@measure(
    symbol=r"\ln R_A",
    unit="nats",
    expects="larger gap",
    source="Bartlett, Foster & Telgarsky 2017, eq. 1.2",
    invariant_to=("permutation",),
    cost="one SVD per layer",
)
def log_spectral_complexity(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln[∏‖W_i‖₂ (Σ (‖W_iᵀ‖_{2,1}/‖W_i‖₂)^{2/3})^{3/2}]`` with reference matrices zero (1-Lipschitz activations)."""
    return _spectral_complexity(layer_norms, layer_norms)


@measure(
    symbol=r"\ln R_A(W_0)",
    unit="nats",
    expects="larger gap",
    source="Bartlett, Foster & Telgarsky 2017, eq. 1.2",
    invariant_to=("permutation",),
    cost="one SVD per layer",
)
def log_spectral_complexity_init(layer_norms: tuple[LayerNorms, ...], initial_distances: InitialDistances) -> float:
    """``ln[∏‖W_i‖₂ (Σ (‖W_iᵀ − M_iᵀ‖_{2,1}/‖W_i‖₂)^{2/3})^{3/2}]`` with the initialization as reference M."""
    return _spectral_complexity(layer_norms, initial_distances.layers)


@measure(
    symbol=r"\ln(\gamma/R_A)",
    unit="nats",
    expects="smaller gap",
    source="Bartlett, Foster & Telgarsky 2017, normalized margin",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass and one SVD per layer",
)
def log_margin_over_spectral_complexity(positive_margin: float, log_spectral_complexity: float) -> float:
    """The margin in units of the spectral complexity, ``ln γ − ln R_A`` (the data's norm is left out)."""
    return math.log(positive_margin) - log_spectral_complexity


def _spectral_complexity(layers: tuple[LayerNorms, ...], differences: tuple[LayerNorms, ...]) -> float:
    if any(layer.spectral == 0 for layer in layers):
        return -math.inf
    ratios = sum((moved.l21 / layer.spectral) ** (2 / 3) for layer, moved in zip(layers, differences, strict=True))
    return log_product(layer.spectral for layer in layers) + 1.5 * log_of(ratios)
