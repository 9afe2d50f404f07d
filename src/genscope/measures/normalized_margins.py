"""Margins in units of what a network could inflate them with: product norms and spectral complexity."""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.numerics.logspace import log_of, log_product

_S4 = "Neyshabur et al. 2017"


@measure(
    symbol=r"\ln(\gamma/\prod_i\|W_i\|_F)",
    unit="nats",
    expects="smaller gap",
    source=f"{_S4}, section 2.2; Poggio et al. 2020",
    invariant_to=("layer_scaling", "permutation"),
    cost="one pass and the layers' norms",
)
def log_margin_over_frobenius(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The margin per product of Frobenius norms, in logarithms.

    Formula:
        ln γ − Σ ln‖W_i‖_F.
    Reading:
        The margin of the network whose layers have unit norm (exact for bias-free homogeneous networks).
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass and the layers' norms.
    Source:
        Neyshabur et al. 2017, section 2.2; Poggio et al. 2020.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_margin_over_frobenius")
        -0.8047
    """
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
    """The margin of the layer-normalized network, in logarithms.

    Formula:
        ln γ − ln ρ.
    Reading:
        Poggio's normalized margin; larger is better.
    Args:
        positive_margin: the margin quantile, where it is positive.
        log_product_norm: ln ρ of the layer-normalized network.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined when no exact layer normalization exists.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass.
    Source:
        Poggio, Banburski & Liao 2020, normalized margin y f(V; x).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_margin_over_rho")
        -0.8047
    """
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
    """The spectral complexity around zero, in logarithms.

    Formula:
        ln[∏‖W_i‖₂ (Σ (‖W_iᵀ‖_{2,1}/‖W_i‖₂)^{2/3})^{3/2}], for 1-Lipschitz activations.
    Reading:
        The factor of Bartlett's margin bound that depends on the weights.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Bartlett, Foster & Telgarsky 2017, eq. 1.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_spectral_complexity")
        2.802
    """
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
    """The spectral complexity around the initialization, in logarithms.

    Formula:
        ln[∏‖W_i‖₂ (Σ (‖W_iᵀ − M_iᵀ‖_{2,1}/‖W_i‖₂)^{2/3})^{3/2}] with M the initial weights.
    Reading:
        As log_spectral_complexity, but weights that did not move cost nothing.
    Args:
        layer_norms: norms of every weight matrix, in order.
        initial_distances: norms of the moves from the initialization.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices; undefined without the initial weights.
    Invariances:
        Permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Bartlett, Foster & Telgarsky 2017, eq. 1.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_spectral_complexity_init")
        2.119
    """
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
    """The margin in units of the spectral complexity, in logarithms.

    Formula:
        ln γ − ln R_A; the norm of the data is left out.
    Reading:
        Bartlett's normalized margin; larger is better.
    Args:
        positive_margin: the margin quantile, where it is positive.
        log_spectral_complexity: ln R_A.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One pass and one SVD per layer.
    Source:
        Bartlett, Foster & Telgarsky 2017, normalized margin.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_margin_over_spectral_complexity")
        -2.109
    """
    return math.log(positive_margin) - log_spectral_complexity


def _spectral_complexity(layers: tuple[LayerNorms, ...], differences: tuple[LayerNorms, ...]) -> float:
    if any(layer.spectral == 0 for layer in layers):
        return -math.inf
    ratios = sum((moved.l21 / layer.spectral) ** (2 / 3) for layer, moved in zip(layers, differences, strict=True))
    return log_product(layer.spectral for layer in layers) + 1.5 * log_of(ratios)
