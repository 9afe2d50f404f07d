"""Kullback–Leibler divergences and the inversion that turns them into certificates."""

import math

from scipy.optimize import brentq


def bernoulli_kl(q: float, p: float) -> float:
    """``kl(q‖p) = q ln(q/p) + (1−q) ln((1−q)/(1−p))`` in nats, with ``0 ln 0 = 0``.

    Args:
        q: observed rate in [0, 1].
        p: hypothetical rate in [0, 1].

    Returns:
        The divergence in nats; infinite where ``p`` excludes ``q``.

    Example:
        >>> round(bernoulli_kl(0.0, 0.5), 6)
        0.693147
    """
    total = 0.0
    for a, b in ((q, p), (1.0 - q, 1.0 - p)):
        if a > 0.0:
            if b <= 0.0:
                return math.inf
            total += a * math.log(a / b)
    return max(total, 0.0)


def kl_inverse_upper(q: float, budget: float) -> float:
    """The largest ``p`` with ``kl(q‖p) ≤ budget`` (Seeger's inverse): an upper confidence bound on a rate.

    Larger is looser; the result lies in [q, 1]. The returned value is never below the exact root.

    Args:
        q: observed rate in [0, 1].
        budget: allowed divergence in nats, ≥ 0.

    Example:
        >>> round(kl_inverse_upper(0.0, 0.01), 6) == round(1 - math.exp(-0.01), 6)
        True
    """
    if q >= 1.0 or budget == math.inf:
        return 1.0
    if budget <= 0.0:
        return q
    top = 1.0 - 1e-16
    if bernoulli_kl(q, top) <= budget:
        return 1.0
    root = brentq(lambda p: bernoulli_kl(q, p) - budget, q, top, xtol=1e-14, rtol=8.9e-16)
    # A certificate may only err upwards.
    return min(1.0, float(root) + 1e-13)


def isotropic_gaussian_kl(squared_distance: float, n: int, sigma: float, prior_sigma: float) -> float:
    """``KL(N(w, σ²I) ‖ N(w₀, σ_p²I))`` in nats: ``½[n(r² − 1 − ln r²) + ‖w−w₀‖²/σ_p²]`` with ``r = σ/σ_p``.

    With equal widths only ``‖w−w₀‖²/(2σ²)`` is left, the form of Neyshabur et al. 2017, eq. 6; with ``σ_p = 1`` the
    terms in ``n`` that their text leaves out come back.

    Example:
        >>> isotropic_gaussian_kl(4.0, 10, 1.0, 1.0)
        2.0
    """
    ratio = (sigma / prior_sigma) ** 2
    return 0.5 * (n * (ratio - 1.0 - math.log(ratio)) + squared_distance / prior_sigma**2)


def pac_bayes_kl_bound(empirical: float, divergence: float, n_examples: int, delta: float) -> float:
    """Upper bound on the risk of a randomized predictor (Maurer 2004; Seeger 2002): ``kl⁻¹(R̂, (KL + ln(2√m/δ))/m)``.

    Args:
        empirical: empirical risk of the randomized predictor, a loss in [0, 1].
        divergence: KL(posterior ‖ prior) in nats; the prior must not depend on the data.
        n_examples: number m of i.i.d. training examples.
        delta: probability that the bound fails.

    Returns:
        A risk in [0, 1]; 1 when nothing is certified.

    Example:
        >>> round(pac_bayes_kl_bound(0.0, 0.0, 1000, 0.05), 4)
        0.0071
    """
    return kl_inverse_upper(empirical, (divergence + math.log(2.0 * math.sqrt(n_examples) / delta)) / n_examples)
