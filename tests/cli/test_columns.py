import io

import pytest
from rich.console import Console

from genscope.cli.columns import Column, fitted_table

COLUMNS = (
    Column("layer", "left"),
    Column("view", "left", 3),
    Column("alpha"),
    Column("95%", "right", 1),
    Column("tail", "right", 2),
    Column("", "left"),
)
ROWS = (
    ("layers.0.attention.query.weight", "slices ×9", "3.57", "1.6–12.3", "1234", "?"),
    ("head", "weight", "12.25", "–", "8", ""),
)


def shown(width: int) -> list[str]:
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(fitted_table(COLUMNS, ROWS, width))
    return screen.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 50, 60, 80, 200])
def test_lines_fit_and_no_number_or_mark_is_cut(width: int) -> None:
    lines = shown(width)
    assert all(len(line.rstrip()) <= width for line in lines)
    words = " ".join(lines).split()
    assert {"3.57", "12.25", "alpha", "?"} <= set(words)
    for whole in ("1.6–12.3", "1234", "95%", "tail"):
        assert whole in words or not any(whole.startswith(word.rstrip("…")) and len(word) > 1 for word in words)


def test_columns_go_by_rank() -> None:
    headings = [shown(width)[0].split() for width in (200, 51, 42, 30)]
    assert headings[0] == ["layer", "view", "alpha", "95%", "tail"]
    assert "view" not in headings[1] and "tail" in headings[1]
    assert "tail" not in headings[2] and "95%" in headings[2]
    assert headings[3] == ["layer", "alpha"]


def test_names_give_way_before_columns() -> None:
    lines = shown(64)
    assert "view" in lines[0] and "…" in lines[2]
