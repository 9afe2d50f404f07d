"""How sure the tail fit is: a bootstrap interval that re-chooses ``xmin``, and the goodness-of-fit p-value."""

from dataclasses import dataclass

import numpy as np

from genscope.core.power_law_fit import PowerLawFit
from genscope.numerics.power_law import fit_power_law, log_eigenvalues


@dataclass(frozen=True)
class AlphaBootstrap:
    """Resampled exponents and the 95 % interval made of them."""

    alphas: np.ndarray
    low: float | None
    high: float | None


def bootstrap_power_law(eigenvalues: np.ndarray, fit: PowerLawFit, *, n_resamples: int = 200, rng: np.random.Generator) -> AlphaBootstrap:
    """Refit resamples of the spectrum."""
    values = np.exp(log_eigenvalues(eigenvalues))
    alphas = []
    for _ in range(n_resamples if fit.alpha is not None else 0):
        again = fit_power_law(rng.choice(values, values.size)).alpha
        if again is not None:
            alphas.append(again)
    found = np.array(alphas)
    if found.size < 20:
        return AlphaBootstrap(found, None, None)
    low, high = np.quantile(found, [0.025, 0.975])
    return AlphaBootstrap(found, float(low), float(high))


def goodness_of_fit(eigenvalues: np.ndarray, fit: PowerLawFit, *, n_resamples: int = 200, rng: np.random.Generator) -> float | None:
    """Share of semi-parametric resamples whose own best fit is at least as far away as the observed one."""
    if fit.alpha is None or fit.ks_distance is None or n_resamples == 0:
        return None
    logs = log_eigenvalues(eigenvalues)
    body = np.exp(logs[: logs.size - fit.n_tail])
    start = float(np.exp(logs[logs.size - fit.n_tail]))
    above = 0
    for _ in range(n_resamples):
        n_tail = int(rng.binomial(logs.size, fit.n_tail / logs.size)) if body.size else logs.size
        tail = start * rng.random(n_tail) ** (-1.0 / (fit.alpha - 1.0))
        again = fit_power_law(np.concatenate((rng.choice(body, logs.size - n_tail) if body.size else body, tail)))
        above += again.ks_distance is None or again.ks_distance >= fit.ks_distance
    return (above + 1) / (n_resamples + 1)
