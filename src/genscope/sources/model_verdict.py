"""The few numbers and the sentences that stand for a whole assessment."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
SHOWN = (
    "train_error",
    "test_error",
    "gap",
    "margin",
    "log_path_norm_l2",
    "pac_bayes_certificate",
    "pac_bayes_certificate_init",
    "hessian_top_eigenvalue",
    "normalized_train_loss",
)


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Key numbers by name, how many measures came out, and the verdict in words."""
    whole = {row["measure"]: row for row in rows if row["layer"] is None}
    names = list(dict.fromkeys(row["measure"] for row in rows))
    done = {row["measure"] for row in rows if row["value"] is not None}
    numbers = {name: whole[name]["value"] for name in SHOWN if name in whole}
    return {"n_measures": len(names), "n_computed": len(done), **numbers, "verdict": verdict(whole)}


def verdict(whole: Mapping[str, Row]) -> str:
    """Two or three sentences: does it fit, with what margin, and what is certain."""
    sentences = [part for part in (_fit(whole), _margin(whole), _certificate(whole)) if part]
    return " ".join(sentences) or "Nothing could be computed."


def _fit(whole: Mapping[str, Row]) -> str:
    train, test = _value(whole, "train_error"), _value(whole, "test_error")
    if train is None:
        return ""
    if test is None:
        return f"It classifies {1 - train:.2%} of its training examples right."
    return f"It classifies {1 - train:.2%} of its training and {1 - test:.2%} of its test examples right, a gap of {test - train:.2%}."


def _margin(whole: Mapping[str, Row]) -> str:
    margin = _value(whole, "margin")
    if margin is None:
        return ""
    if margin <= 0:
        return "Its margin quantile is not positive, so norms over margin are undefined."
    return f"Its margin is {margin:.3g} (5 % quantile)." if whole["margin"]["options"].get("quantile") == 0.05 else f"Its margin is {margin:.3g}."


def _certificate(whole: Mapping[str, Row]) -> str:
    rows = [whole[name] for name in ("pac_bayes_certificate_init", "pac_bayes_certificate") if name in whole and whole[name]["value"] is not None]
    if not rows:
        return ""
    best = min(rows, key=lambda row: row["value"])
    prior = "initialization" if best["measure"].endswith("_init") else "zero"
    if best["status"] == "doubtful":
        return f"The PAC-Bayes certificate is vacuous ({best['value']:.3g}): it promises nothing better than guessing."
    sure = 1 - best["options"]["certificate_delta"]
    return f"With probability {sure:.0%} the network with noisy weights errs on at most {best['value']:.1%} of new examples (prior at {prior})."


def _value(whole: Mapping[str, Row], name: str) -> float | None:
    return whole[name]["value"] if name in whole else None
