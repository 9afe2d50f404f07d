"""Theorem 1 of Neyshabur et al. 2017: its conditions C1–C3 measured, its two lemmas checked by simulation, its bound evaluated.

All quantities are for inputs of unit norm, biases set to zero. ``D_i`` is the activation pattern of layer i; the last layer is linear.
"""

import math

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.mlp import ReluChain
from genscope.measures.ingredients.relu_conditions import Conditions, condition_one, masked_weights

_S4 = "Neyshabur et al. 2017, theorem 1"


@measure(
    symbol=r"1/\mu",
    unit="1",
    expects="larger gap",
    source=f"{_S4}, C1",
    invariant_to=("layer_scaling", "permutation"),
    cost="d^2 matrix products per input",
)
def condition_c1(conditions: Conditions) -> dict[str, float]:
    """How much neighbouring layers cancel.

    Formula:
        1/μ per split c: ‖∏_a^b D W‖_F ≥ (μ/√h_c) ‖∏_{c+1}^b D W‖_F ‖∏_a^c D W‖_F for all a ≤ c < b, layer 0 being the input.
    Reading:
        At most 4 in the paper; larger is worse conditioned.
    Args:
        conditions: C1–C3.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined when a whole layer is inactive.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        D^2 matrix products per input.
    Source:
        Neyshabur et al. 2017, theorem 1, C1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("condition_c1")
        {'split after layer 0': 0.7071, 'split after layer 1': 1.0}
    """
    return {f"split after layer {c}": float(1.0 / mu) for c, mu in enumerate(conditions.mu_by_layer)}


@measure(symbol=r"C_2", unit="1", expects="larger gap", source=f"{_S4}, C2", invariant_to=("permutation",), cost="one forward per input")
def condition_c2(conditions: Conditions, relu_chain: ReluChain) -> dict[str, float]:
    """How many units sit near their kink.

    Formula:
        C₂ = max_δ (share of units with |pre-activation| ≤ δ)/δ per hidden layer, δ from a small quantile up.
    Reading:
        At most 5 in the paper; larger flips more easily.
    Args:
        conditions: C1–C3.
        relu_chain: the network as a chain of matrices with unit inputs.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined when a whole layer is inactive; undefined unless the network is a feed-forward ReLU chain.
    Invariances:
        Permuting hidden units.
    Cost:
        One forward per input.
    Source:
        Neyshabur et al. 2017, theorem 1, C2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("condition_c2")
        {'0.weight': 1.0}
    """
    return {name: float(value) for name, value in zip(relu_chain.names, conditions.c2, strict=False)}


@measure(symbol=r"C_3", unit="1", expects="larger gap", source=f"{_S4}, C3", invariant_to=("layer_scaling", "permutation"), cost="O(n) per input")
def condition_c3(conditions: Conditions, relu_chain: ReluChain) -> dict[str, float]:
    """How spiky the largest unit of each layer is.

    Formula:
        C₃ = √h_i ‖W_i‖_{2,∞}/‖D_i W_i‖_F.
    Reading:
        At most 3 in the paper.
    Args:
        conditions: C1–C3.
        relu_chain: the network as a chain of matrices with unit inputs.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined when a whole layer is inactive; undefined unless the network is a feed-forward ReLU chain.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(n) per input.
    Source:
        Neyshabur et al. 2017, theorem 1, C3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("condition_c3")
        {'0.weight': 2.828, '2.weight': 1.0}
    """
    return {name: float(value) for name, value in zip(relu_chain.names, conditions.c3, strict=True)}


@measure(
    symbol=r"\mathrm{lemma\ 1}",
    unit="1",
    expects="none",
    source="Neyshabur et al. 2017, lemma 1",
    invariant_to=("permutation",),
    cost="lemma_draws linear passes",
)
def lemma_one_ratio(relu_chain: ReluChain, rng: np.random.Generator, *, lemma_draws: int = 20, lemma_sigma: float = 1e-3) -> Estimate | Undefined:
    """Left over right side of lemma 1, by simulation.

    Formula:
        E‖f_{w+ν} − f_w‖ / [(∏(1 + σ√(h_i h_{i−1})/(μ²‖D_iW_i‖_F)) − 1)‖f_w‖], activations unchanged; the largest over inputs.
    Reading:
        At most 1 where the lemma holds.
    Args:
        relu_chain: the network as a chain of matrices with unit inputs.
        rng: the node's own generator.
        lemma_draws: noise draws.
        lemma_sigma: noise of every weight.
    Returns:
        A number with its interval; unit 1.
    Raises:
        Nothing; undefined unless the network is a feed-forward ReLU chain.
    Invariances:
        Permuting hidden units.
    Cost:
        Lemma_draws linear passes.
    Source:
        Neyshabur et al. 2017, lemma 1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("lemma_one_ratio")
        0.4807
    """
    ratios = []
    for x in relu_chain.inputs:
        masked = masked_weights(relu_chain, x)
        output = float(np.linalg.norm(relu_chain.preactivations(x)[-1]))
        mu = float(condition_one(masked, x).min())
        if output == 0 or mu == 0:
            return Undefined("the network's output is zero on an input, so lemma 1 says nothing there")
        gammas = [lemma_sigma * math.sqrt(part.size) / (mu**2 * float(np.linalg.norm(part))) for part in masked]
        log_right = float(np.sum(np.log1p(gammas)))
        right = math.expm1(min(log_right, 700.0)) * output
        ratios.append(_linear_deviation(relu_chain, x, lemma_sigma, lemma_draws, rng) / right)
    return Estimate(max(ratios), low=min(ratios))


@measure(
    symbol=r"\mathrm{lemma\ 2}",
    unit="1",
    expects="none",
    source="Neyshabur et al. 2017, lemma 2",
    invariant_to=("permutation",),
    cost="lemma_draws forwards",
)
def lemma_two_ratio(
    relu_chain: ReluChain,
    conditions: Conditions,
    rng: np.random.Generator,
    *,
    lemma_draws: int = 20,
    lemma_sigma: float = 1e-3,
    lemma_delta: float = 0.1,
) -> dict[str, float]:
    """Activations that flip under noise over the bound of lemma 2, per hidden layer.

    Formula:
        E‖D̂_k − D_k‖₁ / (C₂ h_k C_δ σ ‖f^{k−1}‖), the hidden constant of O(·) set to 1.
    Reading:
        The constant that lemma 2 would need.
    Args:
        relu_chain: the network as a chain of matrices with unit inputs.
        conditions: C1–C3.
        rng: the node's own generator.
        lemma_draws: noise draws.
        lemma_sigma: noise of every weight.
        lemma_delta: δ of C_δ.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined unless the network is a feed-forward ReLU chain; undefined when a whole layer is inactive.
    Invariances:
        Permuting hidden units.
    Cost:
        Lemma_draws forwards.
    Source:
        Neyshabur et al. 2017, lemma 2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("lemma_two_ratio")
        {'0.weight': 173.7}
    """
    worst = np.zeros(len(relu_chain.weights) - 1)
    for x in relu_chain.inputs:
        before = relu_chain.preactivations(x)
        flips = np.zeros(len(worst))
        for _ in range(lemma_draws):
            noisy = [weight + lemma_sigma * rng.standard_normal(weight.shape) for weight in relu_chain.weights]
            after = ReluChain(relu_chain.names, tuple(noisy), relu_chain.inputs).preactivations(x)
            flips += [np.sum((old > 0) != (new > 0)) for old, new in zip(before[:-1], after[:-1], strict=True)]
        norms = [1.0, *(float(np.linalg.norm(np.maximum(values, 0))) for values in before[:-2])]
        for k, values in enumerate(before[:-1]):
            bound = conditions.c2[k] * len(values) * _c_delta(len(values), lemma_delta) * lemma_sigma * norms[k]
            worst[k] = max(worst[k], flips[k] / lemma_draws / bound) if bound > 0 else math.inf
    return {name: float(value) for name, value in zip(relu_chain.names, worst, strict=False)}


@measure(symbol=r"\mathrm{theorem\ 1}", unit="nats", expects="larger gap", source=_S4, invariant_to=("permutation",), cost="O(d)")
def theorem_one_bound(
    conditions: Conditions, relu_chain: ReluChain, n_examples: int, *, lemma_delta: float = 0.1, bound_delta: float = 0.05
) -> Estimate | Undefined:
    """The right side of theorem 1 with its hidden constant set to 1, at the best common γ.

    Formula:
        [∏(1+γ) − 1 + ∏(1+γC₂C₃)(∏(1+γC_δC₂) − 1)] √2 E‖f(x)‖ + √((Σ‖W_i‖_F²/σ_i² + ln 1/δ)/m).
    Reading:
        Ranks networks; with a hidden constant it certifies nothing.
    Args:
        conditions: C1–C3.
        relu_chain: the network as a chain of matrices with unit inputs.
        n_examples: training examples m.
        lemma_delta: δ of C_δ.
        bound_delta: probability that the bound fails.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when a whole layer is inactive; undefined unless the network is a feed-forward ReLU chain.
    Invariances:
        Permuting hidden units.
    Cost:
        O(d).
    Source:
        Neyshabur et al. 2017, theorem 1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("theorem_one_bound")
        15.7
    """
    if not np.isfinite(conditions.c2).all() or conditions.mu <= 0:
        return Undefined("a condition of theorem 1 has no finite constant on this network")
    c2, c3 = float(conditions.c2.max(initial=0.0)), float(conditions.c3.max())
    widths = [_c_delta(len(weight), lemma_delta) for weight in relu_chain.weights]
    values = []
    for gamma in np.geomspace(1e-12, 1e2, 141):
        depth = len(widths)
        activations = depth * math.log1p(gamma * c2 * c3) + math.log(
            max(math.expm1(min(sum(math.log1p(gamma * c * c2) for c in widths), 700.0)), 1e-300)
        )
        sharpness = math.expm1(min(depth * math.log1p(gamma), 700.0)) + math.exp(min(activations, 700.0))
        # σ_i = γ μ² ‖W_i‖_F/√(h_i h_{i−1}), so that each ‖W_i‖_F²/σ_i² is the layer's size over (γμ²)².
        norm = sum(weight.size for weight in relu_chain.weights) / (gamma * conditions.mu**2) ** 2
        values.append(sharpness * math.sqrt(2.0) * conditions.output_norm + math.sqrt((norm + math.log(1 / bound_delta)) / n_examples))
    return Estimate(min(values))


def _c_delta(width: int, delta: float) -> float:
    return (1.0 + delta) * math.sqrt(2.0 * math.log(max(width, 2)))


def _linear_deviation(chain: ReluChain, x: np.ndarray, sigma: float, draws: int, rng: np.random.Generator) -> float:
    """Mean ``‖f_{w+ν}(x) − f_w(x)‖`` with the activation pattern of w."""
    hidden = chain.preactivations(x)
    masks = [(values > 0).astype(float) for values in hidden[:-1]] + [np.ones(len(hidden[-1]))]
    total = 0.0
    for _ in range(draws):
        signal = x
        for weight, mask in zip(chain.weights, masks, strict=True):
            signal = mask * ((weight + sigma * rng.standard_normal(weight.shape)) @ signal)
        total += float(np.linalg.norm(signal - hidden[-1]))
    return total / draws
