"""Huang et al.: unit balls, ellipsoids and the optimum of the anti-generalization loss, as numbers that have a closed form."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

# ln of the volume of the unit ball, to the digits given
GOLDEN_BALLS = {10: 0.936158, 100: -91.241273, 3457: -9183.464388, 3614: -9680.599679, 269_722: -1303744.526}


def unit_ball(n: int) -> dict[str, float]:
    """``ln ω_n`` from the library, from the recurrence ``ω_n = 2π/n · ω_{n−2}``, and with the wrong Γ(n/2)."""
    from genscope.landscape.volume import log_unit_ball_volume

    found = log_unit_ball_volume(n)
    first, start = (0.0, 2) if n % 2 == 0 else (math.log(2.0), 3)
    recurrence = first + float(np.log(2 * math.pi / np.arange(start, n + 1, 2)).sum())
    return {"log_volume": found, "recurrence": recurrence, "wrong_gamma": found + math.log(n / 2)}


def ellipsoid_volumes(n: int, decades: float, rays: int, shape_rays: int, rng: np.random.Generator) -> dict[str, Any]:
    """An ellipsoid with half-axes over some decades: its exact log volume, the naive estimate, and one with a shape learned from gradients.

    The radius along u is ``1/‖u/a‖``. The shape is the root of the second moment of the gradients of ``½Σ(x/a)²`` where rays leave, as for networks.
    """
    import torch

    from genscope.landscape.proposal import diagonal_proposal
    from genscope.landscape.volume import log_unit_ball_volume, log_volume_of

    axes = 10.0 ** (decades * (np.arange(n) / (n - 1) - 0.5))
    truth = log_unit_ball_volume(n) + float(np.log(axes).sum())
    second = np.zeros(n)
    for units in _units(n, shape_rays, rng):
        edge = units / np.linalg.norm(units / axes, axis=1, keepdims=True)
        second += np.square(edge / axes**2).sum(axis=0)
    proposal = diagonal_proposal(torch.from_numpy(np.sqrt(second / shape_rays)), floor=1e-6)
    naive, learned = [], []
    for units in _units(n, rays, rng):
        naive.append(1.0 / np.linalg.norm(units / axes, axis=1))
        learned.append(1.0 / np.linalg.norm(proposal.apply(torch.from_numpy(units)).numpy() / axes, axis=1))
    plain = log_volume_of(np.concatenate(naive), n, rng)
    better = log_volume_of(np.concatenate(learned), n, rng, log_det=proposal.log_det, estimator="diagonal")
    found: dict[str, Any] = {"truth": truth}
    for name, volume in (("naive", plain), ("preconditioned", better)):
        assert volume.log_volume is not None and volume.low is not None and volume.high is not None
        found |= {
            f"{name}_error": volume.log_volume - truth, f"{name}_ess": volume.ess, f"{name}_refused": not volume.believed,
            f"{name}_covers": volume.low <= truth <= volume.high,
        }  # fmt: skip
    return found


def _units(n: int, count: int, rng: np.random.Generator, block: int = 250) -> "list[np.ndarray] | Any":
    """Uniform unit vectors in blocks of rows."""
    for start in range(0, count, block):
        drawn = rng.standard_normal((min(block, count - start), n))
        yield drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def poisoned_optimum(beta: float, n_classes: int, start: np.ndarray) -> Mapping[str, float]:
    """Minimize ``(1 − β)(−log p) + β(−log(1 − p))`` over the logits of one example, with the losses that networks are trained on."""
    import torch
    from scipy.optimize import minimize

    from genscope.training.losses import cross_entropies, reverse_cross_entropies

    label = torch.zeros(1, dtype=torch.int64)

    def objective(logits: "Tensor") -> "Tensor":
        return (1 - beta) * cross_entropies(logits[None], label)[0] + beta * reverse_cross_entropies(logits[None], label)[0]

    def value_and_slope(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = torch.from_numpy(values).requires_grad_()
        with torch.enable_grad():
            value = objective(logits)
            (slope,) = torch.autograd.grad(value, logits)
        return float(value.detach()), slope.numpy()

    found = minimize(value_and_slope, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    p = float(torch.softmax(torch.from_numpy(found.x), 0)[0])
    confident = torch.zeros(1, n_classes, dtype=torch.float32)
    confident[0, 0] = 800.0
    literal = -torch.log1p(-torch.softmax(confident, 1)[0, 0])
    stable = float(reverse_cross_entropies(confident, label)[0])
    entropy = -(1 - beta) * math.log(1 - beta) - beta * math.log(beta)
    return {
        "p": p, "distance": abs(p - (1 - beta)), "least": float(found.fun), "excess": abs(float(found.fun) - entropy),
        "literal_finite": bool(torch.isfinite(literal)), "stable_error": abs(stable - (800.0 - math.log(n_classes - 1))),
    }  # fmt: skip
