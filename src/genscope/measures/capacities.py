"""Capacities with the constants of their bounds: Neyshabur et al. 2017, Golowich et al. 2018 and the spectral PAC-Bayes bound.

All values are natural logarithms.
"""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.measures.norms_over_margin import over_margin
from genscope.numerics.logspace import log_of, log_product, log_sum

_S4 = "Neyshabur et al. 2017, section 2.2"
_SCALING = ("layer_scaling", "permutation")
_PATH = ("node_rescaling", "layer_scaling", "permutation")


@measure(symbol=r"\ln\gamma^{-2}\prod4\|W_i\|_F^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l2_capacity(l2_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The ℓ2 capacity with its constants.

    Formula:
        ln γ⁻² ∏ 4‖W_i‖_F².
    Reading:
        As l2_over_margin, but depth costs ln 4 a layer.
    Args:
        l2_over_margin: the value without constants.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l2_capacity")
        4.382
    """
    return l2_over_margin + len(layer_norms) * math.log(4)


@measure(symbol=r"\ln\gamma^{-2}(\sum_p|\prod2w|)^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l1_path_capacity(l1_path_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The ℓ1-path capacity with its constants.

    Formula:
        ln γ⁻² (Σ_paths |∏ 2w|)²; d counts weight matrices.
    Reading:
        As l1_path_over_margin, but depth costs ln 4 a layer.
    Args:
        l1_path_over_margin: the value without constants.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One forward.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l1_path_capacity")
        4.97
    """
    return l1_path_over_margin + 2 * len(layer_norms) * math.log(2)


@measure(symbol=r"\ln\gamma^{-2}\sum_p\prod4h_iw^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l2_path_capacity(l2_path_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The ℓ2-path capacity with its constants.

    Formula:
        ln γ⁻² Σ_paths ∏ 4 h_i w², h_i the units (channels) of layer i.
    Reading:
        As l2_path_over_margin, but width and depth cost.
    Args:
        l2_path_over_margin: the value without constants.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One forward.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l2_path_capacity")
        5.075
    """
    return l2_path_over_margin + len(layer_norms) * math.log(4) + _log_widths(layer_norms)


@measure(symbol=r"\ln\gamma^{-2}\prod h_i\|W_i\|_2^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="one SVD per layer")
def spectral_capacity(spectral_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The spectral capacity with its widths.

    Formula:
        ln γ⁻² ∏ h_i‖W_i‖₂².
    Reading:
        As spectral_over_margin, but width costs.
    Args:
        spectral_over_margin: the value without constants.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("spectral_capacity")
        2.773
    """
    return spectral_over_margin + _log_widths(layer_norms)


@measure(
    symbol=r"\ln\gamma^{-1}\sqrt{d/m}\prod\|W_i\|_F",
    unit="nats",
    expects="larger gap",
    source="Golowich, Rakhlin & Shamir 2018, theorem 1",
    invariant_to=_SCALING,
    cost="O(n)",
)
def golowich_form(positive_margin: float, layer_norms: tuple[LayerNorms, ...], n_examples: int) -> float:
    """The Frobenius capacity whose depth factor is a root.

    Formula:
        ln[√d ∏‖W_i‖_F/(γ√m)]; the norm of the data is left out.
    Reading:
        The factor 2^d of the ℓ2 capacity shrinks to √d.
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
        n_examples: training examples m.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(n).
    Source:
        Golowich, Rakhlin & Shamir 2018, theorem 1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("golowich_form")
        0.8047
    """
    log_norms = log_product(layer.frobenius for layer in layer_norms)
    return 0.5 * math.log(len(layer_norms) / n_examples) + log_norms - math.log(positive_margin)


@measure(
    symbol=r"\ln[\prod\|W_i\|_2^2\sum\|W_j-W_j^0\|_F^2/\|W_j\|_2^2/\gamma^2]",
    unit="nats",
    expects="larger gap",
    source="Jiang et al. 2020, spec-init-main; Neyshabur et al. 2018",
    invariant_to=("permutation",),
    cost="one SVD per layer",
)
def log_spec_init_main(positive_margin: float, layer_norms: tuple[LayerNorms, ...], initial_distances: InitialDistances) -> float:
    """The PAC-Bayes spectral bound around the initialization, in logarithms.

    Formula:
        ln[∏‖W_i‖₂² Σ_j ‖W_j − W_j⁰‖_F²/‖W_j‖₂²/γ²].
    Reading:
        Spectral capacity that weights at their initialization do not pay for.
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
        initial_distances: norms of the moves from the initialization.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices; undefined without the initial
        weights.
    Invariances:
        Permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Jiang et al. 2020, spec-init-main; Neyshabur et al. 2018.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_spec_init_main")
        1.099
    """
    ratios = log_sum(
        2 * (log_of(moved.frobenius) - log_of(layer.spectral)) for layer, moved in zip(layer_norms, initial_distances.layers, strict=True)
    )
    return over_margin(2 * log_product(layer.spectral for layer in layer_norms) + ratios, positive_margin)


@measure(
    symbol=r"\ln[\prod\|W_i\|_2^2\sum\|W_j\|_F^2/\|W_j\|_2^2/\gamma^2]",
    unit="nats",
    expects="larger gap",
    source="Jiang et al. 2020, spec-orig-main; Neyshabur et al. 2018",
    invariant_to=_SCALING,
    cost="one SVD per layer",
)
def log_spec_orig_main(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The PAC-Bayes spectral bound around the origin, in logarithms.

    Formula:
        ln[∏‖W_i‖₂² Σ_j ‖W_j‖_F²/‖W_j‖₂²/γ²].
    Reading:
        Spectral capacity times the layers' stable ranks.
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
        One SVD per layer.
    Source:
        Jiang et al. 2020, spec-orig-main; Neyshabur et al. 2018.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_spec_orig_main")
        2.197
    """
    ratios = log_sum(2 * (log_of(layer.frobenius) - log_of(layer.spectral)) for layer in layer_norms)
    return over_margin(2 * log_product(layer.spectral for layer in layer_norms) + ratios, positive_margin)


def _log_widths(layers: tuple[LayerNorms, ...]) -> float:
    return log_product(float(layer.rows) for layer in layers)
