"""The page in a real headless Chromium: it works by mouse and by keys, in light and dark, narrow and wide, and asks for nothing."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result
from tests.report.test_page import hostile_result

from genscope.core.results import Result
from genscope.report.page import write_report

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium found: install chromium, chromium-browser or google-chrome")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        chromium = playwright.chromium.launch(executable_path=found, args=quiet)
        yield chromium
        chromium.close()


Opener = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    """Opens a result and fails at the end of the test if the page complained or asked for anything."""
    complaints: list[str] = []
    contexts = []

    def open_page(result: Result, width: int = 1600, theme: str = "light", address: str = "", **options: Any) -> Any:
        path = write_report(result, tmp_path / "report.html")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith((path.as_uri(), "data:", "blob:")) else complaints.append(f"asked for {request.url}"),
        )
        page.goto(path.as_uri() + address)
        page.wait_for_timeout(120)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page: Any, key: str) -> list[str]:
    place = page.evaluate("(key) => [...document.querySelectorAll('#table th')].findIndex((th) => th.dataset.key === key)", key)
    return page.evaluate("(place) => [...document.querySelectorAll('#table tr[data-row]')].map((tr) => tr.children[place].textContent)", place)


def settle(page: Any) -> Any:
    """Lets charts redraw, which they do once per frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace(",", "")) for text in texts if text != "–"]


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


def test_columns_sort_both_ways_and_back(opened: Opener) -> None:
    page = opened(analyze_result())
    before = column(page, "layer")
    button = page.locator("#table th[data-key=alpha] button")
    button.click()
    down = numbers(column(page, "alpha"))
    assert down == sorted(down, reverse=True) and page.locator("th[data-key=alpha]").get_attribute("aria-sort") == "descending"
    assert column(page, "alpha")[-1] == "–"
    button.press("Enter")
    up = numbers(column(page, "alpha"))
    assert up == sorted(up) and column(page, "alpha")[-1] == "–"
    button.press("Enter")
    assert column(page, "layer") == before and page.locator("th[data-key=alpha]").get_attribute("aria-sort") is None


def test_filters_and_search_narrow_the_table_and_fade_the_chart(opened: Opener) -> None:
    page = opened(analyze_result())
    page.click("button[data-filter=status][data-value=ok]")
    assert set(column(page, "status")) == {"doubtful", "failed", "skipped"}
    assert settle(page).locator("#depth .fade").count() > 0
    page.click("button[data-filter=status][data-value=ok]")
    assert settle(page).locator("#depth .fade").count() == 0
    page.fill("#table input[type=search]", "layer2 attention")
    shown = column(page, "layer")
    assert shown and all("layer2" in name for name in shown) and set(column(page, "kind")) == {"attention"}
    assert page.inner_text("#table .count") == f"{len(shown)} of 54 rows"
    page.fill("#table input[type=search]", "no such layer")
    assert "Nothing matches" in page.inner_text("#table tbody")


def test_the_table_is_driven_by_keys(opened: Opener) -> None:
    page = opened(analyze_result())
    page.focus("#table tr[data-place='0']")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.dataset.place") == "2"
    page.keyboard.press("Enter")
    assert column(page, "layer")[2] in page.inner_text("#layer h3")
    assert page.locator("tr[aria-selected=true]").get_attribute("data-row") == "2"
    assert "layer=" in page.url
    page.focus("#table tr[data-place='2']")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.place") == "53"


def test_the_chart_is_driven_by_keys_and_pointer(opened: Opener) -> None:
    page = opened(analyze_result())
    page.focus("#depth svg.chart")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#tip") and "layer1.0.conv2.weight" in page.inner_text("#tip")
    assert "α" in page.text_content("#live")
    page.keyboard.press("Enter")
    assert "layer1.0.conv2.weight" in page.inner_text("#layer h3")
    box = page.locator("#depth svg.chart").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    assert "54 of 54" in page.inner_text("#layer h3")
    page.mouse.move(5, 5)
    assert page.is_hidden("#tip")


def test_the_log_axis_shows_every_alpha(opened: Opener) -> None:
    rows = [dict(row) for row in analyze_result().rows]
    rows[3].update(alpha=240.0, alpha_low=100.0, alpha_high=900.0, status="ok")
    page = opened(replace(analyze_result(), rows=rows))
    assert "drawn at the edge" in page.inner_text("#depth") and "240" not in page.inner_text("#depth")
    page.click("#depth button")
    settle(page)
    assert "drawn at the edge" not in page.inner_text("#depth")
    assert "100" in page.locator("#depth svg.chart").text_content()


def test_a_deep_link_opens_its_layer_and_keys_walk_on(opened: Opener) -> None:
    page = opened(analyze_result(), address="#layer=layer1.1.attn.in_proj_weight%3A%3Aq&curve=density")
    assert "layer1.1.attn.in_proj_weight" in page.inner_text("#layer h3")
    assert "density" in settle(page).locator("#layer svg.chart").first.text_content()
    page.focus("#layer button[aria-label='Next layer']")
    page.keyboard.press("]")
    assert "6 of 54" in page.inner_text("#layer h3")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert "6 of 54" in page.inner_text("#layer h3") and page.evaluate("document.activeElement.getAttribute('aria-label')") == "Next layer"
    page.evaluate("window.location.hash = '#layer=layer1.0.conv2.weight'")
    page.wait_for_timeout(60)
    assert "2 of 54" in page.inner_text("#layer h3")


def test_the_spectrum_shows_all_its_parts(opened: Opener) -> None:
    page = opened(analyze_result())
    legend = page.inner_text("#layer .keys >> nth=0")
    for word in ("eigenvalues", "fit, α", "xmin", "MP edge", "randomized twin"):
        assert word in legend
    page.click("#layer button[data-mode=density]")
    settle(page)
    assert "random bulk" in page.inner_text("#layer .keys >> nth=0") and "curve=density" in page.url
    assert page.evaluate("document.activeElement.dataset.mode") == "density"


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


@pytest.mark.parametrize("verb", EVERY)
def test_hostile_names_create_no_node_and_run_nothing(opened: Opener, verb: str) -> None:
    page = opened(hostile_result(verb), 400)
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("[...document.querySelectorAll('*')].filter((n) => [...n.attributes].some((a) => a.name.startsWith('on'))).length") == 0
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if verb == "analyze":
        page.click("#table tr[data-row='0']")
        assert "</script><script>" in page.inner_text("#layer h3")
        page.click("#table tr[data-row='13']")
        assert len(page.inner_text("#layer h3")) < 240 and "row=14" in page.url


def test_the_policy_stops_a_foreign_script(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(write_report(analyze_result(2), tmp_path / "r.html").as_uri())
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s); }")
    assert page.evaluate("window.hacked") is None
    page.close()


def test_downloads_hold_the_rows_shown_exactly(opened: Opener) -> None:
    rows = [dict(row) for row in analyze_result(6).rows]
    rows[0]["layer"], rows[1]["layer"], rows[2]["log_alpha_norm"] = "=1+1", 'quote " and, comma', -2.5
    page = opened(replace(analyze_result(6), rows=rows))
    with page.expect_download() as waiting:
        page.click("#table button:text-is('CSV')")
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [line["layer"] for line in table] == ["'=1+1", *[row["layer"] for row in rows[1:]]]
    assert float(table[2]["log_alpha_norm"]) == -2.5
    assert [float(line["lambda_max"]) for line in table] == [row["lambda_max"] for row in rows]
    page.fill("#table input[type=search]", "quote")
    with page.expect_download() as waiting:
        page.click("#table button:text-is('JSON')")
    document = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert [row["layer"] for row in document["matrices"]] == [rows[1]["layer"]]
    assert document["matrices"][0]["alpha"] == rows[1]["alpha"]


def test_five_thousand_layers_are_usable(opened: Opener) -> None:
    page = opened(analyze_result(5000))
    assert page.evaluate("performance.getEntriesByType('navigation')[0].duration") < 20_000
    assert page.locator("#table tr[data-row]").count() < 120
    assert page.evaluate("document.querySelectorAll('*').length") < 8000
    page.focus("#table tr[data-place='0']")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.place") == "4999"
    page.keyboard.press("Enter")
    assert "5,000" in page.inner_text("#table .count") and "5000 of 5000" in page.inner_text("#layer h3")
    page.evaluate("document.querySelector('#table .box').scrollTop = 60000")
    page.wait_for_timeout(120)
    assert int(page.locator("#table tr[data-row]").first.get_attribute("data-place")) > 1500


def test_an_empty_analysis_says_why(opened: Opener) -> None:
    result = Result("analyze", {"source": "bias.npz"}, [], {"skipped": [{"layer": "b", "reason": "one-dimensional: a bias"}]})
    page = opened(result, 400)
    assert "No matrix could be fitted because: one-dimensional: a bias" in page.inner_text("#verdict")
    assert page.locator("#depth").count() == 0 and "one-dimensional" in page.inner_text("#table")


def test_comparisons_follow_the_chosen_measure(opened: Opener) -> None:
    page = opened(EVERY["compare"]())
    page.select_option("#changes select", "stable_rank")
    heads = page.locator("#table th").all_inner_texts()
    assert any("Stable rank · tuned" in head for head in heads) and not any(head.startswith("α ·") for head in heads)
    assert "Stable rank by depth" in settle(page).locator("#changes svg.chart title").first.text_content()


def test_scatters_are_enlarged_by_key(opened: Opener) -> None:
    page = opened(EVERY["rank"]())
    page.locator("#scatter figure.pick").nth(2).press("Enter")
    assert "alpha against" in page.inner_text("#scatter figcaption >> nth=0")


def test_print_shows_every_row_and_hides_the_tools(opened: Opener) -> None:
    page = opened(analyze_result(300))
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tr[data-row]").count() == 300
    assert page.is_hidden("#table .tools") and page.is_hidden(".top")


def test_reduced_motion_is_respected(opened: Opener) -> None:
    page = opened(analyze_result(4), reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
