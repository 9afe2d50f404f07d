"""Measures of the random part of a weight matrix: the Marchenko–Pastur bulk and what stands above it."""

import numpy as np  # noqa: F401 - examples

from genscope.core.catalogue import measure
from genscope.numerics.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur  # noqa: F401 - examples


@measure(symbol=r"\sigma_{\mathrm{MP}}", unit="weight", expects="none", source="Marchenko & Pastur 1967", invariant_to=("rotation", "transpose"))
def mp_sigma(marchenko_pastur: MarchenkoPasturFit) -> float:
    """Standard deviation of the entries of the random part of the matrix.

    Formula:
        least-squares match of the middle of the spectrum to the quantiles of the Marchenko–Pastur law.
    Reading:
        The noise floor of the layer; compare it with the initialization.
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        A standard deviation in units of the weights, > 0.
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Rotation and transpose; W → cW multiplies it by |c|.
    Cost:
        O(1) beyond the fit.
    Source:
        Marchenko & Pastur 1967.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> round(mp_sigma(fit), 2)
        1.0
    """
    return marchenko_pastur.sigma


@measure(symbol=r"\lambda_+", unit="eigenvalue of WᵀW", expects="none", source="Marchenko & Pastur 1967", invariant_to=("rotation", "transpose"))
def mp_edge(marchenko_pastur: MarchenkoPasturFit) -> float:
    """Upper edge of the random bulk.

    Formula:
        σ² (√N + √M)², of the bulk that remains when spikes are taken out.
    Reading:
        Eigenvalues above it are not explained by noise; ``n_spikes`` counts those beyond chance.
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        An eigenvalue of WᵀW.
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Rotation and transpose; W → cW multiplies it by c².
    Cost:
        O(1) beyond the fit.
    Source:
        Marchenko & Pastur 1967.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> bool(abs(mp_edge(fit) - (100**0.5 + 300**0.5) ** 2) < 15)
        True
    """
    return marchenko_pastur.lambda_plus


@measure(
    symbol=r"n_{\mathrm{spikes}}",
    unit="eigenvalues",
    expects="none",
    source="Johnstone 2001; Baik, Ben Arous & Péché 2005",
    invariant_to=("scale", "rotation", "transpose"),
)
def n_spikes(marchenko_pastur: MarchenkoPasturFit) -> int:
    """Number of eigenvalues that a random bulk does not explain.

    Formula:
        #{λ_i > threshold}, the threshold exceeded by noise with probability 1 % (Tracy–Widom).
    Reading:
        What the layer has learned beyond noise, in directions; 0 says it looks random.
        Signals below the transition of Baik, Ben Arous & Péché cannot be seen.
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        A count.
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Johnstone 2001; Baik, Ben Arous & Péché 2005.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> n_spikes(fit)
        0
    """
    return marchenko_pastur.n_spikes


@measure(
    symbol=r"\mathcal{R}_{\mathrm{mp}}",
    unit="1",
    expects="larger gap",
    source="Martin & Mahoney 2021, Implicit self-regularization, section 2",
    invariant_to=("scale", "rotation", "transpose"),
)
def mp_soft_rank(marchenko_pastur: MarchenkoPasturFit) -> float:
    """Edge of the random bulk relative to the largest eigenvalue.

    Formula:
        λ_+ / λ_max.
    Reading:
        Near 1: noise. Small: strong learned structure.
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        A ratio, usually in (0, 1].
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization, section 2.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> bool(0.9 < mp_soft_rank(fit) < 1.1)
        True
    """
    return marchenko_pastur.soft_rank


@measure(
    symbol=r"f_{\mathrm{bulk}}",
    unit="1",
    expects="none",
    source="Martin & Mahoney 2021, Implicit self-regularization",
    invariant_to=("scale", "rotation", "transpose"),
)
def mp_bulk_fraction(marchenko_pastur: MarchenkoPasturFit) -> float:
    """Share of the eigenvalues that lie in the random bulk.

    Formula:
        #{λ_i ≤ threshold} / #{λ_i > 0}.
    Reading:
        1: all noise.
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        A share.
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> mp_bulk_fraction(fit)
        1.0
    """
    return marchenko_pastur.bulk_fraction


@measure(symbol=r"D_{\mathrm{MP}}", unit="1", expects="none", source="Marchenko & Pastur 1967", invariant_to=("scale", "rotation", "transpose"))
def mp_ks_distance(marchenko_pastur: MarchenkoPasturFit) -> float:
    """Distance between the bulk and the fitted Marchenko–Pastur law.

    Formula:
        max |F_empirical − F_MP| over the bulk eigenvalues.
    Reading:
        Large: the bulk is not random noise, and σ and the edge describe nothing (``mp_reason`` says so).
    Args:
        marchenko_pastur: the fitted bulk.
    Returns:
        A distance in [0, 1].
    Raises:
        Nothing; undefined when there are too few nonzero eigenvalues for a bulk.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Marchenko & Pastur 1967.
    Example:
        >>> fit = fit_marchenko_pastur(np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False), 100, 300)
        >>> bool(mp_ks_distance(fit) < 0.1)
        True
    """
    return marchenko_pastur.ks_distance
