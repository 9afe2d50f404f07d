"""How the page looks in a real headless Chromium: quiet, no sideways scrolling, enough contrast in light and dark, fit to print."""

import pytest
from tests.report.pages import Opener
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.core.results import Result

pytestmark = pytest.mark.browser


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true}), known = new Map();
  const parse = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(colour);
  };
  const part = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); if (c[3] === 255) return c; }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('p, dt, dd, h1, h2, h3, td, th button, li, button, text, span, small, figcaption')) {
    if (!node.textContent.trim() || !node.getClientRects().length || node.closest('.unseen, #tip') || node.disabled) continue;
    const style = getComputedStyle(node), drawn = node instanceof SVGElement;
    const ink = parse(drawn ? style.fill : style.color), paper = ground(drawn ? node.closest('svg').parentElement : node);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([node.tagName, node.getAttribute('class'), node.textContent.slice(0, 30), ratio.toFixed(2)].join(' '));
  }
  return [...new Set(poor)].slice(0, 20);
}"""


@pytest.mark.parametrize("verb", EVERY)
@pytest.mark.parametrize(("width", "theme"), [(400, "light"), (1600, "dark")])
def test_every_page_opens_quietly_without_sideways_scrolling(opened: Opener, verb: str, width: int, theme: str) -> None:
    page = opened(EVERY[verb](), width, theme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.querySelectorAll('[data-mount]')].every((host) => host.childElementCount > 0)")
    assert "null" not in page.inner_text("main") and "undefined" not in page.inner_text("main") and "[object" not in page.inner_text("main")
    assert page.evaluate(
        "[...document.querySelectorAll('svg.chart')].every((svg) => svg.querySelector('title').textContent && svg.getAttribute('aria-labelledby'))"
    )


@pytest.mark.parametrize("verb", EVERY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast(opened: Opener, verb: str, theme: str) -> None:
    assert opened(EVERY[verb](), theme=theme).evaluate(CONTRAST) == []


def test_the_theme_switches_and_is_kept_in_the_address(opened: Opener) -> None:
    page = opened(analyze_result(4))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    dark = page.evaluate(paper)
    assert light != dark and "theme=dark" in page.url
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    again = opened(analyze_result(4), address="#theme=dark")
    assert again.evaluate(paper) == dark


def test_print_shows_every_row_and_hides_the_tools(opened: Opener) -> None:
    page = opened(analyze_result(300))
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tr[data-row]").count() == 300
    assert page.is_hidden("#table .tools") and page.is_hidden(".top")


def test_reduced_motion_is_respected(opened: Opener) -> None:
    page = opened(analyze_result(4), reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_an_empty_analysis_says_why(opened: Opener) -> None:
    result = Result("analyze", {"source": "bias.npz"}, [], {"skipped": [{"layer": "b", "reason": "one-dimensional: a bias"}]})
    page = opened(result, 400)
    assert "No matrix could be fitted because: one-dimensional: a bias" in page.inner_text("#verdict")
    assert page.locator("#depth").count() == 0 and "one-dimensional" in page.inner_text("#table")
