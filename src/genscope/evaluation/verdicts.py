"""What the numbers say, in sentences: per measure, about confounders, and for the whole table."""

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.status import DOUBTFUL, OK, SKIPPED
from genscope.core.text import display_name
from genscope.evaluation.study import Study
from genscope.numerics.rank_null import models_needed

LEVEL = 0.05


def judge(row: dict[str, Any], study: Study, n_tests: int, level: float = 0.95) -> None:
    """Set ``status``, ``reason``, ``confounding`` and ``verdict`` of one row in place."""
    row["status"], row["reason"] = _status(row, study, n_tests)
    row["confounding"] = _confounding(row)
    row["verdict"] = _sentence(row, study, n_tests, f"{100 * level:g}%")


def _status(row: Mapping[str, Any], study: Study, n_tests: int) -> tuple[str, str | None]:
    n, total = row["n"], len(study.models)
    free = min(n, row["n_independent"])
    unit = "models" if free == n else "clusters"
    missing = f"{total - n} of {total} models left out because the measure or {study.target_name} is missing" if n < total else None
    if n < 3:
        return SKIPPED, f"too few models: n={n}, at least 3 are needed" + (f" ({missing})" if missing else "")
    if row["kendall"] is None:
        return SKIPPED, "the same value for every model" if row["constant"] else f"{study.target_name} is the same for every model"
    alone, together = models_needed(1.0), models_needed(1.0, n_tests)
    if alone is not None and free < alone:
        return DOUBTFUL, f"too few {unit}: n={free}, at least {alone} needed to separate τ from 0, even for a perfect order"
    if together is not None and free < together and not row["baseline"]:
        return DOUBTFUL, f"too few {unit}: n={free}, at least {together} needed to separate τ from 0 when {n_tests} measures are tried"
    return OK, missing


def _confounding(row: Mapping[str, Any]) -> str | None:
    """A sentence when the overall correlation is not what it seems."""
    overall, within = row.get("kendall"), row.get("within_kendall")
    clear = _clear(row, "kendall")
    sentences = []
    if not clear and _clear(row, "within_kendall"):
        return f"hidden by differences between groups: within groups τ is {within:+.2f}"
    if overall is not None and within is not None:
        if overall * within < 0 and _clear(row, "within_kendall"):
            sentences.append(f"Simpson's paradox: τ is {overall:+.2f} over all models but {within:+.2f} within groups")
        elif clear and not _clear(row, "within_kendall"):
            sentences.append(f"mostly a difference between groups: τ {overall:+.2f} over all models, {within:+.2f} within groups, which may be 0")
    partial = row.get("partial_spearman")  # Kendall's partial τ stays away from 0 even when the covariates explain everything
    if clear and partial is not None and overall is not None:
        given = ", ".join(row["covariates_used"])
        if partial * overall < 0 and _clear(row, "partial_spearman"):
            sentences.append(f"turns around once {given} is known (partial ρ {partial:+.2f})")
        elif not _clear(row, "partial_spearman"):
            sentences.append(f"not told from 0 once {given} is known (partial ρ {partial:+.2f})")
    return "; ".join(sentences) or None


def _clear(row: Mapping[str, Any], name: str) -> bool:
    """Whether the interval of ``name`` leaves out 0."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return low is not None and high is not None and (low > 0 or high < 0)


def _sentence(row: Mapping[str, Any], study: Study, n_tests: int, sure: str) -> str:
    if row["kendall"] is None:
        return f"Not ranked: {row['reason']}."
    numbers = f"τ {row['kendall']:+.2f}"
    if row["kendall_low"] is not None:
        numbers += f" ({sure} {row['kendall_low']:+.2f} to {row['kendall_high']:+.2f})"
    numbers += f", n={row['n']}" + (f", p {_p(row['p_value'])}" if row["p_value"] is not None else "")
    if row.get("p_adjusted") is not None and n_tests > 1:
        numbers += f", {_p(row['p_adjusted'])} for {n_tests} measures"
    if row["status"] == DOUBTFUL:
        return f"Cannot tell ({row['reason']}): {numbers}."
    p = row["p_adjusted"] if row.get("p_adjusted") is not None else row["p_value"]
    if p is not None and p > LEVEL:
        if row["p_value"] <= LEVEL:
            return f"Weak: {numbers}; alone it would pass, among {n_tests} measures it may be chance."
        needed = models_needed(row["kendall"]) if abs(row["kendall"]) > 0.02 else None
        more = f"; a correlation of this size needs about {needed} models" if needed and needed > row["n"] else ""
        return f"No evidence over all models: {numbers}; {row['confounding']}." if row["confounding"] else f"No evidence: {numbers}{more}."
    worse = (row["kendall"] > 0) != study.higher_is_better
    way = "worse" if worse else "better"
    text = f"Larger values go with {way} models ({study.target_name} {'rises' if row['kendall'] > 0 else 'falls'}): {numbers}"
    if row["loo_r2"] is not None and row["loo_r2"] <= 0:
        text += "; as a straight line it predicts unseen models no better than their mean"
    return f"{text}; but {row['confounding']}." if row["confounding"] else f"{text}."


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def summarize(rows: Sequence[Mapping[str, Any]], study: Study) -> dict[str, Any]:
    """The few numbers and the verdict of the whole ranking."""
    measures = [row for row in rows if not row["baseline"]]
    ranked = [row for row in measures if row["kendall"] is not None]
    passed = [row for row in ranked if row["status"] == OK and row["p_adjusted"] is not None and row["p_adjusted"] <= LEVEL]
    best = max(passed or ranked, key=lambda row: (abs(row["kendall"]), -(row["loo_rmse"] or 0.0)), default=None)
    base = min((row for row in rows if row["baseline"] and row["loo_rmse"] is not None), key=lambda row: row["loo_rmse"], default=None)
    return {
        "verdict": _verdict(best, base, passed, ranked, study) + _within_sentence(ranked),
        "best_measure": best["measure"] if best else None,
        "best_kendall": best["kendall"] if best else None,
        "best_baseline": base["measure"] if base else None,
        "n_measures": len(measures),
        "n_ranked": len(ranked),
        "n_significant": len(passed),
        "n_confounded": sum(row["confounding"] is not None for row in ranked),
    }


def _within_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """The closest measure within groups, when groups were named."""
    found = [row for row in rows if row["within_p_adjusted"] is not None and row["within_p_adjusted"] <= LEVEL]
    if not found:
        return " Within groups no measure follows it beyond chance." if any(row["within_p_adjusted"] is not None for row in rows) else ""
    best = max(found, key=lambda row: abs(row["within_kendall"]))
    return (
        f" Within groups the closest is {display_name(best['measure'], 60)}: τ {best['within_kendall']:+.2f}"
        f" ({best['within_kendall_low']:+.2f} to {best['within_kendall_high']:+.2f}), p {_p(best['within_p_adjusted'])} for {len(rows)} measures."
        if best["within_kendall_low"] is not None
        else ""
    )


def _verdict(
    best: Mapping[str, Any] | None, base: Mapping[str, Any] | None, passed: Sequence[Any], ranked: Sequence[Mapping[str, Any]], study: Study
) -> str:
    if best is None:
        return "No measure could be ranked."
    name = display_name(best["measure"], 60)
    if not passed:
        if all(row["status"] == DOUBTFUL for row in ranked):
            return f"It cannot be told yet: {best['reason']}. The closest is {name} (τ {best['kendall']:+.2f})."
        return f"No measure follows {study.target_name} beyond chance; the closest is {name}: {best['verdict']}"
    text = f"{len(passed)} of {len(ranked)} measures follow {study.target_name} beyond chance. The closest is {name}: {best['verdict']}"
    if base is not None and best["loo_rmse"] is not None:
        relation = "better than" if best["loo_rmse"] < base["loo_rmse"] else "no better than"
        other = f"{display_name(base['measure'], 40)} alone ({base['loo_rmse']:.3g})"
        text += f" Its error on unseen models ({best['loo_rmse']:.3g}) is {relation} that of {other}."
    return text
