"""The page of a training run: alarms first, then how it stands, then every number over the steps."""

from collections.abc import Mapping
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.figure_data import figures_of
from genscope.report.payload import table_of
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

_LINES = 8  # a figure tells this many lines apart
_VISIBLE = ("measure", "split", "layer", "first", "best", "best_step", "value", "step")
_KEYS = {
    "step": "Step",
    "epoch": "Epoch",
    "validation_normalized_loss": "Normalized validation loss",
    "train_normalized_loss": "Normalized training loss",
    "batch_normalized_loss": "Normalized loss, batches",
    "validation_error": "Validation error",
    "batch_loss": "Loss, batches",
    "log_rho": "ln ρ",
    "n_alarms": "Alarms",
}
_NAMES = {
    "loss": "Loss",
    "normalized_loss": "Normalized loss",
    "error": "Error",
    "log_rho": "ln ρ of the whole network",
    "log_scale": "ln of what the logits are divided by",
    "rho/layers": "ρ by layer",
    "rho_growth": "Growth of ln ρ per step",
    "rho_growth/layers": "Growth of ln ρ per step, by layer",
    "alpha/layers": "α by layer",
    "margin_min": "Smallest margin",
    "margin_q05": "Margin (5 %)",
    "margin_q25": "Margin (25 %)",
    "margin_median": "Median margin",
    "normalized_margin_min": "Smallest normalized margin",
    "normalized_margin_q05": "Normalized margin (5 %)",
    "normalized_margin_q25": "Normalized margin (25 %)",
    "normalized_margin_median": "Median normalized margin",
    "alignment": "Alignment of descent and weights",
    "alignment/layers": "Alignment of descent and weights, by layer",
    "gradient_norm": "Gradient norm",
    "learning_rate": "Learning rate η",
    "effective_learning_rate": "Effective learning rate η/ρ²",
    "effective_learning_rate/layers": "Effective learning rate η/ρ², by layer",
    "stable_rank/layers": "Stable rank by layer",
    "log_spectral_norm/layers": "log₁₀ λ max by layer",
    "log_frobenius_norm/layers": "log₁₀ ‖W‖² by layer",
}
_UNITS = {
    "loss": "nats",
    "normalized_loss": "nats",
    "error": "rate",
    "margin": "logits",
    "normalized_margin": "",
    "log_rho": "nats",
    "alignment": "cosine",
}
_LOG = ("loss", "gradient_norm", "effective_learning_rate", "learning_rate")
# anchor, title, lead, measures
_TOPICS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "loss",
        "Loss and normalized loss",
        "The loss falls for as long as the outputs can be scaled up. The normalized loss divides the scale out: it falls only while the data are "
        "fitted better.",
        ("loss", "normalized_loss", "error"),
    ),
    (
        "margins",
        "Margins",
        "By how much the right class wins, and the same divided by ρ. Growing margins with a constant normalized margin are growth of scale alone.",
        ("margin_q05", "margin_median", "normalized_margin_q05", "normalized_margin_median"),
    ),
    (
        "norms",
        "Norms and their growth",
        "ρ of a layer is the Frobenius norm of its weights; that of the network is their product, here as a logarithm.",
        ("log_rho", "rho/layers", "rho_growth", "log_scale"),
    ),
    (
        "descent",
        "Gradient, alignment and effective learning rate",
        "Alignment is the cosine between weights and the direction of descent: above zero, steps make the layer grow. A layer whose scale does not "
        "matter moves as if the learning rate were η/ρ².",
        ("gradient_norm", "alignment", "alignment/layers", "learning_rate", "effective_learning_rate", "effective_learning_rate/layers"),
    ),
    (
        "spectra",
        "Spectra of the layers",
        "α is the exponent of the tail of a layer's eigenvalue density: 2 to 6 in well-trained layers, smaller is heavier.",
        ("alpha/layers", "stable_rank/layers", "log_spectral_norm/layers"),
    ),
)
_DRAWN = {name for *_, names in _TOPICS for name in names} | {"alpha_stderr/layers", "n_tail/layers", "margin_min", "margin_q25"}
_DRAWN |= {"normalized_margin_min", "normalized_margin_q25", "rho_growth/layers", "log_frobenius_norm/layers"}


def watch_sections(result: Result) -> list[Section]:
    """What the page of a run (or of two) shows, in reading order."""
    rest = {name: curve for name, curve in result.curves.items() if name not in _DRAWN}
    others = _drawn(rest, list(rest))
    keys = [key for key in _KEYS if result.summary.get(key) is not None]
    table = table_of(result.rows, _VISIBLE, "measure")
    return parts.present(
        _alarms(result),
        _side_by_side(result) or parts.key_numbers(result.summary, keys, _KEYS, {}),
        *(_topic(result.curves, *topic) for topic in _TOPICS),
        Section("figures", "others", "Other measures", payload={"figures": others}) if others else None,
        parts.table_section(table, "All numbers", "", ("split", "layer"), "Nothing was recorded yet."),
        parts.skipped(result.tail.get("skipped"), "Not measured", "skipped", "Numbers that could not be had, with the reason."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("watch"),
        parts.reproducibility(result),
    )


def watch_verdict(result: Result) -> str:
    """A sentence for results whose summary has none."""
    return f"{len(result.rows):,} numbers were recorded." if result.rows else "Nothing was recorded yet."


def _alarms(result: Result) -> Section | None:
    found = result.tail.get("alarms")
    lines = []
    for alarm in found if isinstance(found, list | tuple) else ():
        if isinstance(alarm, Mapping):
            run = f"{text_of(alarm['run'], 60)}: " if alarm.get("run") else ""
            numbers = alarm.get("numbers")
            told = ", ".join(f"{text_of(n, 40)} {_told(value)}" for n, value in numbers.items()) if isinstance(numbers, Mapping) else ""
            lines.append(f"{run}{text_of(alarm.get('sentence'), 500)} [{text_of(alarm.get('rule'), 60)}{': ' + told if told else ''}]")
    lead = "What the rules of the monitor had to say, with the numbers behind each."
    return Section("notes", "alarms", "Alarms", lead, data={"lines": lines}) if lines else None


def _told(value: Any) -> str:
    return number_of(value) if isinstance(value, int | float) and not isinstance(value, bool) else text_of(value, 60)


def _topic(curves: Mapping[str, Any], anchor: str, title: str, lead: str, names: tuple[str, ...]) -> Section | None:
    # where ρ is the product of the layers' norms, the logits are divided by it: one picture says both
    same = _lines(curves.get("log_scale")) == _lines(curves.get("log_rho"))
    figures = _drawn(curves, [name for name in names if name in curves and not (same and name == "log_scale")])
    return Section("figures", anchor, title, lead, payload={"figures": figures}) if figures else None


def _lines(curve: Any) -> list[list[float]]:
    return [_values(line) for line in curve.values() if isinstance(line, Mapping)] if isinstance(curve, Mapping) else []


def _drawn(curves: Mapping[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Figures under their headings; of many layers those that moved most."""
    found = []
    for name in names:
        held = curves[name] if isinstance(curves[name], Mapping) else {}
        lines = _without_batches({str(label): line for label, line in held.items() if isinstance(line, Mapping)})
        chosen = _moved_most(lines) if name.endswith("/layers") else dict(list(lines.items())[:_LINES])
        named = {label: {**line, "ylabel": _unit(name), "log": "y" if _logarithmic(name, lines) else ""} for label, line in chosen.items()}
        more = f" (the {_LINES} of {len(lines)} that moved most)" if len(lines) > len(chosen) else ""
        for figure in figures_of({name: named}):
            if len(figure.get("series", ())) == len(named):
                # names of layers and runs as they are, not as headings
                figure["series"] = [{**one, "name": text_of(label, 60)} for one, label in zip(figure["series"], named, strict=True)]
            title = _NAMES.get(name, figure["title"].replace("/layers", " by layer")) + more
            found.append({**figure, "title": title, "xlabel": "step", "ylabel": _unit(name)})
    return found


def _without_batches(lines: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of two runs that both measured whole epochs, the noisier batches are left out: six lines hide what four show."""
    calm = {label: line for label, line in lines.items() if not str(label).endswith(" · training batches")}
    return calm if any(str(label).endswith(" · training") for label in calm) else lines


def _side_by_side(result: Result) -> Section | None:
    """Two runs in one table: where each stands, and its best."""
    names, summaries = result.head.get("models"), result.summary.get("models")
    if not isinstance(names, list | tuple) or not isinstance(summaries, list | tuple) or len(names) != len(summaries):
        return None
    known = [summary if isinstance(summary, Mapping) else {} for summary in summaries]
    lines = [
        {"label": label, "values": [number_of(one.get(key), 6) for one in known]}
        for key, label in _KEYS.items()
        if any(one.get(key) is not None for one in known)
    ]
    data = {"head": "Last value", "models": [text_of(name, 60) for name in names], "lines": lines}
    return Section("glance", "glance", "The runs side by side", "", data=data) if lines else None


def _moved_most(lines: Mapping[str, Any]) -> dict[str, Any]:
    if len(lines) <= _LINES:
        return dict(lines)

    def moved(line: Mapping[str, Any]) -> float:
        values = _values(line)
        return (max(values) - min(values)) / (abs(values[0]) + 1e-12) if values else 0.0

    chosen = set(sorted(lines, key=lambda label: -moved(lines[label]))[:_LINES])
    return {label: line for label, line in lines.items() if label in chosen}


def _values(line: Mapping[str, Any]) -> list[float]:
    held = line.get("y")
    return [value for value in held if isinstance(value, float) and abs(value) < 1e300] if isinstance(held, list | tuple) else []


def _unit(name: str) -> str:
    measure = name.removesuffix("/layers")
    return next((unit for key, unit in reversed(_UNITS.items()) if measure.startswith(key)), "")


def _logarithmic(name: str, lines: Mapping[str, Any]) -> bool:
    if name.removesuffix("/layers") not in _LOG:
        return False
    values = [value for line in lines.values() for value in _values(line)]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)
