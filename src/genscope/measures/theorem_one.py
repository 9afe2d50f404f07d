"""Theorem 1 of Neyshabur et al. 2017: its conditions C1–C3 measured, its two lemmas checked by simulation, its bound evaluated.

All quantities are for inputs of unit norm, biases set to zero. ``D_i`` is the activation pattern of layer i; the last layer is linear.
"""

import math
from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.mlp import ReluChain

_S4 = "Neyshabur et al. 2017, theorem 1"


@dataclass(frozen=True)
class Conditions:
    """What the three conditions come out as.

    Args:
        mu: C1's constant, the smallest over inputs and splits ``a ≤ c < b``; larger is better conditioned.
        mu_by_layer: the smallest over splits at each layer c (0 is the input).
        c2: the constant of C2 per hidden layer: the largest share of units within δ of their kink, over δ.
        c3: the constant of C3 per layer.
        output_norm: mean ``‖f(x)‖`` over the unit inputs.
    """

    mu: float
    mu_by_layer: np.ndarray
    c2: np.ndarray
    c3: np.ndarray
    output_norm: float


@ingredient
def conditions(relu_chain: ReluChain, *, smallest_share: float = 0.05) -> Conditions | Undefined:
    """C1–C3 over the given inputs; C2 looks at δ from the ``smallest_share`` quantile of the pre-activations up."""
    mus, c2s, c3s, norms = [], [], [], []
    for x in relu_chain.inputs:
        masked = _masked(relu_chain, x)
        hidden = relu_chain.preactivations(x)
        if not masked[-1].any() or not np.linalg.norm(hidden[-1]):
            return Undefined("all units of a layer are inactive on an input, so C1 has no constant there")
        mus.append(condition_one(masked, x))
        c2s.append([condition_two(values, smallest_share) for values in hidden[:-1]])
        c3s.append([condition_three(weight, mask) for weight, mask in zip(relu_chain.weights, masked, strict=True)])
        norms.append(float(np.linalg.norm(hidden[-1])))
    by_layer = np.min(mus, axis=0)
    return Conditions(float(by_layer.min()), by_layer, np.max(c2s, axis=0), np.max(c3s, axis=0), float(np.mean(norms)))


def condition_one(masked: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """For each split c, ``min √h_c ‖∏_a^b D W‖_F / (‖∏_{c+1}^b D W‖_F ‖∏_a^c D W‖_F)`` over ``a ≤ c < b``, where layer 0 is the input x.

    Args:
        masked: ``D_i W_i`` for i = 1…d.
        x: the input, ``[h_0]``.

    Returns:
        ``[d]``, one constant per split point c = 0…d−1.
    """
    layers = [x[:, None], *masked]
    depth = len(layers)
    norms: dict[tuple[int, int], float] = {}
    for a in range(depth):
        product = layers[a]
        norms[a, a] = float(np.linalg.norm(product))
        for b in range(a + 1, depth):
            product = layers[b] @ product
            norms[a, b] = float(np.linalg.norm(product))
    found = np.full(depth - 1, np.inf)
    for (a, b), whole in norms.items():
        for c in range(a, b):
            parts = norms[c + 1, b] * norms[a, c]
            if parts > 0:
                found[c] = min(found[c], math.sqrt(layers[c].shape[0]) * whole / parts)
    return found


def condition_two(preactivations: np.ndarray, smallest_share: float = 0.0) -> float:
    """``max_δ (share of units with |z| ≤ δ)/δ`` over δ at or above the ``smallest_share`` quantile of ``|z|``.

    Without the lower limit the constant belongs to the single unit nearest its kink.

    Example:
        >>> condition_two(np.array([0.5, -1.0]))
        1.0
    """
    ordered = np.sort(np.abs(preactivations))
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    kept = (share >= smallest_share) & (ordered > 0)
    return float(np.max(share[kept] / ordered[kept])) if kept.any() else math.inf


def condition_three(weight: np.ndarray, masked: np.ndarray) -> float:
    """``√h ‖W‖_{2,∞} / ‖D W‖_F``: how much larger the largest unit is than the average active one."""
    return math.sqrt(len(weight)) * float(np.linalg.norm(weight, axis=1).max()) / float(np.linalg.norm(masked))


@measure(
    symbol=r"1/\mu",
    unit="1",
    expects="larger gap",
    source=f"{_S4}, C1",
    invariant_to=("layer_scaling", "permutation"),
    cost="d^2 matrix products per input",
)
def condition_c1(conditions: Conditions) -> dict[str, float]:
    """``1/μ`` per split of the network: how much neighbouring layers cancel (4 at most in the paper)."""
    return {f"split after layer {c}": float(1.0 / mu) for c, mu in enumerate(conditions.mu_by_layer)}


@measure(symbol=r"C_2", unit="1", expects="larger gap", source=f"{_S4}, C2", invariant_to=("permutation",), cost="one forward per input")
def condition_c2(conditions: Conditions, relu_chain: ReluChain) -> dict[str, float]:
    """``C₂`` per hidden layer: how many units sit near their kink (5 at most in the paper)."""
    return {name: float(value) for name, value in zip(relu_chain.names, conditions.c2, strict=False)}


@measure(symbol=r"C_3", unit="1", expects="larger gap", source=f"{_S4}, C3", invariant_to=("layer_scaling", "permutation"), cost="O(n) per input")
def condition_c3(conditions: Conditions, relu_chain: ReluChain) -> dict[str, float]:
    """``C₃`` per layer: how spiky the largest unit is (3 at most in the paper)."""
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
    """Left over right side of lemma 1, the largest over inputs (at most 1 where the lemma holds): perturbed weights, unchanged activations.

    ``E‖f_{w+ν} − f_w‖ ≤ (∏(1 + σ√(h_i h_{i−1})/(μ²‖D_iW_i‖_F)) − 1)‖f_w‖`` with the μ of each input.
    """
    ratios = []
    for x in relu_chain.inputs:
        masked = _masked(relu_chain, x)
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
    """Activations that flip under noise over ``C₂ h_k C_δ σ ‖f^{k−1}‖``, the bound of lemma 2 with its hidden constant set to 1, per hidden layer."""
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
    """The right side of theorem 1, its hidden constant set to 1 and σ_i chosen so that all γ_i are equal and the sum is smallest.

    ``[∏(1+γ) − 1 + ∏(1+γC₂C₃)(∏(1+γC_δC₂) − 1)] √2 E‖f(x)‖ + √((Σ‖W_i‖_F²/σ_i² + ln 1/δ)/m)``; √2 is the Lipschitz constant of
    cross-entropy. With hidden constants it ranks networks; it certifies nothing.
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


def _masked(chain: ReluChain, x: np.ndarray) -> list[np.ndarray]:
    hidden = chain.preactivations(x)
    masks = [(values > 0).astype(float) for values in hidden[:-1]] + [np.ones(len(hidden[-1]))]
    return [mask[:, None] * weight for mask, weight in zip(masks, chain.weights, strict=True)]


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
