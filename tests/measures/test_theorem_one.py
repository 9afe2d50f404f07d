"""Theorem 1 of Neyshabur et al. 2017: conditions against their definitions, lemmas by simulation."""

import math

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import compute, random_weights, roots_of

from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.relu_conditions import condition_one, condition_three, condition_two, masked_weights
from genscope.measures.theorem_one import theorem_one_bound

WEIGHTS = random_weights((6, 20, 20, 4))
ROOTS = roots_of(WEIGHTS)
CHAIN = compute(ROOTS, ["condition_c3"], chain_inputs=5)["relu_chain"]


def test_the_chain_is_the_network() -> None:
    x = CHAIN.inputs[0]
    assert np.linalg.norm(x) == pytest.approx(1.0)
    with torch.no_grad():
        expected = ROOTS["network"](torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(CHAIN.preactivations(x)[-1], expected)
    product = x
    for part in masked_weights(CHAIN, x):
        product = part @ product
    np.testing.assert_allclose(product, expected)


def test_condition_one_from_its_definition() -> None:
    x = CHAIN.inputs[1]
    layers = [x[:, None], *masked_weights(CHAIN, x)]

    def norm(a: int, b: int) -> float:
        product = layers[a]
        for layer in layers[a + 1 : b + 1]:
            product = layer @ product
        return float(np.linalg.norm(product))

    found = condition_one(masked_weights(CHAIN, x), x)
    for c in range(3):
        by_hand = min(math.sqrt(layers[c].shape[0]) * norm(a, b) / (norm(c + 1, b) * norm(a, c)) for a in range(c + 1) for b in range(c + 1, 4))
        assert found[c] == pytest.approx(by_hand)


def test_condition_two_takes_absolute_values() -> None:
    values = np.array([-0.1, 0.4, -2.0, 3.0])
    assert condition_two(values) == pytest.approx((1 / 4) / 0.1)
    assert condition_two(values, 0.5) == pytest.approx((2 / 4) / 0.4)
    assert condition_two(np.zeros(3)) == math.inf


def test_condition_three_by_hand() -> None:
    weight = np.array([[3.0, 4.0], [0.0, 1.0]])
    assert condition_three(weight, weight) == pytest.approx(math.sqrt(2) * 5 / math.sqrt(26))
    masked = np.array([[0.0, 0.0], [0.0, 1.0]])
    assert condition_three(weight, masked) == pytest.approx(math.sqrt(2) * 5)


def test_lemma_three_by_simulation() -> None:
    rng = np.random.default_rng(0)
    a, b, sigma = rng.standard_normal((3, 4)), rng.standard_normal((5, 2)), 0.3
    draws = np.array([np.linalg.norm(a @ (sigma * rng.standard_normal((4, 5))) @ b) for _ in range(4000)])
    bound = sigma * np.linalg.norm(a) * np.linalg.norm(b)
    assert draws.mean() <= bound
    assert np.mean(draws**2) == pytest.approx(bound**2, rel=0.06)


@pytest.mark.parametrize("sigma", [1e-4, 1e-2, 0.1])
def test_lemma_one_holds(sigma: float) -> None:
    assert 0 < compute(ROOTS, ["lemma_one_ratio"], lemma_sigma=sigma, lemma_draws=30)["lemma_one_ratio"].value <= 1.0


def test_lemma_two_has_a_moderate_constant_here() -> None:
    ratios = compute(ROOTS, ["lemma_two_ratio"], lemma_sigma=3e-2, lemma_draws=200)["lemma_two_ratio"]
    assert set(ratios) == {"0.weight", "2.weight"}
    assert all(0 < ratio < 3 for ratio in ratios.values()), ratios


def test_the_bound_falls_with_data_towards_its_sharpness_term() -> None:
    measured = compute(ROOTS, ["condition_c3"])["conditions"]
    few, many = theorem_one_bound(measured, CHAIN, 10**3), theorem_one_bound(measured, CHAIN, 10**9)
    assert isinstance(few, Estimate) and isinstance(many, Estimate)
    assert 0 < many.value < few.value


def test_other_networks_say_that_the_theorem_is_not_about_them() -> None:
    found = compute({**ROOTS, "params": {"conv": torch.zeros(2, 2, 3, 3)}}, ["condition_c1"])["condition_c1"]
    assert isinstance(found, Undefined) and "feed-forward ReLU" in found.reason
    tanh = {**ROOTS, "forward": lambda params, x: torch.tanh(ROOTS["forward"](params, x))}
    other = compute(tanh, ["theorem_one_bound"])["theorem_one_bound"]
    assert isinstance(other, Undefined) and "does not compute its outputs" in other.reason
