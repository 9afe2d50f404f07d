"""The page of a trained model: in words, then margins, norms by layer, loss, certificate, sharpness, and the table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.figure_data import figures_of
from genscope.report.payload import table_of
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

Row = Mapping[str, Any]
_VISIBLE = ("measure", "layer", "status", "value", "unit", "low", "high", "expects", "reason")
_CURVES = 60
_CHAIN = re.compile(r"\s*\([^()]*<-[^()]*\)$")  # "(a <- b <- c)": which ingredient asked; the same lack is one group
_CARDS = (
    "train_error", "test_error", "gap", "margin", "pac_bayes_certificate_init", "pac_bayes_certificate", "normalized_train_loss",
    "normalized_test_loss", "l2_path_over_margin", "log_spectral_complexity_init", "l2_dist", "average_sharpness", "adaptive_sharpness",
    "hessian_top_eigenvalue", "jacobian_spectral_norm", "theorem_one_bound",
)  # fmt: skip
_KEYS = {
    "train_error": "Training error",
    "test_error": "Test error",
    "gap": "Gap",
    "margin": "Margin (5 %)",
    "pac_bayes_certificate_init": "Certificate",
    "hessian_top_eigenvalue": "Top curvature",
    "n_computed": "Measures computed",
}
# anchor, title, lead, headings of the rows, curves
_TOPICS: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "margins",
        "Margins",
        "By how much the right class wins. Left of zero an example is misclassified; a network with the whole distribution far to the right, "
        "measured against its norms, is expected to generalize.",
        ("errors", "margins"),
        ("margins",),
    ),
    (
        "loss",
        "Normalized loss",
        "The loss after every layer is divided by its norm: scale no longer hides how well the data are fitted.",
        ("normalized loss",),
        ("normalized_top_logit",),
    ),
    (
        "certificate",
        "PAC-Bayes: what is certain",
        "The certificates hold with the stated probability for the network with noisy weights; the other numbers are bounds' main terms "
        "that order models but certify nothing.",
        ("PAC-Bayes",),
        (),
    ),
    (
        "sharpness",
        "Sharpness and curvature",
        "How far the loss rises around the weights. Bi-criteria curve: expected sharpness against the KL divergence that the perturbation costs; "
        "lower and further left is flatter.",
        ("sharpness", "curvature", "basin"),
        ("bi_criteria",),
    ),
    (
        "capacity",
        "Norms and capacity",
        "Norms of the whole network, and norms over the margin; each is larger where a larger gap is expected.",
        ("norms over margin", "norms", "homogeneity", "sensitivity"),
        (),
    ),
    ("theorem", "Theorem 1 of Neyshabur et al.", "Its conditions, measured, and its bound.", ("theorem 1 of Neyshabur et al.",), ()),
)
_DRAWN = {name for *_, names in _TOPICS for name in names} | {"zero_prior_certificate", "init_prior_certificate"}


def assess_sections(result: Result) -> list[Section]:
    """What the page of ``assess`` shows: words first, then one part per question, then the table."""
    whole = {str(row.get("measure")): row for row in result.rows if row.get("layer") in (None, "")}
    chosen = [whole[name] for name in _CARDS if name in whole and whole[name].get("value") is not None]
    chosen = chosen or [row for row in whole.values() if row.get("value") is not None][:16]
    missing = [
        {"layer": row.get("measure"), "reason": _CHAIN.sub("", str(row.get("reason") or ""))} for row in result.rows if row.get("value") is None
    ]
    rest = {name: curve for name, curve in result.curves.items() if name not in _DRAWN}
    table = table_of(result.rows, _VISIBLE, "measure")
    keys = [key for key in _KEYS if key in result.summary] or [key for key in result.summary if key != "seed"][:8]
    topics = _topics(result)
    return parts.present(
        parts.key_numbers(result.summary, keys, _KEYS, {}),
        Section("cards", "cards", "The model in words", data={"cards": [_card(row) for row in chosen]}) if chosen else None,
        *topics[:1],
        _norms_by_layer(result.rows),
        *topics[1:],
        Section("figures", "figures", "Figures", payload={"figures": figures_of(rest)[:_CURVES]}) if figures_of(rest) else None,
        parts.table_section(table, "All measures", "", ("status",), "No measure was computed."),
        parts.skipped([*missing, *(result.tail.get("skipped") or ())], "Not computed", "skipped", "Measures or layers left out, with the reason."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("assess"),
        parts.reproducibility(result),
    )


def assess_verdict(result: Result) -> str:
    """How many measures have a value."""
    done = sum(row.get("value") is not None for row in result.rows)
    return f"{done:,} of {len(result.rows):,} measures have a value." if result.rows else "No measure was computed."


def _topics(result: Result) -> list[Section]:
    """A figure and a short table per question."""
    found = []
    for anchor, title, lead, headings, names in _TOPICS:
        rows = [row for row in result.rows if row.get("group") in headings and row.get("layer") in (None, "") and row.get("value") is not None]
        figures = figures_of({name: result.curves[name] for name in names if name in result.curves})
        if rows or figures:
            lines = [_line(row) for row in rows]
            facts = _certificates(result.curves) if anchor == "certificate" else []
            payload = {"figures": figures} if figures else None
            found.append(Section("topic", anchor, title, lead, data={"lines": lines, "facts": facts, "drawn": bool(figures)}, payload=payload))
    return found


def _line(row: Row) -> dict[str, str]:
    card = _card(row)
    unit = {"error rate": "rate", "logit units": "logits"}.get(card["unit"], card["unit"])
    expects = "" if row.get("expects") in (None, "none") else text_of(row["expects"], 40)
    doubt = "" if row.get("status") == "ok" else text_of(row.get("reason") or "", 200)
    return {**card, "interval": card["interval"].removeprefix("95% "), "unit": unit, "expects": expects, "words": doubt or card["words"]}


def _certificates(curves: Mapping[str, Any]) -> list[str]:
    """One sentence per certificate on what it is made of."""
    told = []
    for name in ("init_prior_certificate", "zero_prior_certificate"):
        facts = curves.get(name)
        if isinstance(facts, Mapping) and isinstance(facts.get("bound"), int | float):
            numbers = {key: number_of(facts.get(key), 3) for key in ("sigma", "divergence", "n_draws")}
            numbers |= {key: _percent(facts.get(key)) for key in ("bound", "monte_carlo_error")}
            told.append(
                f"Prior at {text_of(facts.get('prior') or 'zero', 40)}: at most {numbers['bound']} of new examples wrong, from a training error of "
                f"{numbers['monte_carlo_error']} over {numbers['n_draws']} noisy networks (σ = {numbers['sigma']}) "
                f"and a KL divergence of {numbers['divergence']} nats."
            )
    return told


def _percent(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


def _norms_by_layer(rows: Sequence[Row]) -> Section | None:
    """Layers down, per-layer measures across."""
    found: dict[str, dict[str, Row]] = {}
    names: dict[str, None] = {}
    for row in rows:
        if row.get("layer") not in (None, "") and str(row.get("measure")).startswith("layer_"):
            layer, name = str(row["layer"]).removesuffix(".weight"), str(row["measure"])
            names[name] = None
            found.setdefault(layer, {})[name] = row
    if not found:
        return None
    heads = [text_of(name.removeprefix("layer_").replace("_", " "), 40) for name in names]
    lines = [
        {"label": text_of(layer, 80), "values": [number_of(cells.get(name, {}).get("value"), 4) for name in names]}
        for layer, cells in list(found.items())[:2000]
    ]
    lead = "In the order of the network. The operator norm is that of the layer as it is applied (stride, padding, input size)."
    return Section("glance", "layers", "Norms by layer", lead, data={"head": "Layer", "models": heads, "lines": lines})


def _card(row: Row) -> dict[str, Any]:
    low, high = row.get("low"), row.get("high")
    words = next((row[key] for key in ("verdict", "sentence", "meaning", "reason") if row.get(key)), "")
    both = f"{number_of(low)} to {number_of(high)}" if low is not None and high is not None else ""
    return {
        "name": text_of(row.get("measure"), 80),
        "value": number_of(row.get("value")),
        "unit": "" if row.get("unit") in (None, "1") else text_of(row["unit"], 30),
        "interval": f"95% {both}" if both else f"at least {number_of(low)}" if low is not None else "",
        "status": text_of(row.get("status") or "ok", 20),
        "words": text_of(str(words).replace("``", ""), 400),
    }
