"""From one matrix to its spectrum, its power-law fit, its random-matrix bulk: everything a data-free measure is made of."""

from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import default_catalogue, ingredient
from genscope.core.matrices import Matrix
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.spectrum import Spectrum
from genscope.core.status import SKIPPED, Undefined
from genscope.errors import UsageError
from genscope.numerics import power_law as power_law_numerics
from genscope.numerics import power_law_bootstrap, tail_alternatives, tail_belief
from genscope.numerics.convolution import convolution_singular_values
from genscope.numerics.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from genscope.numerics.randomized_twin import TwinComparison, compare_with_twin
from genscope.numerics.randomized_twin import randomized_twin as permuted
from genscope.numerics.singular_values import singular_values
from genscope.numerics.tail_alternatives import TailComparison

default_catalogue.root("matrix", "one layer's weights as matrices of one shape (core.matrices.Matrix); supplied by a checkpoint")


@dataclass(frozen=True)
class AlphaUncertainty:
    """What resampling says of a fit: a 95 % interval that re-chooses ``xmin``, and the goodness-of-fit p-value."""

    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class Belief:
    """Whether the fit should be believed: ``ok``, ``doubtful`` or ``skipped``, and the sentence that says why."""

    status: str
    reason: str | None


@ingredient
def spectrum(matrix: Matrix, *, method: str = "auto", device: str | None = None) -> Spectrum:
    """Singular values of the matrix, pooled when a layer is several matrices of one shape (the kernel positions of a convolution)."""
    spec = matrix.spec
    values = singular_values(matrix.stack, method=method, device=device) if matrix.operator is None else convolution_singular_values(matrix.operator)
    return Spectrum(
        singular_values=values.values,
        rows=spec.rows,
        cols=spec.cols,
        n_matrices=spec.n_matrices,
        resolution=values.resolution,
        method=values.method,
        frobenius_squared=values.frobenius_squared,
    )


@ingredient
def eigenvalue_scale(matrix: Matrix, *, normalization: str = "WtW") -> float:
    """The factor between squared singular values and the eigenvalues that a convention speaks of.

    ``WtW``: 1. ``WtW/N``: 1/N with N the larger side (Martin & Mahoney, Eq. 2). ``weightwatcher``: kh·kw/2 for one kernel
    position of a convolution and 1/2 for the pooled positions, 1 otherwise (WeightWatcher 0.7.7).
    """
    spec = matrix.spec
    if normalization == "WtW":
        return 1.0
    if normalization == "WtW/N":
        return 1.0 / max(spec.rows, spec.cols)
    if normalization == "weightwatcher":
        positions = int(np.prod(spec.recipe[1])) if spec.view.startswith("slice[") else 1
        return positions / 2.0 if spec.view.startswith("slice") else 1.0
    raise UsageError(f"There is no normalization {normalization!r}; use WtW, WtW/N or weightwatcher.")


@ingredient
def eigenvalues(spectrum: Spectrum, eigenvalue_scale: float) -> np.ndarray:
    """Eigenvalues of the correlation matrix in the chosen normalization, large to small."""
    return spectrum.eigenvalues * eigenvalue_scale


@ingredient
def resolved_eigenvalues(eigenvalues: np.ndarray, spectrum: Spectrum, eigenvalue_scale: float) -> np.ndarray:
    """Eigenvalues above the resolution of the routine that found them, large to small: what a fit may see."""
    return eigenvalues[eigenvalues > spectrum.resolution**2 * eigenvalue_scale]


@ingredient
def power_law(resolved_eigenvalues: np.ndarray, spectrum: Spectrum, *, ks: str = "two-sided") -> PowerLawFit:
    """The Clauset-Shalizi-Newman fit of the tail; WeightWatcher's convention (lower steps) fits whatever there is, as it does."""
    if spectrum.n_short == 1 and ks != "lower":
        single = "a matrix with one row or column has a single singular value: there is no spectrum to fit"
        return PowerLawFit(None, None, 0, None, None, resolved_eigenvalues.size, SKIPPED, single)
    return power_law_numerics.fit_power_law(resolved_eigenvalues, convention="weightwatcher" if ks == "lower" else "clauset")


@ingredient
def alpha_uncertainty(
    resolved_eigenvalues: np.ndarray, power_law: PowerLawFit, rng: np.random.Generator, *, resamples: int = 200
) -> AlphaUncertainty:
    """Bootstrap interval of alpha and semi-parametric goodness of fit; ``resamples=0`` leaves both out."""
    if power_law.alpha is None or resamples == 0:
        return AlphaUncertainty(None, None, None)
    interval = power_law_bootstrap.bootstrap_power_law(resolved_eigenvalues, power_law, n_resamples=resamples, rng=rng)
    p_value = power_law_bootstrap.goodness_of_fit(resolved_eigenvalues, power_law, n_resamples=resamples, rng=rng)
    return AlphaUncertainty(interval.low, interval.high, p_value)


@ingredient
def tail_comparison(resolved_eigenvalues: np.ndarray, power_law: PowerLawFit) -> dict[str, TailComparison]:
    """The power law against log-normal, exponential, stretched exponential and truncated power law on the same tail; empty without a fit."""
    return tail_alternatives.compare_tail(resolved_eigenvalues, power_law)


@ingredient
def belief(power_law: PowerLawFit, alpha_uncertainty: AlphaUncertainty, tail_comparison: dict[str, TailComparison]) -> Belief:
    """Whether the tail is heavy for all one can tell, from interval, goodness of fit and likelihood ratios."""
    found = tail_belief.belief(
        power_law, p_value=alpha_uncertainty.p_value, low=alpha_uncertainty.low, high=alpha_uncertainty.high, alternatives=tail_comparison
    )
    return Belief(*found)


@ingredient
def marchenko_pastur(spectrum: Spectrum) -> MarchenkoPasturFit | Undefined:
    """The random bulk under the spectrum: scale, edges, spikes beyond a Tracy-Widom threshold; always in units of ``WᵀW``."""
    return fit_marchenko_pastur(
        spectrum.singular_values, spectrum.rows, spectrum.cols, n_matrices=spectrum.n_matrices, resolution=spectrum.resolution
    )


@ingredient
def twin_comparison(matrix: Matrix, spectrum: Spectrum, rng: np.random.Generator) -> TwinComparison | Undefined:
    """The spectrum beside that of the same entries in a random order."""
    if matrix.stack is None:
        return Undefined("the operator view has no entries of its own to permute", SKIPPED)
    twin = singular_values(permuted(matrix.stack, rng=rng))
    means = matrix.stack.mean(axis=(1, 2), dtype=np.float64)
    return compare_with_twin(spectrum.singular_values, twin.values, rows=spectrum.rows, cols=spectrum.cols, means=means)
