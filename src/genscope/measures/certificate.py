"""A number that holds: a PAC-Bayes-kl bound on the true error of the randomized network, with probability 1 − δ."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, Undefined
from genscope.measures.ingredients.noisy_errors import NoisyErrors
from genscope.measures.ingredients.types import Params
from genscope.numerics.kl import kl_inverse_upper, pac_bayes_kl_bound

_SOURCE = "Langford & Caruana 2002; Dziugaite & Roy 2017; Perez-Ortiz et al. 2021, eq. 3"


@dataclass(frozen=True)
class Certificate:
    """A PAC-Bayes certificate and what it is made of.

    Args:
        bound: upper bound on the true 0–1 error of the network with weights ``N(w, σ²I)``; holds with probability ``1 − δ``.
        sigma: the chosen σ, from a grid fixed in advance.
        divergence: KL of posterior and prior in nats.
        monte_carlo_error: mean 0–1 training error over the draws.
        empirical_bound: its upper confidence bound, the Monte-Carlo slack included.
        n_draws: weight draws behind it.
        prior: ``"initialization"`` or ``"zero"``.
    """

    bound: float
    sigma: float
    divergence: float
    monte_carlo_error: float
    empirical_bound: float
    n_draws: int
    prior: str


def sigma_grid(n_sigmas: int = 25) -> np.ndarray:
    """The grid of σ, fixed before any data: from 1 down by factors of √2."""
    return 2.0 ** (-0.5 * np.arange(n_sigmas))


def certify(
    squared_distance: float,
    n_examples: int,
    pilot_error: Callable[[float], float],
    draw_errors: Callable[[float, int], np.ndarray],
    *,
    delta: float,
    n_draws: int,
    grid: np.ndarray,
) -> Certificate:
    """The certificate for isotropic Gaussians, posterior ``N(w, σ²I)`` and prior ``N(w₀, σ²I)`` of the same σ from ``grid``.

    ``R ≤ kl⁻¹( kl⁻¹(R̂_MC, ln(2/δ')/n), (‖w−w₀‖²/(2σ²) + ln(2√m |grid|/(δ−δ')))/m )`` with ``δ' = δ/5`` for the Monte-Carlo part. The union over the
    grid lets σ be chosen on the data with ``pilot_error``; the draws that count are fresh, so that their bound needs no union.

    Args:
        squared_distance: ``‖w − w₀‖²``, where w₀ does not depend on the data.
        n_examples: training examples m, i.i.d.
        pilot_error: a cheap estimate of the mean training error at σ; only guides the choice.
        draw_errors: ``(σ, n)`` to n errors in [0, 1], i.i.d. with the mean training error of the randomized network as their mean.
        delta: probability that the bound fails.
        n_draws: fresh draws.
        grid: values of σ fixed in advance.

    Returns:
        The certificate; its ``bound`` is 1 where nothing is certified.
    """
    delta_draws = delta / 5.0
    delta_grid = (delta - delta_draws) / len(grid)

    def bound(empirical: float, sigma: float) -> float:
        return pac_bayes_kl_bound(empirical, squared_distance / (2.0 * sigma**2), n_examples, delta_grid)

    best = _best_sigma(sorted(map(float, grid), reverse=True), lambda sigma: bound(pilot_error(sigma), sigma), lambda sigma: bound(0.0, sigma))
    mean = float(np.mean(draw_errors(best, n_draws)))
    empirical = kl_inverse_upper(mean, math.log(2.0 / delta_draws) / n_draws)
    return Certificate(bound(empirical, best), best, squared_distance / (2.0 * best**2), mean, empirical, n_draws, "")


def _best_sigma(grid: list[float], value_at: Callable[[float], float], least_at: Callable[[float], float]) -> float:
    """The σ of a descending grid with the smallest pilot bound: every fourth first, then the neighbours of the best."""
    found: dict[int, float] = {}

    def visit(indices: range) -> int:
        for i in indices:
            # The KL grows as σ falls: where it alone is worse than the best so far, no error can make up for it.
            if i not in found and least_at(grid[i]) < min(found.values(), default=math.inf):
                found[i] = value_at(grid[i])
        return min(found, key=lambda i: found[i])

    coarse = visit(range(0, len(grid), 4))
    return grid[visit(range(max(0, coarse - 3), min(len(grid), coarse + 4)))]


@ingredient
def zero_prior_certificate(
    params: Params, noisy_errors: NoisyErrors, n_examples: int, *, certificate_delta: float = 0.05, certificate_draws: int = 1000,
) -> Certificate:  # fmt: skip
    """The certificate with its prior at zero."""
    return _certificate(params, None, noisy_errors, n_examples, certificate_delta, certificate_draws)


@ingredient
def init_prior_certificate(
    params: Params, initial_params: Params, noisy_errors: NoisyErrors, n_examples: int,
    *, certificate_delta: float = 0.05, certificate_draws: int = 1000,
) -> Certificate:  # fmt: skip
    """The certificate with its prior at the initialization, which must not have seen the training data."""
    return _certificate(params, initial_params, noisy_errors, n_examples, certificate_delta, certificate_draws)


@measure(symbol=r"R(Q)\leq", unit="error rate", expects="larger gap", source=_SOURCE, invariant_to=("permutation",), cost="certificate draws")
def pac_bayes_certificate(zero_prior_certificate: Certificate, data_dependent_buffers: tuple[str, ...], n_classes: int) -> Estimate | Undefined:
    """An upper bound on the true error of the network with noisy weights, prior at zero.

    Formula:
        R ≤ kl⁻¹(kl⁻¹(R̂_MC, ln(2/δ')/n), (‖w‖²/(2σ²) + ln(2√m |grid|/(δ−δ')))/m) with probability 1 − δ.
    Reading:
        Holds for i.i.d. data and the noisy network, not for the network itself; vacuous ones say so. ``low`` is the Monte-Carlo training error.
    Args:
        zero_prior_certificate: the certificate and its parts.
        data_dependent_buffers: statistics learned from the data that are no parameters (none, for a certificate).
        n_classes: classes C.
    Returns:
        A number with its interval; unit error rate.
    Raises:
        Nothing; undefined while BatchNorm statistics are no part of the weights; doubtful when vacuous.
    Invariances:
        Permuting hidden units.
    Cost:
        Certificate draws.
    Source:
        Langford & Caruana 2002; Dziugaite & Roy 2017; Perez-Ortiz et al. 2021, eq. 3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pac_bayes_certificate")
        0.9999
    """
    return _judged(zero_prior_certificate, data_dependent_buffers, n_classes)


@measure(symbol=r"R(Q)\leq", unit="error rate", expects="larger gap", source=_SOURCE, invariant_to=("permutation",), cost="certificate draws")
def pac_bayes_certificate_init(init_prior_certificate: Certificate, data_dependent_buffers: tuple[str, ...], n_classes: int) -> Estimate | Undefined:
    """An upper bound on the true error of the network with noisy weights, prior at its initialization.

    Formula:
        As pac_bayes_certificate with ‖w − w₀‖² for ‖w‖².
    Reading:
        Holds if the initialization did not see the training data. ``low`` is the Monte-Carlo training error.
    Args:
        init_prior_certificate: the certificate and its parts.
        data_dependent_buffers: statistics learned from the data that are no parameters (none, for a certificate).
        n_classes: classes C.
    Returns:
        A number with its interval; unit error rate.
    Raises:
        Nothing; undefined while BatchNorm statistics are no part of the weights; doubtful when vacuous.
    Invariances:
        Permuting hidden units.
    Cost:
        Certificate draws.
    Source:
        Langford & Caruana 2002; Dziugaite & Roy 2017; Perez-Ortiz et al. 2021, eq. 3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pac_bayes_certificate_init")
        0.9991
    """
    return _judged(init_prior_certificate, data_dependent_buffers, n_classes)


def _judged(certificate: Certificate, buffers: tuple[str, ...], n_classes: int) -> Estimate | Undefined:
    if buffers:
        return Undefined(
            f"{buffers[0]!r} was learned from the data but has no part in the prior and posterior, so no certificate holds; fold the BatchNorm"
        )
    guessing = 1.0 - 1.0 / max(2, n_classes)
    value = Estimate(certificate.bound, certificate.monte_carlo_error, certificate.bound)
    if certificate.bound < guessing:
        return value
    return Estimate(
        value.value, value.low, value.high, DOUBTFUL,
        f"vacuous: the bound {certificate.bound:.3g} is no better than guessing ({guessing:.3g}) at KL {certificate.divergence:.3g} nats",
    )  # fmt: skip


def _certificate(params: Params, initial: Params | None, errors: NoisyErrors, n_examples: int, delta: float, n_draws: int) -> Certificate:
    distance = 0.0
    for name, value in params.items():
        origin = initial[name].double() if initial is not None else 0.0
        distance += float((value.double() - origin).square().sum())
    found = certify(distance, n_examples, errors.pilot, errors.draws, delta=delta, n_draws=n_draws, grid=sigma_grid())
    return Certificate(**{**vars(found), "prior": "zero" if initial is None else "initialization"})
