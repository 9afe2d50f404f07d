r"""Local entropy: how much of a Gaussian neighbourhood of the weights has a low loss (Chaudhari et al. 2017)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from genscope.core.status import DOUBTFUL, OK, SKIPPED
from genscope.numerics.bootstrap import percentile_interval, resampling_weights

LEAST_ESS = 5.0


@dataclass(frozen=True)
class LocalEntropy:
    """``ln E exp(−β·L)`` in nats with its interval; the largest possible value is 0.

    Args:
        value: the local entropy without the constant ``(n/2) ln(2π/γ)``.
        low, high: bootstrap interval, 95 %.
        ess: effective number of draws behind the mean.
        n_draws: draws with a finite loss.
        status, reason: ``skipped`` when fewer than 5 effective draws carry it.
    """

    value: float
    low: float | None
    high: float | None
    ess: float
    n_draws: int
    status: str
    reason: str


def local_entropy_of(losses: np.ndarray, beta: float, rng: np.random.Generator, n_resamples: int = 500) -> LocalEntropy:
    r"""The local entropy from losses at draws of ``N(w, γ⁻¹)``.

    .. math:: F(w, \gamma) = \ln \int e^{-\beta L(w') - \frac{\gamma}{2}\|w - w'\|^2}\,dw'
        = \frac{n}{2}\ln\frac{2\pi}{\gamma} + \ln \mathrm{E}\,e^{-\beta L(w')}

    The first term only depends on n and γ and is left out; an infinite loss counts as a weight of zero.

    Args:
        losses: ``[draws]``.
        beta: inverse temperature of the mean loss; 1 in Entropy-SGD.
        rng: of the bootstrap.
        n_resamples: resamples.

    Example:
        >>> round(local_entropy_of(np.full(50, 0.25), 2.0, np.random.default_rng(0)).value, 6)
        -0.5
    """
    logs = np.where(np.isfinite(losses), -beta * losses, -np.inf)
    if not len(logs) or not np.isfinite(logs).any():
        return LocalEntropy(float("-inf"), None, None, 0.0, 0, SKIPPED, "no draw in the neighbourhood has a finite loss")
    value = float(logsumexp(logs)) - float(np.log(len(logs)))
    weights = np.exp(logs - logsumexp(logs))
    ess = float(1.0 / np.square(weights).sum())
    shifted = np.exp(logs - logs.max())
    with np.errstate(divide="ignore"):
        means = np.log(resampling_weights(len(logs), n_resamples, rng) @ shifted / len(logs)) + logs.max()
    interval = percentile_interval(means)
    low, high = interval if interval is not None else (None, None)
    n = int(np.isfinite(logs).sum())
    told = f"the effective number of draws is {ess:.3g} of {len(logs)}"
    if ess < LEAST_ESS:
        return LocalEntropy(value, low, high, ess, n, SKIPPED, f"{told}; the neighbourhood is too wide or too few draws fall into the basin")
    return LocalEntropy(value, low, high, ess, n, OK if ess >= 10 else DOUBTFUL, "" if ess >= 10 else told)


def neighbourhood(rms: float, share: float) -> float:
    """γ of a Gaussian whose standard deviation is ``share`` of the weights' root mean square.

    Example:
        >>> neighbourhood(0.5, 0.1)
        400.0
    """
    return float(round(1.0 / (share * rms) ** 2, 9)) if rms > 0 and share > 0 else float("inf")
