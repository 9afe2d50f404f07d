"""Scales with a known answer, formulas written out, and a certificate that keeps its promise."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tests.measures.networks_by_hand import compute, random_weights, roots_of

from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.certificate import Certificate, certify, sigma_grid

WEIGHTS = random_weights((4, 5, 3))
ROOTS = roots_of(WEIGHTS)


def one_example(a: float = 1.0) -> dict[str, Any]:
    """Logits (a, −a) on x = 1: wrong under noise exactly when the difference of two noises beats 2a."""
    roots = roots_of([torch.tensor([[a], [-a]], dtype=torch.float64)])
    return {**roots, "batches": [(torch.ones(1, 1).double(), torch.zeros(1).long())], "n_examples": 1}


def test_isotropic_scale_with_a_known_answer() -> None:
    found = compute(one_example(), ["pacbayes_flatness"], n_draws=1500, search_rtol=0.02)["pacbayes_flatness"]
    exact = 2.0 / (math.sqrt(2) * norm.isf(0.1))
    assert found.value == pytest.approx(exact**-2, rel=0.15)
    assert found.low <= found.value <= found.high


def test_magnitude_scale_uses_a_standard_deviation() -> None:
    # Noise σ'|w| with |w| = 3: the same answer in σ' as for weights of size 1 (R6's bug would square it).
    found = compute(one_example(3.0), ["pacbayes_mag_flatness"], n_draws=1500, search_rtol=0.02)["pacbayes_mag_flatness"]
    assert found.value == pytest.approx((2.0 / (math.sqrt(2) * norm.isf(0.1))) ** -2, rel=0.15)


def test_worst_case_scale_with_a_known_answer() -> None:
    # The worst point of a box of half-width α has logits (a − α, −a + α): wrong beyond α = a.
    found = compute(one_example(0.7), ["sharpness_flatness", "sharpness_mag_flatness"], search_rtol=0.002, ascent_steps=5)
    assert found["sharpness_flatness"].value == pytest.approx(0.7**-2, rel=0.01)
    assert found["sharpness_mag_flatness"].value == pytest.approx(1.0, rel=0.02)


def test_formulas_written_out() -> None:
    names = ["pacbayes_orig", "pacbayes_init", "pacbayes_flatness", "pacbayes_mag_orig", "pacbayes_mag_init", "pacbayes_mag_flatness"]
    names += ["sharpness_orig", "sharpness_init", "sharpness_flatness", "sharpness_mag_orig", "sharpness_mag_init", "sharpness_mag_flatness"]
    found = {name: value.value for name, value in compute(ROOTS, names).items() if name in names}
    w = np.concatenate([v.numpy().ravel() for v in ROOTS["params"].values()])
    w0 = np.concatenate([v.numpy().ravel() for v in ROOTS["initial_params"].values()])
    n, log_term, eps = len(w), math.log(60 / 0.05) + 10, 1e-3
    flat, worst = found["pacbayes_flatness"], found["sharpness_flatness"]
    assert found["pacbayes_orig"] == pytest.approx((w @ w) * flat / 4 + log_term)
    assert found["pacbayes_init"] == pytest.approx(((w - w0) @ (w - w0)) * flat / 4 + log_term)
    assert found["sharpness_orig"] == pytest.approx((w @ w) * math.log(2 * n) * worst / 4 + log_term)
    for name, shift in (("orig", 0 * w0), ("init", w0)):
        moved = w - shift
        for kind in ("pacbayes", "sharpness"):
            scale2 = 1 / found[f"{kind}_mag_flatness"]
            top = scale2 + (1 if kind == "pacbayes" else 4 * math.log(2 * n / 0.05))
            terms = [math.log((eps**2 + top * (moved @ moved) / n) / (eps**2 + scale2 * m**2)) for m in moved]
            assert found[f"{kind}_mag_{name}"] == pytest.approx(sum(terms) / 4 + log_term)


def test_an_unfitted_network_has_no_scale_and_a_constant_one_saturates() -> None:
    wrong = compute(roots_of(WEIGHTS, teacher=random_weights((4, 5, 3), seed=5)), ["pacbayes_orig", "pacbayes_mag_orig", "sharpness_orig"])
    for name in ("pacbayes_orig", "pacbayes_mag_orig", "sharpness_orig"):
        assert isinstance(wrong[name], Undefined) and "before any perturbation" in wrong[name].reason
    roots = one_example()
    constant = {**roots, "forward": lambda params, x: 0 * x @ params["0.weight"].T + torch.tensor([1.0, 0.0]).double()}
    found = compute(constant, ["pacbayes_orig"])["pacbayes_orig"]
    assert isinstance(found, Estimate) and found.status == "doubtful" and "saturated" in found.reason


def linear_certificate(seed: int, m: int = 800, d: int = 5, flip: float = 0.1) -> tuple[float, float, Certificate]:
    """A linear classifier learned from m noisy examples, its certificate, and the true risk of its randomized version."""
    rng = np.random.default_rng(seed)
    truth = np.eye(d)[0]
    x = rng.standard_normal((m, d))
    y = np.sign(x @ truth) * np.where(rng.random(m) < flip, -1, 1)
    w = 4 * (y @ x) / np.linalg.norm(y @ x)

    def errors(sigma: float, count: int) -> np.ndarray:
        draws = w + sigma * rng.standard_normal((count, d))
        return np.mean(np.sign(x @ draws.T) != y[:, None], axis=0)

    found = certify(float(w @ w), m, lambda s: float(errors(s, 10).mean()), errors, delta=0.05, n_draws=300, grid=sigma_grid())
    draws = w + found.sigma * rng.standard_normal((4000, d))
    angles = np.arccos(np.clip(draws @ truth / np.linalg.norm(draws, axis=1), -1, 1))
    risk = float(np.mean(flip + (1 - 2 * flip) * angles / np.pi))
    return found.bound, risk, found


def test_the_certificate_holds_in_at_least_95_percent_of_200_repeats() -> None:
    runs = [linear_certificate(seed) for seed in range(200)]
    held = np.mean([bound >= risk for bound, risk, _ in runs])
    assert held >= 0.95
    assert np.median([bound for bound, _, _ in runs]) < 0.45, "a certificate that is always vacuous would pass the line above"


def test_the_certificate_is_made_of_what_it_says() -> None:
    from genscope.numerics.kl import kl_inverse_upper, pac_bayes_kl_bound

    _, _, found = linear_certificate(0, m=300)
    assert found.divergence == pytest.approx(16 / (2 * found.sigma**2))
    assert found.sigma in sigma_grid()
    assert found.empirical_bound == pytest.approx(kl_inverse_upper(found.monte_carlo_error, math.log(2 / 0.01) / 300))
    assert found.bound == pytest.approx(pac_bayes_kl_bound(found.empirical_bound, found.divergence, 300, 0.04 / 25))


def test_certificate_of_a_network_says_when_it_is_vacuous_and_when_it_cannot_hold() -> None:
    found = compute(ROOTS, ["pac_bayes_certificate", "pac_bayes_certificate_init"])
    assert found["pac_bayes_certificate"].status == "doubtful" and "vacuous" in found["pac_bayes_certificate"].reason
    assert 0 < found["pac_bayes_certificate_init"].value <= 1
    unfolded = compute({**ROOTS, "data_dependent_buffers": ("bn.running_mean",)}, ["pac_bayes_certificate"])["pac_bayes_certificate"]
    assert isinstance(unfolded, Undefined) and "bn.running_mean" in unfolded.reason


def test_more_data_certify_an_easy_network() -> None:
    weights = [torch.tensor([[3.0, 0.0], [-3.0, 0.0]], dtype=torch.float64)]
    found = compute(roots_of(weights, n=5000), ["pac_bayes_certificate"], certificate_draws=1000)["pac_bayes_certificate"]
    assert found.status == "ok" and found.value < 0.3
