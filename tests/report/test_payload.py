"""What the script reads: strict JSON, columns at full precision, curves packed within a pixel."""

import json

import numpy as np
import pytest
from tests.report.sample_results import analyze_result

from genscope.report.payload import script_json, spectra_of, table_of


def test_json_in_the_page_is_strict_and_harmless() -> None:
    text = script_json({"a": [float("nan"), float("inf"), 1.5], "b": "</script>&\u2028\u2029<!--"})
    assert text == '{"a":[null,null,1.5],"b":"\\u003c/script\\u003e\\u0026\\u2028\\u2029\\u003c!--"}'
    assert json.loads(text)["b"] == "</script>&\u2028\u2029<!--"


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


def test_undefined_measures_are_told_with_their_reason() -> None:
    table = table_of([{"layer": "a", "undefined": {"alpha_exponential": "no tail"}}], ("layer",), "layer")
    assert table["undefined"] == {"0": [["Alpha exponential", "no tail"]]} and list(table["data"]) == ["layer"]
