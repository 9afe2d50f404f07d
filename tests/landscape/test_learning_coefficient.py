"""Learning coefficients against exact ones: regular minima, normal crossings by quadrature, reduced-rank regression; acceptance goldens."""

import numpy as np
import pytest
import torch

from genscope.errors import UsageError
from genscope.landscape.learning_coefficient import (
    ChainSettings,
    LearningCoefficient,
    local_learning_coefficient,
    log_acceptance,
    split_r_hat,
)
from genscope.landscape.local_entropy import local_entropy_of

# point, energy, proposal, energy there, step, acceptance probability; U = |x|²/2, so that the force is the point itself
ACCEPTANCE = [
    ((0.0, 0.0), 0.0, (1.5, 5.5), 16.25, 0.1, 0.6661436),
    ((1.0, 1.0), 1.0, (1.5, 0.5), 1.25, 0.5, 0.9692332),
    ((0.0, 0.0), 0.0, (10.5, 5.5), 70.25, 0.1, 0.17268492),
    ((0.0, 0.0), 0.0, (10.5, 5.5), 70.25, 0.5, 0.00015359),
]


@pytest.mark.parametrize(("point", "energy", "proposal", "there", "step", "golden"), ACCEPTANCE)
def test_acceptance_of_a_langevin_proposal(
    point: tuple[float, float], energy: float, proposal: tuple[float, float], there: float, step: float, golden: float
) -> None:
    a, b = torch.tensor([point]), torch.tensor([proposal])
    found = log_acceptance(a, a, torch.tensor([energy]), b, b, torch.tensor([there]), step)
    assert float(found.exp().clamp(max=1.0)) == pytest.approx(golden, rel=1e-4)


def sampled(potential, n: int, n_beta: float, start: torch.Tensor | None = None, **settings) -> LearningCoefficient:  # type: ignore[no-untyped-def]
    centre = torch.zeros(n, dtype=torch.float64) if start is None else start
    chosen = ChainSettings(**{"n_chains": 8, "n_steps": 3000, "n_warmup": 500, "gamma": 1.0, **settings})
    return local_learning_coefficient(potential, centre, n_beta, torch.Generator().manual_seed(0), chosen)


def test_a_regular_minimum_has_half_its_dimension() -> None:
    scale = torch.logspace(0, 1, 10, dtype=torch.float64)
    found = sampled(lambda w: (0.5 * (scale * w.square()).sum(1), scale * w), 10, 1e4)
    exact = 0.5 * float((1e4 * scale / (1e4 * scale + 1.0)).sum())
    assert found.status == "ok" and found.low <= exact <= found.high and found.sem < 0.25
    assert found.r_hat < 1.05 and 0.45 < found.acceptance < 0.7


def crossing(p: int, q: int):  # type: ignore[no-untyped-def]
    def potential(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = w[:, 0], w[:, 1]
        value = (a**p * b**q).square()
        slope = torch.stack([2 * p * a ** max(2 * p - 1, 0) * b ** (2 * q), 2 * q * b ** (2 * q - 1) * a ** (2 * p)], dim=1)
        return value, slope

    return potential


def by_quadrature(p: int, q: int, n_beta: float, gamma: float = 1.0) -> float:
    """``nβ E[L]`` under ``exp(−nβ L − γ/2 |w|²)`` on a grid that is fine near the axes."""
    half = np.concatenate([np.zeros(1), np.geomspace(1e-6, 6.0, 1500)])
    middle, width = (half[1:] + half[:-1]) / 2, np.diff(half)
    loss = (middle[:, None] ** p * middle[None] ** q) ** 2
    weight = np.exp(-n_beta * loss - 0.5 * gamma * (middle[:, None] ** 2 + middle[None] ** 2)) * width[:, None] * width[None]
    return float(n_beta * (loss * weight).sum() / weight.sum())


@pytest.mark.parametrize(("p", "q"), [(0, 1), (1, 2), (0, 3)])
def test_quadrature_tends_to_the_exact_coefficient(p: int, q: int) -> None:
    assert by_quadrature(p, q, 1e9) == pytest.approx(1 / (2 * max(p, q)), rel=0.03)


@pytest.mark.parametrize(("p", "q"), [(0, 1), (1, 1), (1, 2), (0, 3)])
def test_normal_crossings(p: int, q: int) -> None:
    found = sampled(crossing(p, q), 2, 300.0, n_chains=16)
    exact = by_quadrature(p, q, 300.0)
    # One step size has to serve a narrow crossing and long flat axes, so that chains mix slowly: a few hundredths remain.
    assert abs(found.value - exact) < max(3 * found.sem, 0.05) and found.sem < 0.06
    assert found.value == pytest.approx(1 / (2 * max(p, q)), rel=0.4)


def reduced_rank(rank: int):  # type: ignore[no-untyped-def]
    """``½ |BA − B₀A₀|²`` with A [2, 3], B [3, 2] at a most singular true point of the given rank."""
    a = torch.zeros(2, 3, dtype=torch.float64)
    a[range(rank), range(rank)] = 1.0
    b = a.T.clone()
    truth = b @ a

    def potential(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = w[:, :6].reshape(-1, 3, 2), w[:, 6:].reshape(-1, 2, 3)
        error = left @ right - truth
        slope = torch.cat([(error @ right.transpose(1, 2)).flatten(1), (left.transpose(1, 2) @ error).flatten(1)], dim=1)
        return 0.5 * error.square().sum((1, 2)), slope

    return potential, torch.cat([b.flatten(), a.flatten()])


# Aoyagi & Watanabe 2005 for 3 inputs, 2 hidden, 3 outputs
@pytest.mark.parametrize(("rank", "exact"), [(1, 3.5), (2, 4.0)])
def test_reduced_rank_regression(rank: int, exact: float) -> None:
    potential, start = reduced_rank(rank)
    found = sampled(potential, 12, 1000.0, start, n_chains=16, gamma=1.0)
    assert found.value == pytest.approx(exact, rel=0.12)
    assert found.value < 5.5  # a regular model of 12 parameters would have 6


def test_a_point_that_is_no_minimum_raises_the_alarm() -> None:
    found = sampled(lambda w: (w.sum(1), torch.ones_like(w)), 3, 50.0, gamma=10.0)
    assert found.value < 0 and found.status == "doubtful" and "negative" in found.reason


def test_chains_that_disagree_or_explode_are_noticed() -> None:
    assert split_r_hat(np.stack([np.random.default_rng(0).normal(k, 0.1, 100) for k in range(3)])) > 3
    assert split_r_hat(np.ones((3, 10))) == 1.0
    wild = sampled(lambda w: (w.pow(4).sum(1), 4 * w.pow(3)), 2, 1e3, torch.ones(2, dtype=torch.float64), metropolis=False, step=10.0, n_steps=50)
    assert wild.status == "doubtful" and "too long" in wild.reason
    start = torch.ones(2, dtype=torch.float64)
    lost = sampled(lambda w: (torch.where(w == 1, 0.0, torch.nan).sum(1), w), 2, 1e3, start, metropolis=False, n_steps=50)
    assert lost.status == "failed" and "infinity" in lost.reason
    with pytest.raises(UsageError, match="n_chains"):
        ChainSettings(n_chains=1)
    with pytest.raises(UsageError, match="positive"):
        sampled(crossing(0, 1), 2, 0.0)


def test_the_same_seed_gives_the_same_chains() -> None:
    one, again = (sampled(crossing(1, 1), 2, 100.0, n_steps=50, n_warmup=20) for _ in range(2))
    assert np.array_equal(one.losses, again.losses)


def test_local_entropy_of_a_quadratic_is_the_gaussian_integral() -> None:
    rng = np.random.default_rng(0)
    curvature, gamma, beta = np.array([0.5, 2.0, 8.0]), 4.0, 3.0
    draws = rng.normal(0.0, gamma**-0.5, (20000, 3))
    found = local_entropy_of(0.5 * (draws**2 @ curvature), beta, rng)
    exact = -0.5 * float(np.log1p(beta * curvature / gamma).sum())
    assert found.status == "ok" and found.low is not None and found.high is not None
    assert found.low <= exact <= found.high and found.high - found.low < 0.05


def test_local_entropy_without_support_says_so() -> None:
    rng = np.random.default_rng(0)
    assert local_entropy_of(np.full(5, np.inf), 1.0, rng).status == "skipped"
    lonely = local_entropy_of(np.array([0.1] + [1e3] * 99), 1.0, rng)
    assert lonely.status == "skipped" and "too wide" in lonely.reason
