"""The conditions C1–C3 of theorem 1 of Neyshabur et al. 2017, measured on unit inputs."""

import math
from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.mlp import ReluChain


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
        masked = masked_weights(relu_chain, x)
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
    """The smallest constant of C1 at each split c over all ``a ≤ c < b``; see :func:`condition_one_constants`.

    Returns:
        ``[d]``, one constant per split point c = 0…d−1.
    """
    found = np.full(len(masked), np.inf)
    for (_, c, _), mu in condition_one_constants(masked, x).items():
        found[c] = min(found[c], mu)
    return found


def condition_one_constants(masked: list[np.ndarray], x: np.ndarray) -> dict[tuple[int, int, int], float]:
    """For each ``a ≤ c < b``, ``√h_c ‖∏_a^b D W‖_F / (‖∏_{c+1}^b D W‖_F ‖∏_a^c D W‖_F)``, where layer 0 is the input x.

    Args:
        masked: ``D_i W_i`` for i = 1…d.
        x: the input, ``[h_0]``.

    Returns:
        The constants μ by (a, c, b); splits at a product that is zero are left out.
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
    found = {}
    for (a, b), whole in norms.items():
        for c in range(a, b):
            parts = norms[c + 1, b] * norms[a, c]
            if parts > 0:
                found[a, c, b] = math.sqrt(layers[c].shape[0]) * whole / parts
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


def masked_weights(chain: ReluChain, x: np.ndarray) -> list[np.ndarray]:
    """``D_i W_i`` of every layer for one input; the last layer is linear."""
    hidden = chain.preactivations(x)
    masks = [(values > 0).astype(float) for values in hidden[:-1]] + [np.ones(len(hidden[-1]))]
    return [mask[:, None] * weight for mask, weight in zip(masks, chain.weights, strict=True)]
