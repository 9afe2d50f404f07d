"""The page in a real headless Chromium: it works by mouse and by keys, holds under hostile names and thousands of layers."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.pages import Opener, hostile_result
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.report.page import write_report

pytestmark = pytest.mark.browser


def column(page: Any, key: str) -> list[str]:
    place = page.evaluate("(key) => [...document.querySelectorAll('#table th')].findIndex((th) => th.dataset.key === key)", key)
    return page.evaluate("(place) => [...document.querySelectorAll('#table tr[data-row]')].map((tr) => tr.children[place].textContent)", place)


def settle(page: Any) -> Any:
    """Lets charts redraw, which they do once per frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace(",", "")) for text in texts if text != "–"]


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


@pytest.mark.parametrize("verb", EVERY)
def test_hostile_names_create_no_node_and_run_nothing(opened: Opener, verb: str) -> None:
    page = opened(hostile_result(verb), 400)
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("[...document.querySelectorAll('*')].filter((n) => [...n.attributes].some((a) => a.name.startsWith('on'))).length") == 0
    assert page.locator("main img:not([src^='data:image/'])").count() == 0  # its own pictures are inside the page
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
