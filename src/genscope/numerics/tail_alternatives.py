"""The power law against other families on the same tail: likelihood ratios with Vuong's normalization."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from genscope.core.power_law_fit import PowerLawFit
from genscope.numerics.power_law import log_eigenvalues
from genscope.numerics.tail_families import (
    Family,
    fit_exponential,
    fit_lognormal,
    fit_stretched_exponential,
    fit_truncated_power_law,
    power_law_log_density,
)

ALTERNATIVES = ("lognormal", "exponential", "truncated_power_law", "stretched_exponential")


@dataclass(frozen=True)
class TailComparison:
    """The power law against one other family on one tail.

    Args:
        name: the other family.
        log_likelihood_ratio: log-likelihood of the power law minus that of the other, nats; positive speaks for the power law.
        normalized_ratio: Vuong's statistic, standard normal when both are equally far from the truth; ``None`` when the two
            log-densities do not differ in spread.
        p_value: probability of a ratio at least as large in size when neither is better; for the truncated power law, which contains
            the power law, the chi-squared probability (one degree of freedom) that the cut is an accident.
        parameters: of the other family, in units of the eigenvalues; empty where its best member is the power law itself.
    """

    name: str
    log_likelihood_ratio: float
    normalized_ratio: float | None
    p_value: float | None
    parameters: dict[str, float]


def compare_tail(eigenvalues: np.ndarray, fit: PowerLawFit) -> dict[str, TailComparison]:
    """Likelihood ratios of the fitted power law against log-normal, exponential, truncated power law and stretched exponential.

    ``R = Σ_j [log f(λ_j) - log g(λ_j)]`` over ``λ_j >= xmin``; ``normalized_ratio = R / (s sqrt(m))`` with ``s`` the standard
    deviation of the terms; ``p = erfc(|R| / (s sqrt(2 m)))``.

    Positive ratios favour the power law. The log-normal and the stretched exponential contain it as a limit, so against them the
    ratio is at best 0; read their p-value, not the sign.

    Args:
        eigenvalues: the spectrum that was fitted, any order, [n].
        fit: its :func:`~genscope.numerics.power_law.fit_power_law`.

    Returns:
        A :class:`TailComparison` per name in :data:`ALTERNATIVES`; empty without a fit.

    Invariances: the scale of the eigenvalues.

    Cost: one to five milliseconds.

    Source: Vuong 1989; Clauset, Shalizi & Newman 2009, section 5 and appendix C.

    Example:
        >>> from genscope.numerics.power_law import fit_power_law
        >>> values = np.random.default_rng(0).random(400) ** -0.5
        >>> compare_tail(values, fit_power_law(values))["exponential"].normalized_ratio > 2
        True
    """
    if fit.alpha is None or fit.xmin is None:
        return {}
    logs = log_eigenvalues(eigenvalues)
    z = logs[logs.size - fit.n_tail :] - logs[logs.size - fit.n_tail]
    if not z[-1] > 0.0:
        return {}
    base = power_law_log_density(z, fit.alpha - 1.0)
    families = (fit_lognormal(z), fit_exponential(z), fit_truncated_power_law(z), fit_stretched_exponential(z))
    return {name: _compare(name, base, family, fit.xmin) for name, family in zip(ALTERNATIVES, families, strict=True)}


def _compare(name: str, base: np.ndarray, family: Family | None, xmin: float) -> TailComparison:
    if family is None:
        return TailComparison(name, 0.0, 0.0, 1.0, {})
    terms = base - family.log_density
    ratio, spread = float(terms.sum()), float(terms.std())
    score = ratio / (spread * terms.size**0.5) if spread > 1e-12 else None
    if name == "truncated_power_law":
        p_value: float | None = float(special.chdtrc(1, 2.0 * max(0.0, -ratio)))
    else:
        p_value = None if score is None else float(special.erfc(abs(score) / 2**0.5))
    return TailComparison(name, ratio, score, p_value, _in_units(family.parameters, xmin))


def _in_units(parameters: dict[str, float], xmin: float) -> dict[str, float]:
    """From ``x = λ / xmin`` to λ: rates divide by ``xmin`` (to the power of the stretching), ``mu`` shifts by ``log xmin``."""
    found = dict(parameters)
    if "mu" in found:
        found["mu"] += float(np.log(xmin))
    if "rate" in found:
        found["rate"] /= xmin ** found.get("power", 1.0)
    if "cut_rate" in found:
        found["cut_rate"] /= xmin
    return found
