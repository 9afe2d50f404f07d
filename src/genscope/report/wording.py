"""The words and number formats of the page: labels, units, hints, and texts made fit to be shown."""

import math
import re
from typing import Any

from genscope.core.text import display_name, valid_unicode

# key -> (label, kind of cell, group in the layer panel, hint). Keys that are not here are shown under a label made from the key itself.
_FIT, _NORM, _RANK, _BULK, _SHAPE = "Power-law tail", "Norms", "Rank and entropy", "Bulk (Marchenko–Pastur)", "Matrix"
COLUMNS: dict[str, tuple[str, str, str, str]] = {
    "layer": ("Layer", "name", "", "Full name of the tensor."),
    "name": ("Tensor", "name", "", "Full name of the tensor."),
    "measure": ("Measure", "name", "", "Name of the measure; `genscope explain NAME` prints its formula."),
    "kind": ("Kind", "text", _SHAPE, "Kind of layer the tensor belongs to."),
    "view": ("View", "text", _SHAPE, "How the tensor is seen as a matrix."),
    "rows": ("Rows", "int", _SHAPE, "Rows of one matrix (outputs)."),
    "cols": ("Columns", "int", _SHAPE, "Columns of one matrix (inputs)."),
    "n_matrices": ("Matrices", "int", _SHAPE, "Matrices of this shape pooled into one spectrum."),
    "n_eigenvalues": ("Eigenvalues", "int", _SHAPE, "Number of eigenvalues in the (pooled) spectrum."),
    "status": (
        "Status",
        "status",
        "",
        "ok: believed. doubtful: fitted, but not to be believed. skipped: no fit possible. failed: not readable as numbers.",
    ),
    "statuses": ("Status", "text", "", "Status in each model, once when they agree."),
    "reasons": ("Reason", "text", "", "Why a status is not ok."),
    "reason": ("Reason", "text", "", "Why the status is not ok."),
    "verdict": ("Verdict", "text", "", "The layer in one sentence."),
    "alpha": ("α", "num", _FIT, "Exponent of the tail of the eigenvalue density, ρ(λ) ~ λ^−α. Range typical of well-trained layers: 2 to 6."),
    "alpha_stderr": ("α std. error", "num", _FIT, "Standard error of α at the chosen xmin."),
    "alpha_low": ("α 95% low", "num", _FIT, "Lower end of the 95% interval of α."),
    "alpha_high": ("α 95% high", "num", _FIT, "Upper end of the 95% interval of α."),
    "xmin": ("xmin", "num", _FIT, "Eigenvalue at which the fitted tail begins."),
    "n_tail": ("Tail size", "int", _FIT, "Number of eigenvalues in the fitted tail."),
    "ks_distance": ("KS distance", "num", _FIT, "Largest gap between the tail's distribution and the fit; smaller is better."),
    "p_value": ("p-value", "num", _FIT, "Goodness of fit; below 0.1 the data speak against a power law."),
    "alpha_weighted": ("α-hat", "num", _FIT, "α · log₁₀ λ_max (weighted alpha); smaller goes with a smaller test error within a family."),
    "alpha_hat": (
        "α-hat (paper)",
        "num",
        _FIT,
        "Sum of α · log₁₀ λ_max over the matrices of a layer, averaged over layers (Martin & Mahoney, Eq. 3).",
    ),
    "alpha_median": ("Median α", "num", _FIT, "Median of α over the fitted matrices."),
    "alpha_without_fingers": ("α without fingers", "num", _FIT, "α when the few largest eigenvalues are left out."),
    "power_law_vs_lognormal": ("vs log-normal", "num", _FIT, "Normalized log-likelihood ratio (Vuong); positive favours the power law."),
    "power_law_vs_exponential": ("vs exponential", "num", _FIT, "Normalized log-likelihood ratio (Vuong); positive favours the power law."),
    "power_law_vs_truncated": ("vs truncated", "num", _FIT, "Normalized log-likelihood ratio (Vuong); positive favours the pure power law."),
    "relative_change": ("‖ΔW‖ relative", "num", "Difference", "‖W − W₀‖_F / ‖W₀‖_F: how far the layer moved from the first model."),
    "subspace_overlap": (
        "Subspace overlap",
        "num",
        "Difference",
        "Agreement of the leading singular directions with the first model's, from 0 to 1.",
    ),
    "delta_log_spectral_norm": ("ΔW: log λ max", "num", "Difference", "log₁₀ of the largest eigenvalue of the difference."),
    "delta_stable_rank": ("ΔW: stable rank", "num", "Difference", "Stable rank of the difference."),
    "delta_alpha": ("ΔW: α", "num", "Difference", "α of the spectrum of the difference."),
    "p_adjusted": ("p adjusted", "num", "", "The p-value corrected for the number of measures tried."),
    "baseline": ("Baseline", "text", "", "Says nothing but how deep or large a model is; every measure has to beat it."),
    "n_layers": ("Layers", "int", "", "Layers with at least one matrix."),
    "n_weights": ("Weights", "int", "", "Entries of all matrices."),
    "n_fitted": ("Fitted", "int", "", "Matrices with a power-law fit."),
    "n_doubtful": ("Doubtful", "int", "", "Fits not to be believed."),
    "n_failed": ("Failed", "int", "", "Matrices that are not readable as numbers."),
    "n_skipped": ("Left out", "int", "", "Tensors that are no matrices."),
    "n_unfitted": ("Not fitted", "int", "", "Matrices without a fit."),
    "lambda_max": ("λ max", "num", _NORM, "Largest eigenvalue of WᵀW."),
    "log_alpha_norm": ("log α-norm", "num", _NORM, "log₁₀ Σ λ_i^α."),
    "log_frobenius_norm": ("log ‖W‖²", "num", _NORM, "log₁₀ of the squared Frobenius norm of the matrix."),
    "log_spectral_norm": ("log λ max", "num", _NORM, "log₁₀ of the largest eigenvalue, the squared spectral norm."),
    "stable_rank": ("Stable rank", "num", _RANK, "‖W‖²_F / ‖W‖²₂: how many directions carry the norm."),
    "log_stable_rank": ("log stable rank", "num", _RANK, "log ‖W‖²_F / log λ_max, a ratio of logarithms: near α for very heavy tails."),
    "entropy": ("Entropy", "num", _RANK, "Entropy of the normalized eigenvalues, from 0 (one direction) to 1 (all equal)."),
    "effective_rank": ("Effective rank", "num", _RANK, "exp of the entropy of the spectrum."),
    "matrix_rank": ("Rank", "int", _RANK, "Number of singular values above rounding."),
    "soft_rank": ("Soft rank", "num", _BULK, "Marchenko–Pastur edge over the largest eigenvalue."),
    "mp_edge": ("MP edge", "num", _BULK, "Upper edge of the random bulk."),
    "mp_sigma": ("MP scale σ", "num", _BULK, "Scale of the random bulk."),
    "n_spikes": ("Spikes", "int", _BULK, "Eigenvalues beyond what a random bulk would show."),
    "mp_soft_rank": ("Soft rank", "num", _BULK, "Marchenko–Pastur edge over the largest eigenvalue: 1 is pure noise, small is strong structure."),
    "mp_bulk_fraction": ("Share in the bulk", "num", _BULK, "Share of eigenvalues inside the random bulk."),
    "mp_ks_distance": ("KS distance to bulk", "num", _BULK, "Largest gap between the bulk of the spectrum and the Marchenko–Pastur law."),
    "twin_distance": ("Distance to twin", "num", _BULK, "Distance between this spectrum and that of its randomized twin."),
    "twin_jensen_shannon": ("Twin: Jensen–Shannon", "num", _BULK, "Jensen–Shannon distance between this spectrum and that of its randomized twin."),
    "twin_largest_ratio": ("Twin: λ max ratio", "num", _BULK, "Largest eigenvalue of the randomized twin over that of the matrix."),
    "n_traps": ("Correlation traps", "int", _BULK, "Outliers of the randomized twin: single weights so large that they stand out by themselves."),
    "alpha_truncated": ("α, truncated", "num", _FIT, "Exponent of the tail when it may be cut off exponentially."),
    "cut_rate": ("Cut-off rate", "num", _FIT, "Rate of the exponential cut-off of the tail."),
    "erg_n_tail": ("Determinant tail", "int", _FIT, "Eigenvalues in the tail that the determinant condition picks."),
    "erg_gap": ("Determinant gap", "int", _FIT, "Eigenvalues in the determinant condition's tail minus those in the power law's."),
    "participation_tail": ("Participation, tail", "num", _RANK, "Share of coordinates that a singular vector of the tail lives on, on average."),
    "participation_bulk": ("Participation, bulk", "num", _RANK, "Share of coordinates that a singular vector of the bulk lives on, on average."),
    "value": ("Value", "num", "", "Value of the measure."),
    "unit": ("Unit", "text", "", "Unit of the value; 1 for a pure number."),
    "expects": ("A larger value goes with", "text", "", "What theory or experiments connect a larger value with."),
    "low": ("95% low", "num", "", "Lower end of the interval."),
    "high": ("95% high", "num", "", "Upper end of the interval."),
    "kendall": ("Kendall τ", "num", "", "Rank correlation with the test error: +1 same order, −1 opposite, 0 none."),
    "kendall_low": ("τ 95% low", "num", "", "Lower end of the 95% interval of τ."),
    "kendall_high": ("τ 95% high", "num", "", "Upper end of the 95% interval of τ."),
    "spearman": ("Spearman ρ", "num", "", "Correlation of the ranks."),
    "r2": ("R²", "num", "", "Share of the variance explained by a straight line."),
    "rmse": ("RMSE", "num", "", "Root mean square error of a straight line."),
    "loo_rmse": ("LOO RMSE", "num", "", "The same error, each model predicted from the others."),
    "n": ("Models", "int", "", "Models that have both numbers."),
    "n_bytes": ("Size", "bytes", "", "Stored size."),
    "shape": ("Shape", "shape", "", "Dimensions of the tensor."),
    "dtype": ("Type", "text", "", "Stored number type."),
    "seed": ("Seed", "int", "", "Seed of the random numbers used."),
    "checkpoint": ("Checkpoint", "name", "", "File or number of the checkpoint."),
    "run": ("Run", "text", "", "The run that the checkpoint belongs to."),
    "pc1": ("PC 1", "num", "", "First principal component, in units of the parameters."),
    "pc2": ("PC 2", "num", "", "Second principal component, in units of the parameters."),
    "tsne1": ("t-SNE 1", "num", "", "First coordinate of the embedding; it has no unit."),
    "tsne2": ("t-SNE 2", "num", "", "Second coordinate of the embedding; it has no unit."),
    "step_length": ("Step", "num", "", "Distance from the checkpoint before."),
    "off_plane": ("Off the plane", "num", "", "Distance from the plane that is drawn."),
    "example": ("Example", "name", "", "Number of the training example."),
    "label": ("Label", "int", "", "Class of the example."),
    "predicted": ("Predicted", "int", "", "Class that the network predicts."),
    "distance": ("Distance", "num", "", "Boundary: to the nearest change of class found. Trajectory: from the mean of all checkpoints."),
    "lower_bound": (
        "At least",
        "num",
        "",
        "No change of class is nearer: here ends the linear region of the example, or lies its boundary.",
    ),
    "exact": ("Exact", "text", "", "Whether the distance is proven by the linear region of the example."),
    "options": ("Options", "json", "", "Options of the measure."),
}
_PREFIX_GROUPS = (("mp_", _BULK), ("alpha_", _FIT), ("tail_", _FIT), ("log_", _NORM), ("twin_", _BULK))
_KNOWN_ROOTS = re.compile(r"(?<![\w./])(?:file://)?/(?:home|Users|root|tmp|var|mnt|opt|srv|private|work|scratch|data|usr|etc)/[^\s'\",;)\]}]*")
_ANY_PATH = re.compile(r"(?<![\w./:])(?:file://)?(?:/[^\s/'\",;)\]}]+){2,}/?|\b[A-Za-z]:\\[^\s'\",;]+|(?<![\w./])~/[^\s'\",;]+")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def label_of(key: str) -> str:
    """The heading of a column or fact."""
    if key in COLUMNS:
        return COLUMNS[key][0]
    words = text_of(key, 60).replace("_", " ").strip() or "–"
    return words[0].upper() + words[1:]


def group_of(key: str) -> str:
    """The heading under which the layer panel lists ``key``."""
    if key in COLUMNS:
        return COLUMNS[key][2] or "Other"
    return next((group for prefix, group in _PREFIX_GROUPS if key.startswith(prefix)), "Other")


def text_of(value: Any, limit: int = 600) -> str:
    """Any value as one visible line: no control or direction characters, no private folders, no endless names."""
    return display_name(without_private_paths(valid_unicode(str(value))[: 20 * limit]), limit)


def source_of(value: Any) -> str:
    """A source as a reader may see it: the last component of an absolute path, anything else as it is."""
    text = valid_unicode(str(value))
    if re.match(r"(?:/|~|[A-Za-z]:[\\/]|file:)", text):
        text = re.split(r"[\\/]", text.rstrip("\\/"))[-1] or "checkpoint"
    return display_name(text, 200)


def without_private_paths(text: str) -> str:
    """``text`` with paths under well-known root folders cut to their last component."""
    return _KNOWN_ROOTS.sub(_last_component, text)


def fact_of(value: Any) -> str:
    """A value of an options or reproducibility block as text, every absolute path cut to its last component."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number_of(value)
    if isinstance(value, list | tuple):
        return ", ".join(fact_of(item) for item in value) or "–"
    if hasattr(value, "items"):
        return ", ".join(f"{text_of(key, 60)}: {fact_of(item)}" for key, item in value.items()) or "–"
    return display_name(_ANY_PATH.sub(_last_component, valid_unicode(str(value))[:8000]), 400)


def number_of(value: Any, digits: int = 4) -> str:
    """A number for people: about four significant digits, powers of ten written out, a true minus sign.

    Example:
        >>> number_of(0.000012345), number_of(1234567), number_of(-2.5), number_of(None)
        ('1.234×10⁻⁵', '1,234,567', '−2.500', '–')
    """
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else text_of(value, 60)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e6):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    whole = int(float(f"{size:.{digits}g}"))
    return f"{value:,.{max(0, digits - len(str(whole))) if whole else digits - 1}f}".replace("-", "−")


def bytes_of(count: float) -> str:
    """A size in bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _last_component(match: re.Match[str]) -> str:
    return re.split(r"[\\/]", match.group(0).rstrip("\\/"))[-1]
