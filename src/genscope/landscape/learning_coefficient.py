r"""The local learning coefficient: how the volume of low loss around the weights shrinks with the loss, by Langevin chains.

The volume of ``{L − L* < ε}`` near a minimum goes as ``ε^λ``; for a regular minimum in d dimensions λ = d/2, and a degenerate one has less. With w
drawn from ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``,

.. math:: \hat\lambda = n\beta\,(\mathrm{E}[L(w)] - L(w^*)), \qquad n\beta = n/\ln n \text{ by default (Watanabe's } \beta = 1/\ln n).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genscope.core.status import DOUBTFUL, FAILED, OK
from genscope.errors import UsageError

Potential = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``points [chains, n] -> (mean losses [chains], their gradients [chains, n])``."""

TARGET_ACCEPTANCE = 0.574  # of the Metropolis-adjusted Langevin algorithm (Roberts & Rosenthal 1998)
WORST_R_HAT = 1.1
LEAST_ACCEPTANCE = 0.2


@dataclass(frozen=True)
class ChainSettings:
    """How the chains run.

    Args:
        n_chains: independent chains.
        n_steps: kept steps of each.
        n_warmup: steps before, in which the step size is tuned to the acceptance rate of 0.574.
        gamma: localization, the inverse variance of the Gaussian around the weights.
        step: first step size ε; the proposal is ``w − ε/2 ∇U + √ε η``; ``None`` starts at ``1/(nβ + γ)``.
        metropolis: accept or reject (exact); without it the acceptance is only recorded (plain SGLD).
    """

    n_chains: int = 4
    n_steps: int = 500
    n_warmup: int = 250
    gamma: float = 1.0
    step: float | None = None
    metropolis: bool = True

    def __post_init__(self) -> None:
        if self.n_chains < 2 or self.n_steps < 8 or self.n_warmup < 0 or not self.gamma >= 0:
            raise UsageError("Chains need n_chains ≥ 2, n_steps ≥ 8, n_warmup ≥ 0 and gamma ≥ 0.")


@dataclass(frozen=True)
class LearningCoefficient:
    """λ̂ with its interval and what the chains say of it.

    Args:
        value: λ̂.
        sem: standard error from the means of half chains (autocorrelation is inside).
        low, high: 95 % interval.
        r_hat: split R̂ of the losses over the chains.
        acceptance: share of accepted proposals after the warm-up.
        n_beta, gamma, step: what the chains ran with.
        losses: ``[chains, steps]`` traces.
        status, reason: ``doubtful`` when λ̂ is negative, chains disagree or hardly move; ``failed`` when they left for infinity.
    """

    value: float
    sem: float
    low: float
    high: float
    r_hat: float
    acceptance: float
    n_beta: float
    gamma: float
    step: float
    losses: np.ndarray
    status: str
    reason: str


def default_n_beta(n: int) -> float:
    """``n/ln n``, Watanabe's temperature for n examples (n, not the size of a mini-batch).

    Example:
        >>> round(default_n_beta(1000), 2)
        144.76
    """
    return n / float(np.log(max(n, 3)))


def local_learning_coefficient(
    potential: Potential, centre: Tensor, n_beta: float, generator: torch.Generator, settings: ChainSettings | None = None
) -> LearningCoefficient:
    """λ̂ at ``centre`` from Metropolis-adjusted Langevin chains that start there.

    Args:
        potential: mean loss and gradient at stacked points; the same data at every step, so that the baseline is not noisy.
        centre: ``[n]`` the weights.
        n_beta: number of examples times inverse temperature.
        generator: of the noise.
        settings: see :class:`ChainSettings`.

    Raises:
        UsageError: ``n_beta`` is not positive.

    Cost: one loss and gradient per step of all chains together.

    Source: Lau et al. 2023; Watanabe 2013 (WBIC). Widely used code takes n for the batch size and a baseline from few batches; here both are exact.

    Example:
        >>> quadratic = lambda w: (0.5 * w.square().sum(1), w)
        >>> found = local_learning_coefficient(quadratic, torch.zeros(4), 1e4, torch.Generator().manual_seed(0))
        >>> abs(found.value - 2.0) < 0.3
        True
    """
    if not n_beta > 0:
        raise UsageError(f"nβ must be positive, not {n_beta:g}.")
    settings = settings or ChainSettings()
    start = float(potential(centre[None])[0][0])
    losses, acceptance, step = _run(potential, centre, n_beta, generator, settings)
    values = n_beta * (losses - start)
    halves = (
        np.concatenate(np.array_split(values, 2, axis=1), axis=0) if values.shape[1] % 2 == 0 else values[:, 1:].reshape(-1, values.shape[1] // 2)
    )
    means = halves.mean(axis=1)
    value, sem = float(values.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))
    from scipy.stats import t

    half = float(t.ppf(0.975, len(means) - 1)) * sem
    r_hat = split_r_hat(losses)
    status, reason = _judged(value, half, r_hat, acceptance, losses, settings)
    if status == OK and value - half > len(centre) / 2:
        status, reason = DOUBTFUL, f"it is above half the {len(centre)} parameters, which no smooth minimum can have; the steps may be too long"
    return LearningCoefficient(value, sem, value - half, value + half, r_hat, acceptance, n_beta, settings.gamma, step, losses, status, reason)


def _run(potential: Potential, centre: Tensor, n_beta: float, generator: torch.Generator, settings: ChainSettings) -> tuple[np.ndarray, float, float]:
    """Losses ``[chains, steps]``, acceptance after the warm-up, final step size."""
    points = centre.repeat(settings.n_chains, 1)
    losses, gradients = potential(points)
    step = settings.step or 1.0 / (n_beta + settings.gamma)
    kept, accepted = [], []

    def energy(at: Tensor, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        away = at - centre
        return n_beta * loss.double() + 0.5 * settings.gamma * away.double().square().sum(1), n_beta * slope + settings.gamma * away

    value, force = energy(points, losses, gradients)
    for index in range(settings.n_warmup + settings.n_steps):
        noise = torch.randn(points.shape, generator=generator, dtype=points.dtype).to(points)
        drift = _bounded(force, step)
        proposed = points - 0.5 * step * drift + step**0.5 * noise
        new_losses, new_gradients = potential(proposed)
        new_value, new_force = energy(proposed, new_losses, new_gradients)
        chance = log_acceptance(points, drift, value, proposed, _bounded(new_force, step), new_value, step).exp().clamp(max=1.0).nan_to_num(0.0)
        uniform = torch.rand(len(points), generator=generator, dtype=torch.float64).to(chance)
        moves = uniform < chance if settings.metropolis else torch.ones_like(chance, dtype=torch.bool)
        points, force = torch.where(moves[:, None], proposed, points), torch.where(moves[:, None], new_force, force)
        value, losses = torch.where(moves, new_value, value), torch.where(moves, new_losses, losses)
        rate = float(chance.mean())
        if index < settings.n_warmup and settings.metropolis:
            step *= float(np.exp((rate - TARGET_ACCEPTANCE) * 3.0 / (1 + index) ** 0.6))
        elif index >= settings.n_warmup:
            kept.append(losses.double().cpu().numpy())
            accepted.append(rate)
    return np.stack(kept, axis=1), float(np.mean(accepted)), step


def _bounded(force: Tensor, step: float) -> Tensor:
    """The drift held to twice the length of the noise: else chains stick where the loss is steeper than a parabola (Roberts & Tweedie 1996)."""
    most = 4.0 * (force.shape[1] / step) ** 0.5
    length = torch.linalg.vector_norm(force, dim=1, keepdim=True)
    return force * (most / length.clamp_min(most))


def log_acceptance(point: Tensor, force: Tensor, energy: Tensor, proposed: Tensor, new_force: Tensor, new_energy: Tensor, step: float) -> Tensor:
    r"""``ln`` of the Metropolis–Hastings ratio of the Langevin proposal ``w' = w − ε/2 ∇U + √ε η``, per row.

    .. math:: U(w) - U(w') + \frac{\|w' - w + \frac{\epsilon}{2}\nabla U(w)\|^2 - \|w - w' + \frac{\epsilon}{2}\nabla U(w')\|^2}{2\epsilon}

    Example:
        >>> zero, there = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[1.5, 5.5]], dtype=torch.float64)
        >>> round(float(log_acceptance(zero, zero, torch.zeros(1), there, there, torch.tensor([16.25]), 0.1).exp()), 5)
        0.66614
    """
    forward = (proposed - point + 0.5 * step * force).double().square().sum(-1)
    backward = (point - proposed + 0.5 * step * new_force).double().square().sum(-1)
    return energy.double() - new_energy.double() + (forward - backward) / (2.0 * step)


def split_r_hat(traces: np.ndarray) -> float:
    """Gelman and Rubin's R̂ of chains cut in half, ``[chains, steps]``; 1 when they agree, infinite when one does not move.

    Example:
        >>> round(split_r_hat(np.random.default_rng(0).normal(size=(4, 1000))), 2)
        1.0
    """
    half = traces.shape[1] // 2
    parts = np.concatenate([traces[:, :half], traces[:, half : 2 * half]], axis=0)
    within = float(parts.var(axis=1, ddof=1).mean())
    between = float(parts.mean(axis=1).var(ddof=1))
    if not within > 0:
        return 1.0 if between == 0 else float("inf")
    return float(np.sqrt((half - 1) / half + between / within))


def _judged(value: float, half: float, r_hat: float, acceptance: float, losses: np.ndarray, settings: ChainSettings) -> tuple[str, str]:
    if not np.isfinite(losses).all() or not np.isfinite(value):
        return FAILED, "a chain left for infinity; choose a smaller step or a larger gamma"
    if value + half < 0:
        return DOUBTFUL, f"it is negative ({value:.3g}): the chains found a lower loss than the weights have, which are no minimum"
    if value < 0:
        return DOUBTFUL, f"it is negative ({value:.3g}) within its error"
    if acceptance < LEAST_ACCEPTANCE:
        what = "are accepted, so the chains hardly move" if settings.metropolis else "would be accepted, so the steps are too long"
        return DOUBTFUL, f"only {acceptance:.0%} of the proposals {what}; give the chains more warm-up or a smaller step"
    if r_hat > WORST_R_HAT:
        return DOUBTFUL, f"the chains disagree (R-hat {r_hat:.3g} above {WORST_R_HAT}); give them more steps"
    return OK, ""
