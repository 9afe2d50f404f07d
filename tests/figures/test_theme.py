"""Pictures come out the same every time, in both themes, and carry no date."""

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from genscope.figures.theme import THEMES, Theme, new_figure, png_of, style_legend, svg_of


def drawing(theme: Theme):
    figure, axes = new_figure(theme, 4, 3)
    axes.plot([0, 1, 2], [0, 1, 4], label="squares")
    axes.set(xlabel="x", ylabel="y", title="t")
    style_legend(axes, theme)
    return figure


@pytest.mark.parametrize("name", THEMES)
def test_the_same_figure_gives_the_same_bytes(name: str) -> None:
    theme = THEMES[name]
    assert png_of(drawing(theme)) == png_of(drawing(theme))
    svg = svg_of(drawing(theme))
    assert svg == svg_of(drawing(theme)) and b"dc:date" not in svg and theme.paper.encode() in svg


def test_several_panels_are_all_styled() -> None:
    figure, axes = new_figure(THEMES["dark"], rows=2, cols=2)
    assert axes.shape == (2, 2)
    assert {one.get_facecolor() for one in figure.axes} == {axes[0, 0].get_facecolor()}
