"""The page as text: structure, escaping, policy, strict JSON, sizes, privacy. Nothing here needs a browser."""

import base64
import hashlib
import re
import time
from pathlib import Path

import numpy as np
import pytest
from tests.report.pages import HOSTILE, data_of, hostile_result, read
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.core.results import Result
from genscope.errors import StoreError
from genscope.report.page import render, write_report


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
    assert all(value.startswith(("#", "data:")) for value in addresses)
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
    pictures = [attributes["src"] for tag, attributes in reader.tags if tag == "img"]
    assert reader.count("script") == 2 and all(address.startswith("data:image/") for address in pictures)
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


def test_rows_keep_full_precision() -> None:
    result = analyze_result()
    table = data_of(render(result))["sections"]["table"]
    assert table["data"]["alpha"] == [row["alpha"] for row in result.rows]
    assert table["n"] == len(result.rows)


def test_no_private_path_host_or_user() -> None:
    text = render(analyze_result())
    assert "/home/" not in text and "somebody" not in text and "secret-host" not in text
    assert "resnet50.safetensors" in text


def test_the_same_result_gives_the_same_bytes() -> None:
    assert render(analyze_result()) == render(analyze_result())


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
