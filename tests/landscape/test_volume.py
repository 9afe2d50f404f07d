"""Volumes of exact ellipsoids: goldens of the unit ball, the naive estimator's shortfall, intervals that cover the truth."""

import math

import numpy as np
import pytest
import torch

from genscope.landscape.coordinates import coordinates_of
from genscope.landscape.proposal import Proposal, diagonal_proposal, low_rank_proposal
from genscope.landscape.rays import Rays
from genscope.landscape.volume import log_radius_statistics, log_unit_ball_volume, log_volume_of, quadratic_log_volume

BALLS = {10: 0.936158, 100: -91.241273, 3457: -9183.464388, 3614: -9680.599679, 269722: -1303744.526}


@pytest.mark.parametrize(("n", "golden"), BALLS.items())
def test_volume_of_the_unit_ball(n: int, golden: float) -> None:
    assert log_unit_ball_volume(n) == pytest.approx(golden, abs=5e-4 if n > 1e5 else 5e-7)


class Ellipsoid:
    """``{z : Σ z_i²/a_i² < 1}`` with axes over some decades; radii along rays in closed form."""

    def __init__(self, n: int, decades: float, seed: int = 0, rotation: torch.Tensor | None = None) -> None:
        axes = torch.logspace(0, decades, n, dtype=torch.float64)
        self.curvature, self.n, self.rotation = axes**-2, n, rotation
        self.truth = log_unit_ball_volume(n) + float(axes.log().sum())
        self.coordinates = coordinates_of({"w": torch.zeros(n, dtype=torch.float64)}, "raw")
        self.rng = np.random.default_rng(seed)

    def hessian(self, block: torch.Tensor) -> torch.Tensor:
        turned = block if self.rotation is None else block @ self.rotation
        moved = turned * self.curvature
        return moved if self.rotation is None else moved @ self.rotation.T

    def rays(self, count: int, proposal: Proposal | None = None) -> Rays:
        seeds = [int(seed) for seed in self.rng.integers(0, 2**62, count)]
        return Rays(self.coordinates, seeds) if proposal is None else Rays(self.coordinates, seeds, proposal)

    def radii(self, rays: Rays) -> np.ndarray:
        parts = []
        for start in range(0, len(rays.seeds), 250):
            directions = rays.batch(start, min(start + 250, len(rays.seeds))).directions
            parts.append(((self.hessian(directions) * directions).sum(1)).rsqrt().numpy())
        return np.concatenate(parts)

    def edge_gradients(self, count: int) -> torch.Tensor:
        """Gradients of ``½ zᵀHz`` where isotropic rays leave the ellipsoid."""
        rays = self.rays(count)
        directions = rays.batch(0, count).directions
        return self.hessian(directions) * torch.from_numpy(self.radii(rays))[:, None]


# n, decades, rays, shortfall in nats measured on three seeds
SHORTFALLS = [(100, 1, 3000, (-19, -14)), (1000, 1, 3000, (-306, -270)), (1000, 2, 3000, (-1060, -1020)), (10000, 1, 1000, (-3620, -3530))]


@pytest.mark.parametrize(("n", "decades", "count", "shortfall"), SHORTFALLS)
def test_the_naive_estimator_falls_short_and_is_refused(n: int, decades: int, count: int, shortfall: tuple[float, float]) -> None:
    ball = Ellipsoid(n, decades)
    found = log_volume_of(ball.radii(ball.rays(count)), n, ball.rng)
    assert found.log_volume is not None and found.ess is not None and found.high is not None
    assert shortfall[0] < found.log_volume - ball.truth < shortfall[1]
    assert found.ess < 10 and found.status == "skipped" and "lower bound" in found.reason
    assert found.high < ball.truth - 5  # its own bootstrap does not notice


@pytest.mark.parametrize(
    ("n", "decades", "count"), [(10, 1, 2000), (100, 1, 2000), (100, 2, 2000), (1000, 1, 2000), (1000, 2, 1000), (10000, 1, 300)]
)
def test_a_preconditioner_that_knows_the_axes_has_no_error(n: int, decades: int, count: int) -> None:
    ball = Ellipsoid(n, decades)
    proposal = diagonal_proposal(ball.curvature, floor=1e-12)
    found = log_volume_of(ball.radii(ball.rays(count, proposal)), n, ball.rng, log_det=proposal.log_det, rtol=1e-9)
    assert found.log_volume == pytest.approx(ball.truth, abs=1e-4)
    assert found.ess == pytest.approx(count) and found.status == "ok"


@pytest.mark.parametrize(("n", "decades"), [(10, 1), (100, 1), (100, 2), (1000, 1)])
def test_intervals_from_gradients_at_the_edge_cover_the_truth(n: int, decades: int) -> None:
    covered = 0
    for seed in range(8):
        ball = Ellipsoid(n, decades, seed)
        curvature = ball.edge_gradients(1024).square().mean(0).sqrt()
        proposal = diagonal_proposal(curvature, floor=1e-6)
        found = log_volume_of(ball.radii(ball.rays(1000, proposal)), n, ball.rng, log_det=proposal.log_det)
        assert found.low is not None and found.high is not None and found.status == "ok"
        covered += found.low <= ball.truth <= found.high
    assert covered >= 6  # 95 % intervals: fewer than 6 of 8 happens once in 200 times


def test_ten_thousand_dimensions_are_covered_too() -> None:
    ball = Ellipsoid(10000, 1)
    curvature = ball.edge_gradients(2048).square().mean(0).sqrt()
    proposal = diagonal_proposal(curvature, floor=1e-6)
    found = log_volume_of(ball.radii(ball.rays(1000, proposal)), 10000, ball.rng, log_det=proposal.log_det)
    assert found.ess is not None and found.ess > 30 and found.low is not None and found.high is not None
    assert found.low - 0.1 <= ball.truth <= found.high + 0.1


def test_a_rotated_ellipsoid_needs_the_low_rank_correction() -> None:
    n, k = 60, 8
    generator = torch.Generator().manual_seed(0)
    vectors = torch.linalg.qr(torch.randn(n, k, generator=generator, dtype=torch.float64)).Q
    ball = Ellipsoid(n, 0)
    ball.curvature = torch.ones(n, dtype=torch.float64)
    heights = torch.logspace(1, 3, k, dtype=torch.float64)
    hessian = torch.eye(n, dtype=torch.float64) + (vectors * heights) @ vectors.T
    ball.hessian = lambda block: block @ hessian  # type: ignore[method-assign]
    truth = log_unit_ball_volume(n) - 0.5 * float(torch.linalg.slogdet(hessian).logabsdet)
    diagonal = diagonal_proposal(hessian.diagonal(), floor=1e-9)
    plain = log_volume_of(ball.radii(ball.rays(2000, diagonal)), n, ball.rng, log_det=diagonal.log_det)
    values, turned = (part.flip(-1)[..., :k] for part in torch.linalg.eigh(hessian))
    residual = (hessian - (turned * values) @ turned.T).diagonal()
    proposal = low_rank_proposal(residual, values, turned, floor=1e-9)
    found = log_volume_of(ball.radii(ball.rays(2000, proposal)), n, ball.rng, log_det=proposal.log_det)
    assert plain.ess is not None and found.ess is not None and found.low is not None and found.high is not None
    assert found.ess > 10 * plain.ess and found.status == "ok"
    assert found.low <= truth <= found.high


def test_the_determinant_of_a_proposal_is_the_one_it_reports() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.linalg.qr(torch.randn(6, 2, generator=generator, dtype=torch.float64)).Q
    proposal = low_rank_proposal(torch.rand(6, generator=generator) + 0.1, torch.tensor([5.0, 0.2]), vectors)
    assert float(torch.linalg.slogdet(proposal.apply(torch.eye(6, dtype=torch.float64))).logabsdet) == pytest.approx(proposal.log_det, abs=1e-9)
    assert proposal.log_det == pytest.approx(0.0, abs=1e-9)


def test_a_ray_that_never_leaves_refuses_the_volume() -> None:
    found = log_volume_of(np.array([1.0] * 500 + [np.nan]), 4, np.random.default_rng(0))
    assert found.status == "skipped" and "1 of 501" in found.reason
    nothing = log_volume_of(np.full(5, np.nan), 4, np.random.default_rng(0))
    assert nothing.log_volume is None and nothing.effective_radius is None and nothing.reason


def test_a_quadratic_has_its_own_volume() -> None:
    eigenvalues = np.array([0.5, 2.0, 8.0])
    truth = math.log(4 / 3 * math.pi * np.prod(np.sqrt(2 * 0.3 / eigenvalues)))
    assert quadratic_log_volume(eigenvalues, 0.3) == pytest.approx(truth)
    assert quadratic_log_volume(np.array([1.0, 0.0]), 0.3) == math.inf


def test_mean_log_radius_of_an_ellipsoid_is_recovered_within_its_standard_error() -> None:
    ball = Ellipsoid(50, 1)
    exact = np.log(ball.radii(ball.rays(40000))).mean()
    found = log_radius_statistics(ball.radii(ball.rays(1000)))
    assert found is not None and abs(found.mean - exact) < 4 * found.sem and found.n_never_crossed == 0


def test_effective_radius_never_undercuts_the_geometric_mean() -> None:
    ball = Ellipsoid(100, 1)
    radii = ball.radii(ball.rays(1000))
    found = log_volume_of(radii, 100, ball.rng)
    assert found.effective_radius is not None and found.effective_radius > np.exp(np.log(radii).mean())
