r"""The volume of a basin from radii along random rays, in log space, with what tells whether the number can be believed.

With u uniform on the unit sphere, ρ(u) the first crossing of the basin's edge along ``v = P u`` in units of v, and a basin that is star-shaped
from its centre,

.. math:: V = |\det P|\;\omega_n\;\mathrm{E}_u[\rho(u)^n], \qquad \omega_n = \pi^{n/2}/\Gamma(1+n/2).

``P = 1`` is the naive estimator of Huang et al. 2020; a P that knows the basin's shape makes all ρ alike (Scherlis & Belrose 2025).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from genscope.core.status import DOUBTFUL, OK, SKIPPED
from genscope.numerics.bootstrap import percentile_interval, resampling_weights

LEAST_ESS = 30.0
"""Volumes with a smaller effective sample size are refused."""
DOUBTED_ESS, DOUBTED_SHARE = 100.0, 0.1


def log_unit_ball_volume(n: int) -> float:
    r"""``ln ω_n``, the log volume of the unit ball: ``(n/2) ln π − ln Γ(1 + n/2)``, in nats.

    Example:
        >>> round(log_unit_ball_volume(10), 6), round(log_unit_ball_volume(3457), 6)
        (0.936158, -9183.464388)
    """
    return float(0.5 * n * np.log(np.pi) - gammaln(1.0 + 0.5 * n))


@dataclass(frozen=True)
class Volume:
    """A log volume with its interval and its quality.

    Args:
        estimator: what made it.
        n: dimensions.
        log_volume: nats; what the formula gives, believable only with ``status`` ok.
        low, high: bootstrap interval over the rays, 95 %.
        ess: effective sample size ``1/Σ w²`` of the ``n_rays`` weights ``w ∝ ρⁿ``.
        largest_share: share of the largest weight.
        spread: standard deviation of ``n ln ρ``; above about 1.5 few rays carry the mean.
        n_rays: rays that crossed.
        status, reason: ``skipped`` below the least effective sample size or when rays never cross, ``doubtful`` when few rays carry the mean.
    """

    estimator: str
    n: int
    log_volume: float | None
    low: float | None
    high: float | None
    ess: float | None
    largest_share: float | None
    spread: float | None
    n_rays: int
    status: str
    reason: str

    @property
    def effective_radius(self) -> float | None:
        """Radius of the ball of the same volume, ``exp((ln V − ln ω_n)/n)``."""
        return None if self.log_volume is None else effective_radius(self.log_volume, self.n)

    @property
    def believed(self) -> bool:
        """Whether the number is more than a lower bound."""
        return self.status != SKIPPED and self.log_volume is not None


def effective_radius(log_volume: float, n: int) -> float:
    """Radius of the ball of the same volume and dimension.

    Example:
        >>> round(effective_radius(log_unit_ball_volume(100) + 100 * np.log(0.5), 100), 6)
        0.5
    """
    return float(np.exp((log_volume - log_unit_ball_volume(n)) / n))


def log_volume_of(
    radii: np.ndarray,
    n: int,
    rng: np.random.Generator,
    *,
    log_det: float = 0.0,
    estimator: str = "naive",
    least_ess: float = LEAST_ESS,
    n_resamples: int = 1000,
    rtol: float = 0.0,
) -> Volume:
    r"""Log volume from first crossings ρ of rays ``P u``: ``ln ω_n + ln|det P| + ln mean ρⁿ``.

    Meaning: the mean of ``ρⁿ`` is carried by the longest rays; in many dimensions a single one. The estimate then is a lower bound in probability,
    far too small, and its own bootstrap does not notice. The effective sample size does: below ``least_ess`` the volume is refused.

    Args:
        radii: ``[rays]``, NaN where a ray never crossed.
        n: number of dimensions that the rays live in.
        rng: generator of the bootstrap.
        log_det: ``ln |det P|``.
        estimator: its name.
        least_ess: effective sample size below which the volume is refused.
        n_resamples: bootstrap resamples.
        rtol: relative accuracy of the radii; ``n · rtol`` nats are added to the interval on both sides.

    Example:
        >>> found = log_volume_of(np.full(200, 0.5), 3, np.random.default_rng(0))
        >>> round(float(np.exp(found.log_volume)), 4), round(found.ess), found.status
        (0.5236, 200, 'ok')
    """
    crossed = np.isfinite(radii)
    lost = int((~crossed).sum())
    if not crossed.any():
        return Volume(estimator, n, None, None, None, None, None, None, 0, SKIPPED, f"none of {len(radii)} rays leaves the basin within the search")
    logs = n * np.log(radii[crossed])
    base = log_unit_ball_volume(n) + log_det
    weights = np.exp(logs - logsumexp(logs))
    ess, share, spread = float(1.0 / np.square(weights).sum()), float(weights.max()), float(logs.std())
    value = base + float(logsumexp(logs)) - float(np.log(len(logs)))
    means = _resampled_log_means(logs, rng, n_resamples)
    interval = percentile_interval(means) if len(logs) > 1 else None
    low, high = (None, None) if interval is None else (base + interval[0] - n * rtol, base + interval[1] + n * rtol)
    status, reason = _judged(ess, share, len(logs), lost, least_ess)
    return Volume(estimator, n, value, low, high, ess, share, spread, len(logs), status, reason)


def _resampled_log_means(logs: np.ndarray, rng: np.random.Generator, n_resamples: int, block: int = 100) -> np.ndarray:
    """``ln mean ρⁿ`` of bootstrap resamples."""
    shifted = np.exp(logs - logs.max())
    means = []
    for start in range(0, n_resamples, block):
        counts = resampling_weights(len(logs), min(block, n_resamples - start), rng)
        with np.errstate(divide="ignore"):
            means.append(np.log(counts @ shifted / len(logs)) + logs.max())
    return np.concatenate(means) if means else np.zeros(0)


def _judged(ess: float, share: float, n_rays: int, lost: int, least_ess: float) -> tuple[str, str]:
    if lost:
        return SKIPPED, f"{lost} of {lost + n_rays} rays never leave the basin within the search, so its volume has no bound here"
    told = f"the effective sample size is {ess:.3g} of {n_rays} rays and the longest ray carries {share:.0%} of the mean"
    if ess < least_ess:
        return SKIPPED, f"{told}; below {least_ess:g} the number is only a lower bound"
    if ess < DOUBTED_ESS or share > DOUBTED_SHARE:
        return DOUBTFUL, f"{told}; rays longer than any drawn here may carry more"
    return OK, ""


@dataclass(frozen=True)
class LogRadius:
    """Mean, standard error, standard deviation and quantiles of ``ln r`` over the rays that cross."""

    mean: float
    sem: float
    std: float
    quantiles: tuple[float, float, float, float, float]
    n_rays: int
    n_never_crossed: int


def log_radius_statistics(radii: np.ndarray) -> LogRadius | None:
    """The headline of a basin: ``E ln r ± SEM``; ``exp`` of it is the geometric mean radius, a lower bound of the effective radius (Jensen).

    Example:
        >>> found = log_radius_statistics(np.array([1.0, np.e, np.nan]))
        >>> found.mean, found.sem, found.n_never_crossed
        (0.5, 0.5, 1)
    """
    logs = np.log(radii[np.isfinite(radii)])
    if not len(logs):
        return None
    std = float(logs.std(ddof=1)) if len(logs) > 1 else float("nan")
    quantiles = tuple(float(value) for value in np.quantile(logs, (0.025, 0.25, 0.5, 0.75, 0.975)))
    return LogRadius(float(logs.mean()), std / len(logs) ** 0.5, std, quantiles, len(logs), int(len(radii) - len(logs)))  # type: ignore[arg-type]


def quadratic_log_volume(eigenvalues: np.ndarray, rise: float) -> float:
    r"""Log volume of ``{z : ½ zᵀHz < rise}``: ``ln ω_n + (n/2) ln(2·rise) − ½ ln det H`` (Laplace); −∞ never, +∞ when H is not positive definite.

    Example:
        >>> ball = log_unit_ball_volume(3)
        >>> round(ball - quadratic_log_volume(np.array([2.0, 2.0, 2.0]), 0.25), 5)  # 3 ln 2
        2.07944
    """
    n = len(eigenvalues)
    if np.min(eigenvalues, initial=np.inf) <= 0:
        return float("inf")
    return float(log_unit_ball_volume(n) + 0.5 * n * np.log(2.0 * rise) - 0.5 * np.log(eigenvalues).sum())
