"""The table of ``assess``: whole numbers at any width, headings, layers as a span, each reason once."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from genscope.cli import tables_assess
from genscope.core.results import Result

LONG = "adaptive_sharpness_logit_normalized"


def row(measure: str, value: float | None, layer: str | None = None, **more: Any) -> dict[str, Any]:
    facts = {"low": None, "high": None, "status": "ok", "reason": "", "unit": "logits per input unit", "expects": "larger gap", "group": "norms"}
    return {"measure": measure, "layer": layer, "value": value, **facts, "meaning": "", "options": {}, "seed": 0, **more}


ROWS = [
    row("train_error", 0.25, group="errors", unit="error rate", low=0.2, high=0.3),
    row("n_params", 1003, unit="parameters"),
    row("layer_norm", 12345.678, "l1"),
    row("layer_norm", 6.5, "l2"),
    row(LONG, -2.5e-7, low=-3.25e-7, high=1e9, status="doubtful", reason="too few draws"),
    row("l2_dist", None, status="skipped", reason="needs 'initial_params' (l2_dist <- distance <- initial_params)"),
    row("dist_spec_init", None, status="skipped", reason="needs 'initial_params' (dist_spec_init <- initial_params)"),
]


def printed(monkeypatch: pytest.MonkeyPatch, width: int, *, layers: bool = False, rows: list[dict[str, Any]] = ROWS) -> list[str]:
    text = StringIO()
    screen = Console(file=text, width=width, highlight=False, markup=False, emoji=False)
    monkeypatch.setattr(tables_assess, "console", lambda: screen)
    tables_assess.show_assessment(Result("assess", {"summary": {"verdict": "It fits."}}, rows), layers=layers)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 130])
def test_numbers_are_whole_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = printed(monkeypatch, width)
    text = "\n".join(lines)
    for number in ("0.2500", "0.200 … 0.300", "1,003", "6.50 – 12,346", "2 layers", "-2.500e-7", "-3.25e-7 … 1.00e9"):
        assert number in text
    assert max(map(len, lines)) <= width
    assert ("larger gap" in text) == (width >= 130)


def test_headings_come_in_order_and_reasons_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 130)
    assert [line for line in lines[1:] if line in ("errors", "norms")] == ["errors", "norms"]
    assert sum("--initial" in line for line in lines) == 1
    assert any(line.startswith("–2") and "l2_dist, dist_spec_init" in line and "<-" not in line for line in lines)
    assert any("?1" in line and LONG in line for line in lines)


def test_layers_one_by_one_and_columns_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 130, layers=True)
    first, second = (next(line for line in lines if line.strip().startswith(name + " ")) for name in ("l1", "l2"))
    ends = [line.rstrip().index(text) + len(text) for line, text in ((first, "12,346"), (second, "6.500"))]
    assert ends[0] == ends[1]


def test_a_narrow_screen_shortens_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(printed(monkeypatch, 60))
    assert any(line.startswith("  adaptive_sharpness") and "…  " in line[:40] and LONG not in line for line in text.splitlines())
    assert "-3.25e-7 … 1.00e9" in text


def test_rows_of_other_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = [{key: value for key, value in row("mine\x1b[31m", 2.0).items() if key != "group"}]
    text = "\n".join(printed(monkeypatch, 80, rows=bare))
    assert "other measures" in text and "\x1b" not in text
    assert printed(monkeypatch, 80, rows=[])
