"""The power law against other families on the same tail."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from genscope.core.power_law_fit import PowerLawFit
from genscope.numerics.power_law import log_eigenvalues


@dataclass(frozen=True)
class TailComparison:
    """Log-likelihood of the power law minus that of ``name``: positive speaks for the power law."""

    name: str
    log_likelihood_ratio: float
    normalized_ratio: float | None
    p_value: float | None
    parameters: dict[str, float]


def compare_tail(eigenvalues: np.ndarray, fit: PowerLawFit) -> dict[str, TailComparison]:
    """Likelihood ratios of the fitted tail against exponential and log-normal."""
    if fit.alpha is None:
        return {}
    logs = log_eigenvalues(eigenvalues)
    z = logs[logs.size - fit.n_tail :] - logs[logs.size - fit.n_tail]
    x = np.exp(z)
    rate = fit.alpha - 1.0
    base = np.log(rate) - (rate + 1.0) * z
    decay = 1.0 / np.mean(x - 1.0)
    start = float(logs[logs.size - fit.n_tail])
    terms = {"exponential": (np.log(decay) - decay * (x - 1.0), {"rate": float(decay)})}

    def negative(parameters: np.ndarray) -> float:
        mu, sigma = parameters[0], np.exp(parameters[1])
        return float(np.sum(z + 0.5 * ((z - mu) / sigma) ** 2) + z.size * (np.log(sigma) + special.log_ndtr(mu / sigma)))

    best = optimize.minimize(negative, [float(z.mean()), float(np.log(z.std() + 1e-9))], method="Nelder-Mead").x
    mu, sigma = float(best[0]), float(np.exp(best[1]))
    log_normal = -z - 0.5 * ((z - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi) - special.log_ndtr(mu / sigma)
    terms["lognormal"] = (log_normal, {"mu": mu + start, "sigma": sigma})
    found = {}
    for name, (other, parameters) in terms.items():
        difference = base - other
        spread = float(difference.std())
        ratio = float(difference.sum())
        score = ratio / (spread * z.size**0.5) if spread > 0.0 else None
        found[name] = TailComparison(name, ratio, score, None if score is None else float(special.erfc(abs(score) / 2**0.5)), parameters)
    return found
