"""The surface that can be turned: by pointer, by keys, as a map that reads values, in both themes, with holes where nothing is finite."""

import pytest
from tests.report.pages import Opener
from tests.report.sample_models import EVERY

pytestmark = pytest.mark.browser

PIXELS = "() => { const c = document.querySelector('#surface canvas.stage'); return c.toDataURL(); }"


def test_the_surface_turns_zooms_and_reads(opened: Opener) -> None:
    page = opened(EVERY["landscape plane"]())
    stage = page.locator("#surface canvas.stage")
    first = page.evaluate(PIXELS)
    stage.focus()
    seen = [first]
    for key in ("ArrowRight", "ArrowUp", "+"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        seen.append(page.evaluate(PIXELS))
    assert len(set(seen)) == 4 and "zoom" in page.inner_text("#live")
    page.keyboard.press("0")
    page.wait_for_timeout(60)
    assert page.evaluate(PIXELS) == first
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150, steps=3)
    page.mouse.up()
    page.wait_for_timeout(60)
    assert page.evaluate(PIXELS) != first
    page.click("#surface button:has-text('Map')")
    stage.focus()
    page.keyboard.press("ArrowRight")
    assert "Loss" in page.inner_text("#tip") and "x = 0.14" in page.inner_text("#live")
    page.click("#surface button:has-text('Error rate')")
    assert page.inner_text("#surface .ramp-ends").startswith("0.001")
    dark = page.evaluate(PIXELS)
    page.click("#theme")
    page.wait_for_timeout(100)
    assert page.evaluate(PIXELS) != dark
