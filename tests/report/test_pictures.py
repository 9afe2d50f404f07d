"""Pictures in the page: one per theme, only the reader's is shown, and nothing of their words is read as markup."""

from typing import Any

import pytest
from tests.report.pages import Opener

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from genscope.core.results import Result
from genscope.figures.theme import Picture, Theme, new_figure
from genscope.report import page as page_module
from genscope.report.pictures import pictures_section


def draw(theme: Theme) -> Any:
    figure, axes = new_figure(theme, 4, 3)
    axes.plot([0, 1])
    return figure


PICTURES = [Picture("A <b>title</b>", "what it shows", "how to read it", draw), Picture("Dense", "an image", "", draw, vector=False)]


def test_each_theme_has_its_own_image() -> None:
    section = pictures_section(PICTURES, "pictures", "Pictures")
    assert section is not None and section.kind == "pictures"
    first, second = section.data["items"]
    assert first["light"] != first["dark"] and first["light"].startswith("data:image/svg+xml;base64,")
    assert second["dark"].startswith("data:image/png;base64,")
    assert pictures_section([], "pictures", "Pictures") is None


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_only_the_readers_theme_is_shown(opened: Opener, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    section = pictures_section(PICTURES, "pictures", "Pictures")
    monkeypatch.setitem(page_module._BUILDERS, "describe", (lambda result: [section], lambda result: "verdict"))
    page = opened(Result("describe", {"source": "x"}, []), theme=theme)
    assert page.locator("h3", has_text="A <b>title</b>").count() == 1
    other = "dark" if theme == "light" else "light"
    assert page.locator(f"img.in-{theme}").first.is_visible() and not page.locator(f"img.in-{other}").first.is_visible()
    page.click("#theme")
    assert page.locator(f"img.in-{other}").first.is_visible() and not page.locator(f"img.in-{theme}").first.is_visible()
