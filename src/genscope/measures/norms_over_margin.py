"""Capacities of Neyshabur et al. 2017: a norm of the network over its margin, as plotted (without constants) and as stated (with them).

All values are natural logarithms of the capacity. Scaling the last layer of a bias-free network scales norm and margin alike and leaves
all of them unchanged.
"""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.measures.ingredients.path import LogPathNorms
from genscope.numerics.logspace import log_of, log_product, log_sum

_S4 = "Neyshabur et al. 2017, section 2.2"
_SCALING = ("layer_scaling", "permutation")
_PATH = ("node_rescaling", "layer_scaling", "permutation")


def _over_margin(log_capacity: float, margin: float) -> float:
    return log_capacity - 2.0 * math.log(margin)


def _log_widths(layers: tuple[LayerNorms, ...]) -> float:
    return log_product(float(layer.rows) for layer in layers)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_F^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l2_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² ∏‖W_i‖_F²``, as in their figures."""
    return _over_margin(2 * log_product(layer.frobenius for layer in layer_norms), positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\prod4\|W_i\|_F^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l2_capacity(l2_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² ∏ 4‖W_i‖_F²``, with the factor of their bound."""
    return l2_over_margin + len(layer_norms) * math.log(4)


@measure(symbol=r"\ln\gamma^{-2}(\sum_p|\prod w|)^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l1_path_over_margin(positive_margin: float, log_path_norms: LogPathNorms) -> float:
    """``ln γ⁻² (Σ_paths |∏ w|)²``."""
    return _over_margin(2 * log_path_norms.l1, positive_margin)


@measure(symbol=r"\ln\gamma^{-2}(\sum_p|\prod2w|)^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l1_path_capacity(l1_path_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² (Σ_paths |∏ 2w|)²``; d counts weight matrices."""
    return l1_path_over_margin + 2 * len(layer_norms) * math.log(2)


@measure(symbol=r"\ln\gamma^{-2}\sum_p\prod w^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l2_path_over_margin(positive_margin: float, log_path_norms: LogPathNorms) -> float:
    """``ln γ⁻² Σ_paths ∏ w²``."""
    return _over_margin(2 * log_path_norms.l2, positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\sum_p\prod4h_iw^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l2_path_capacity(l2_path_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² Σ_paths ∏ 4 h_i w²``; h_i is the number of units (channels) of layer i."""
    return l2_path_over_margin + len(layer_norms) * math.log(4) + _log_widths(layer_norms)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_2^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="one SVD per layer")
def spectral_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² ∏‖W_i‖₂²`` with reshaped kernels, as in their figures."""
    return _over_margin(2 * log_product(layer.spectral for layer in layer_norms), positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\prod h_i\|W_i\|_2^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="one SVD per layer")
def spectral_capacity(spectral_over_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² ∏ h_i ‖W_i‖₂²``, with the widths of their bound."""
    return spectral_over_margin + _log_widths(layer_norms)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_{1,\infty}^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l1_inf_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln γ⁻² ∏ ‖W_i‖²_{1,∞}`` (Bartlett 1998)."""
    return _over_margin(2 * log_product(layer.l1_inf for layer in layer_norms), positive_margin)


@measure(
    symbol=r"\ln\gamma^{-1}\sqrt{d/m}\prod\|W_i\|_F",
    unit="nats",
    expects="larger gap",
    source="Golowich, Rakhlin & Shamir 2018, theorem 1",
    invariant_to=_SCALING,
    cost="O(n)",
)
def golowich_form(positive_margin: float, layer_norms: tuple[LayerNorms, ...], n_examples: int) -> float:
    """``ln[√d ∏‖W_i‖_F / (γ √m)]``: the factor 2^d of the ℓ2 capacity shrinks to √d (the data's norm is left out)."""
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
    """``ln[∏‖W_i‖₂² Σ_j ‖W_j − W_j⁰‖_F²/‖W_j‖₂² / γ²]``, the PAC-Bayes spectral bound around the initialization."""
    ratios = log_sum(
        2 * (log_of(moved.frobenius) - log_of(layer.spectral)) for layer, moved in zip(layer_norms, initial_distances.layers, strict=True)
    )
    return _over_margin(2 * log_product(layer.spectral for layer in layer_norms) + ratios, positive_margin)


@measure(
    symbol=r"\ln[\prod\|W_i\|_2^2\sum\|W_j\|_F^2/\|W_j\|_2^2/\gamma^2]",
    unit="nats",
    expects="larger gap",
    source="Jiang et al. 2020, spec-orig-main; Neyshabur et al. 2018",
    invariant_to=_SCALING,
    cost="one SVD per layer",
)
def log_spec_orig_main(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln[∏‖W_i‖₂² Σ_j ‖W_j‖_F²/‖W_j‖₂² / γ²]``, the PAC-Bayes spectral bound around the origin."""
    ratios = log_sum(2 * (log_of(layer.frobenius) - log_of(layer.spectral)) for layer in layer_norms)
    return _over_margin(2 * log_product(layer.spectral for layer in layer_norms) + ratios, positive_margin)
