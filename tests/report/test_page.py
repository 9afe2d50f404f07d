"""The page as text: structure, escaping, policy, strict JSON, sizes, privacy. Nothing here needs a browser."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.core.results import Result
from genscope.errors import StoreError
from genscope.report.page import render, write_report
from genscope.report.payload import script_json, spectra_of, table_of
from genscope.report.sections_analyze import composition
from genscope.report.wording import bytes_of, fact_of, number_of, source_of, text_of

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<!-- <script>",
    '" onload="window.hacked=1',
    "<img src=x onerror=window.hacked=1>",
    "javascript:alert(1)",
    "]]>",
    "line\u2028paragraph\u2029",
    "\u202egnp.exe",
    "\x1b[31mred",
    "nul\x00nul",
    "{{ 7*7 }}",
    "=cmd|' /C calc'!A0",
    "lone\ud800surrogate",
    "x" * 100_000,
    "",
]


class Reader(HTMLParser):
    """Collects what a browser would see: elements, attributes, script texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag in {"script", "style"}:
            self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self.open in {"script", "style"}:
            self.texts[self.open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def data_of(text: str) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(read(text).texts["script"][0], parse_constant=refuse)


def hostile_result(verb: str = "analyze") -> Result:
    """Every text that a file can bring replaced by something nasty."""
    result = EVERY[verb]()
    rows = []
    for index, row in enumerate(result.rows):
        name = HOSTILE[index % len(HOSTILE)]
        changed = {key: name if isinstance(value, str) and key not in {"status"} else value for key, value in row.items()}
        rows.append(changed)
    skipped = [{"layer": name, "reason": name} for name in HOSTILE]
    head = {**result.head, "source": HOSTILE[0], "options": dict(zip(HOSTILE[:13], HOSTILE[:13], strict=True))}
    head["summary"] = {**result.summary, "verdict": HOSTILE[0], "verdict_details": HOSTILE}
    if "models" in head:
        head["models"] = HOSTILE[: len(head["models"])]
    curves = {f"{row.get('layer')}::{row.get('view')}": curve for row, curve in zip(rows, result.curves.values(), strict=False)}
    curves |= {"scatter": result.curves["scatter"]} if "scatter" in result.curves else {}
    return replace(result, head=head, rows=rows, tail={"skipped": skipped, "notes": HOSTILE, "unmatched": skipped}, curves=curves)


@pytest.mark.parametrize("verb", EVERY)
def test_every_verb_has_a_complete_page(verb: str) -> None:
    text = render(EVERY[verb]())
    reader = read(text)
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    assert reader.count("h1") == 1 and reader.count("script") == 2 and reader.count("style") == 1
    assert reader.count("main") == 1 and reader.count("noscript") == 1
    anchors = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    assert all(attributes["href"][1:] in anchors for tag, attributes in reader.tags if tag == "a")


def test_the_analysis_has_its_sections_in_reading_order() -> None:
    reader = read(render(analyze_result()))
    order = [attributes["id"] for tag, attributes in reader.tags if tag == "section" and "id" in attributes]
    assert order == ["numbers", "composition", "depth", "layer", "table", "multiples", "skipped", "notes", "glossary", "reproducibility"]


@pytest.mark.parametrize("verb", EVERY)
def test_policy_allows_exactly_the_pages_own_script_and_style(verb: str) -> None:
    reader = read(render(EVERY[verb]()))
    policy = next(attributes["content"] for tag, attributes in reader.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "img-src data:" in policy
    for name, text in (("script-src", reader.texts["script"][1]), ("style-src", reader.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy


@pytest.mark.parametrize("verb", EVERY)
def test_nothing_is_loaded_from_elsewhere(verb: str) -> None:
    text = render(EVERY[verb]())
    reader = read(text)
    addresses = [value for _, attributes in reader.tags for key, value in attributes.items() if key in {"src", "href", "action", "data"}]
    assert all(value.startswith("#") or value == "data:," for value in addresses)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not any(key == "style" or key.startswith("on") for _, attributes in reader.tags for key in attributes)


def test_the_script_never_reads_data_as_markup() -> None:
    script = read(render(analyze_result(3))).texts["script"][1]
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "fetch(",
        "XMLHttpRequest",
        "import(",
    ):
        assert word not in script, word


@pytest.mark.parametrize("verb", EVERY)
def test_hostile_texts_stay_texts(verb: str) -> None:
    text = render(hostile_result(verb))
    text.encode("utf-8")
    reader = read(text)
    assert reader.count("script") == 2 and reader.count("img") == 0
    assert not any(key.startswith("on") for _, attributes in reader.tags for key in attributes)
    assert not set("\u202e\x1b\x00\u2028\u2029") & set(text) and "<li>49</li>" not in text
    assert len(text) < 1_200_000
    data_of(text)


def test_the_hostile_names_are_in_the_data_exactly_but_shown_safely() -> None:
    data = data_of(render(hostile_result()))
    table = data["sections"]["table"]
    assert table["data"]["layer"][0] == HOSTILE[0]
    assert table["data"]["layer"][6] == HOSTILE[6]
    assert table["labels"]["7"].startswith("\\u202e") and table["labels"]["8"].startswith("\\x1b")
    assert len(table["labels"]["13"]) <= 120 and len(table["data"]["layer"][13]) <= 512


def test_json_in_the_page_is_strict_and_harmless() -> None:
    text = script_json({"a": [float("nan"), float("inf"), 1.5], "b": "</script>&\u2028\u2029<!--"})
    assert text == '{"a":[null,null,1.5],"b":"\\u003c/script\\u003e\\u0026\\u2028\\u2029\\u003c!--"}'
    assert json.loads(text)["b"] == "</script>&\u2028\u2029<!--"


def test_rows_keep_full_precision() -> None:
    result = analyze_result()
    table = data_of(render(result))["sections"]["table"]
    assert table["data"]["alpha"] == [row["alpha"] for row in result.rows]
    assert table["n"] == len(result.rows)


def test_curves_survive_packing_within_a_pixel() -> None:
    result = analyze_result(4)
    packed = spectra_of(result.rows, result.curves)
    row, curve = result.rows[0], packed[0]
    truth = result.curves[f"{row['layer']}::{row['view']}"]["ccdf"]
    low, high, *steps = curve["ccdf"]["x"]
    unpacked = 10 ** (low + np.cumsum(steps) * (high - low) / 4095)
    assert np.allclose(np.log10(unpacked), np.log10(np.sort(truth["x"])), atol=(high - low) / 4095)


def test_merged_histograms_keep_their_mass() -> None:
    edges = np.geomspace(1, 1e4, 41)
    density = np.arange(1.0, 41.0)
    rows = [{"layer": "a", "view": "v"}] * 3000
    packed = spectra_of(rows, {"a::v": {"hist": {"edges": edges, "density": density}}})[0]["hist"]
    assert len(packed["x"]) - 2 == 20
    low, high, *steps = packed["y"]
    merged = 10 ** (low + np.cumsum(steps) * (high - low) / 4095)
    mass = (merged * np.diff(edges[::2])).sum()
    assert mass == pytest.approx((density * np.diff(edges)).sum(), rel=2e-3)


def test_no_private_path_host_or_user() -> None:
    text = render(analyze_result())
    assert "/home/" not in text and "somebody" not in text and "secret-host" not in text
    assert "resnet50.safetensors" in text


def test_the_same_result_gives_the_same_bytes() -> None:
    assert render(analyze_result()) == render(analyze_result())


@pytest.mark.parametrize("verb", EVERY)
def test_zero_rows_are_a_page_that_says_so(verb: str) -> None:
    text = render(Result(verb, {"source": "empty.npz", "models": []} if verb != "describe" else {"source": "e"}, []))
    assert read(text).count("section") >= 2
    assert '<p class="verdict" id="verdict">' in text


def test_an_analysis_without_a_fit_names_the_commonest_reason() -> None:
    rows = [{"layer": f"l{k}", "view": "weight", "status": "skipped", "reason": "1×n: too small"} for k in range(3)]
    assert "No matrix could be fitted because: 1×n: too small" in render(Result("analyze", {"source": "a"}, rows))


def test_missing_fields_and_broken_curves_leave_sections_out() -> None:
    rows = [{"layer": "a", "view": "weight", "alpha": None}, {"layer": None, "view": None, "odd": {"values": [1, None]}, "more": {"x": [1, 2]}}]
    curves = {"a::weight": {"ccdf": {"x": [1], "y": [1, 2]}, "hist": {"edges": [1, 2], "density": []}, "mp": {}, "twin": None}}
    text = render(
        Result(
            "analyze", {"source": "a", "summary": {"alpha": float("nan")}}, rows, {"skipped": ["bare name", {"reason": "x"}], "notes": None}, curves
        )
    )
    assert 'id="depth"' not in text and "bare name" in text
    data_of(text)


def test_numpy_scalars_and_nan_are_numbers_and_gaps() -> None:
    row = {"layer": "a", "view": "w", "status": "ok", "alpha": np.float32(3), "alpha_low": np.nan, "alpha_high": np.inf, "n_tail": np.int64(9)}
    text = render(Result("analyze", {"source": "a", "summary": {"alpha": np.float64(3), "n_matrices": np.int32(1)}}, [row]))
    table = data_of(text)["sections"]["table"]["data"]
    assert table["alpha"] == [3.0] and table["n_tail"] == [9] and "alpha_low" not in table
    assert "<dd>3.000" in text


@pytest.mark.parametrize(("n_layers", "megabytes"), [(300, 5), (5000, 10)])
def test_large_models_stay_small_pages(n_layers: int, megabytes: float) -> None:
    result = analyze_result(n_layers)
    began = time.process_time()
    text = render(result)
    assert time.process_time() - began < 20
    assert len(text.encode()) < megabytes * 1e6


def test_thousands_of_skipped_tensors_are_grouped_and_capped() -> None:
    result = replace(analyze_result(2), tail={"skipped": [{"layer": f"b{k}", "reason": "bias"} for k in range(5000)]})
    text = render(result)
    assert "and 3,000 more" in text and "<b>5,000</b> in all" in text


def test_composition_uses_the_whole_interval_above_six() -> None:
    def row(alpha: float, low: float, high: float) -> dict:
        return {"status": "ok", "alpha": alpha, "alpha_low": low, "alpha_high": high}

    rows = [
        row(1.5, 1.2, 2.5),
        row(3, 2.5, 4),
        row(5, 3, 9),
        row(8, 6.5, 12),
        {"status": "doubtful", "alpha": 3},
        {"status": "failed"},
        {"status": "skipped"},
    ]
    found = {group["id"]: group["n"] for group in composition(rows).data["groups"]}
    assert found == {"heavy": 1, "typical": 1, "unsure": 1, "weak": 1, "doubtful": 1, "failed": 1, "skipped": 1}
    assert sum(group["width"] for group in composition(rows).data["groups"]) == pytest.approx(100, abs=0.01)


def test_both_forms_of_scatter_draw_the_same() -> None:
    result = EVERY["rank"]()
    each = result.curves["scatter"]
    first = next(iter(each.values()))
    shared = {"target": first["y"], "models": first["labels"], "group": first["groups"], "measures": {name: one["x"] for name, one in each.items()}}
    again = replace(result, curves={"scatter": shared})
    assert data_of(render(again))["sections"]["scatter"] == data_of(render(result))["sections"]["scatter"]


def test_undefined_measures_are_told_with_their_reason() -> None:
    table = table_of([{"layer": "a", "undefined": {"alpha_exponential": "no tail"}}], ("layer",), "layer")
    assert table["undefined"] == {"0": [["Alpha exponential", "no tail"]]} and list(table["data"]) == ["layer"]


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert write_report(analyze_result(2), path) == path
    before = path.read_bytes()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError):
        write_report(analyze_result(3), tmp_path / "folder")
    assert path.read_bytes() == before and sorted(item.name for item in tmp_path.iterdir()) == ["folder", "page.html"]


def test_a_result_writes_its_own_page(tmp_path: Path) -> None:
    assert analyze_result(2).to_html(tmp_path / "r.html").read_text(encoding="utf-8") == render(analyze_result(2))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-2.5, "−2.500"),
        (9.99996, "10.00"),
        (0.99999, "1.000"),
        (123456.7, "123,457"),
        (1.5e-7, "1.500×10⁻⁷"),
        (None, "–"),
        (3.0e12, "3.000×10¹²"),
    ],
)
def test_numbers_for_people(value: float | None, shown: str) -> None:
    assert number_of(value) == shown


def test_words_for_people() -> None:
    assert bytes_of(999) == "999 B" and bytes_of(412_345_678) == "412 MB"
    assert source_of("/home/me/model.pt") == "model.pt" and source_of("org/name") == "org/name" and source_of("C:\\x\\m.pt") == "m.pt"
    assert fact_of(["/a/b/c.pt", True, None]) == "c.pt, yes, –"
    assert text_of("/model/conv/Conv.weight") == "/model/conv/Conv.weight"
    assert text_of("could not read /home/me/x.bin now") == "could not read x.bin now"
