"""What the numbers say, in words, with their uncertainty."""

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.status import DOUBTFUL, FAILED, OK

TRAINED_LOW, TRAINED_HIGH = 2.0, 6.0
MEAN_MEASURES = ("alpha", "alpha_weighted", "log_alpha_norm", "log_frobenius_norm", "log_spectral_norm", "stable_rank")
WORDS = {
    "low": "very heavy-tailed, below the usual range of well-trained layers: possibly over-fitted",
    "range": "heavy-tailed, in the range of well-trained layers",
    "high": "hardly heavy-tailed, above the range of well-trained layers: it may have learned little",
}


def zone(alpha: float) -> str:
    """``low`` (< 2), ``range`` (2 to 6) or ``high`` (> 6)."""
    return "low" if alpha < TRAINED_LOW else "range" if alpha <= TRAINED_HIGH else "high"


def layer_verdict(row: Mapping[str, Any]) -> str:
    """One sentence on one matrix.

    Example:
        >>> layer_verdict({"status": "ok", "alpha": 3.1, "alpha_low": 2.7, "alpha_high": 3.8})
        'alpha 3.1, 95% 2.7–3.8: heavy-tailed, in the range of well-trained layers'
        >>> layer_verdict({"status": "ok", "alpha": 7.0, "alpha_low": 3.0, "alpha_high": 17.0})
        'alpha 7.0, 95% 3.0–17.0: cannot tell'
    """
    alpha, low, high = row.get("alpha"), row.get("alpha_low"), row.get("alpha_high")
    if row["status"] == FAILED:
        return f"failed: {row.get('reason')}"
    if alpha is None:
        return f"no power law: {row.get('reason') or 'not fitted'}"
    number = f"alpha {alpha:.1f}" if low is None or high is None else f"alpha {alpha:.1f}, 95% {low:.1f}–{high:.1f}"
    if row["status"] == DOUBTFUL:
        return f"{number}: not to be believed, {row.get('reason')}"
    if low is None or high is None:
        return f"{number}: {WORDS[zone(alpha)]} (no interval was computed)"
    if zone(low) == zone(high):
        return f"{number}: {WORDS[zone(alpha)]}"
    if {zone(low), zone(high)} == {"low", "range"}:
        return f"{number}: heavy-tailed, reaching below the range of well-trained layers"
    if high <= 2 * low and zone(low) == "range":
        return f"{number}: at the upper border of the range of well-trained layers"
    return f"{number}: cannot tell"


def model_verdict(rows: Sequence[Mapping[str, Any]], n_skipped: int = 0) -> str:
    """One or two sentences on a whole checkpoint: how many layers look well trained, and how many cannot say."""
    fitted = [row for row in rows if row.get("alpha") is not None]
    if not rows:
        left = f"; {_count(n_skipped, 'tensor was', 'tensors were')} left out, each with its reason" if n_skipped else ""
        return f"There is no weight matrix to analyze here{left}."
    if not _asked_for_alpha(rows):
        return (
            f"{_count(len(rows), 'matrix was', 'matrices were')} measured; alpha was not asked for, so nothing is said of how well they are trained."
        )
    if not fitted:
        return f"No power law could be fitted to any of {_count(len(rows), 'matrix', 'matrices')}; the norms still hold."
    among, be = _count(len(rows), "matrix", "matrices"), "is" if len(rows) == 1 else "are"
    trusted = [row for row in fitted if row["status"] == OK]
    doubtful = len(fitted) - len(trusted)
    if trusted and all(row.get("alpha_low") is None for row in trusted):
        inside = sum(zone(row["alpha"]) == "range" for row in trusted)
        return f"alpha lies between 2 and 6 in {inside} of {among}; no interval was computed, so it cannot be told from noise."
    sure = {"low": 0, "range": 0, "high": 0, "unsure": 0}
    for row in trusted:
        sure[_standing(row)] += 1
    parts = [f"{sure['range']} of {among} {be} heavy-tailed as well-trained layers are (alpha between 2 and 6, 95% interval below 6)"]
    if sure["low"]:
        parts.append(f"{_count(sure['low'], 'lies', 'lie')} below 2 (possibly over-fitted)")
    if sure["high"]:
        parts.append(f"{_count(sure['high'], 'lies', 'lie')} above 6 (may have learned little)")
    if sure["unsure"]:
        parts.append(f"{sure['unsure']} cannot be told from their interval")
    if doubtful:
        parts.append(f"{_count(doubtful, 'has', 'have')} a fit that should not be believed")
    if len(rows) > len(fitted):
        parts.append(f"{len(rows) - len(fitted)} could not be fitted")
    return "; ".join(parts) + "."


def _asked_for_alpha(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any("alpha" in row for row in rows)


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _standing(row: Mapping[str, Any]) -> str:
    """Where the whole interval of a believed fit stands: below 2, below 6 while reaching 2, above 6, or on both sides of 6."""
    low, high = (row["alpha"] if row.get(name) is None else row[name] for name in ("alpha_low", "alpha_high"))
    return "unsure" if zone(low) != "high" and zone(high) == "high" else zone(high)


def summarize(rows: Sequence[Mapping[str, Any]], n_skipped: int) -> dict[str, Any]:
    """The model's few numbers: means over one common set, the matrices with a fit; failed fits are excluded and counted.

    Where alpha was not asked for, the means are over all matrices that have the measure.
    """
    fitted = [row for row in rows if row.get("alpha") is not None]
    averaged = fitted if _asked_for_alpha(rows) else rows
    summary: dict[str, Any] = {"n_matrices": len(rows), "n_fitted": len(fitted), "n_skipped": n_skipped}
    for name in MEAN_MEASURES:
        numbers = [row[name] for row in averaged if row.get(name) is not None]
        summary[name] = sum(numbers) / len(numbers) if numbers else None
    alphas = sorted(row["alpha"] for row in fitted)
    middle = len(alphas) // 2
    summary["alpha_median"] = (alphas[middle] + alphas[~middle]) / 2 if alphas else None
    # Martin & Mahoney, Eq. 3 to the letter: kernel positions of a layer are summed, layers are averaged.
    layers = {row["layer"] for row in fitted}
    summary["alpha_hat"] = (
        sum(row["alpha_weighted"] for row in fitted) / len(layers) if fitted and all("alpha_weighted" in row for row in fitted) else None
    )
    summary["n_layers"] = len({row["layer"] for row in rows})
    summary["n_weights"] = sum(row["rows"] * row["cols"] * row["n_matrices"] for row in rows)
    summary["n_doubtful"] = sum(row["status"] == DOUBTFUL for row in rows)
    summary["n_unfitted"] = len(rows) - len(fitted)
    summary["n_failed"] = sum(row["status"] == FAILED for row in rows)
    summary["verdict"] = model_verdict(rows, n_skipped)
    return summary
