"""What moved between checkpoints, on weights whose differences are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genscope
from genscope.checkpoints.limits import Limits
from genscope.errors import UsageError


def heavy(seed: int, rows: int = 40, cols: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(3, size=(rows, cols))


def compared(*models: dict[str, np.ndarray], **chosen: Any) -> Any:
    return genscope.compare(list(models), resamples=0, **chosen)


def test_a_planted_difference_is_found_in_every_model() -> None:
    base = heavy(0)
    u, v = np.ones(40) / np.sqrt(40), np.ones(60) / np.sqrt(60)
    small, large = base + 3.0 * np.outer(u, v), base + np.outer(u, v) * 30.0
    row = compared({"w.weight": base}, {"w.weight": small}, {"w.weight": large}).rows[0]
    size = np.linalg.norm(base)
    assert row["relative_change"]["values"] == pytest.approx([0.0, 3 / size, 30 / size])
    assert row["relative_change"]["change"] == pytest.approx(30 / size)
    assert row["delta_log_spectral_norm"]["values"] == [None, pytest.approx(2 * np.log10(3)), pytest.approx(2 * np.log10(30))]
    assert row["delta_stable_rank"]["values"][1:] == pytest.approx([1.0, 1.0])
    assert len(row["alpha"]["values"]) == 3


def test_three_models_keep_what_can_be_known_when_one_is_broken() -> None:
    broken = heavy(0)
    broken[1, 2] = np.nan
    for order, known in (((heavy(0), broken, heavy(0) * 2), [0.0, None, 1.0]), ((broken, heavy(0), heavy(0)), [0.0, None, None])):
        result = compared(*({"w.weight": array, "v.weight": heavy(5)} for array in order))
        row = next(row for row in result.rows if row["layer"] == "w.weight")
        assert row["relative_change"]["values"] == [None if one is None else pytest.approx(one) for one in known]
        assert "failed" in row["statuses"] and any("NaN" in (reason or "") for reason in row["reasons"])
        other = next(row for row in result.rows if row["layer"] == "v.weight")
        assert other["relative_change"]["values"] == [0.0, 0.0, 0.0]
        assert result.summary["verdict"]


def test_layers_of_other_names_or_shapes_are_listed() -> None:
    result = compared({"a.weight": heavy(0), "b.weight": heavy(1)}, {"a.weight": heavy(0), "b.weight": heavy(1)[:30]}, {"a.weight": heavy(0)})
    assert [row["layer"] for row in result.rows] == ["a.weight"]
    assert [(entry["layer"], entry["reason"]) for entry in result.tail["unmatched"]] == [("b.weight", "in 2 of 3 models")]
    assert "no weight differs" in result.summary["verdict"]
    shapes = compared({"b.weight": heavy(1)}, {"b.weight": heavy(1)[:30]})
    assert shapes.rows == [] and shapes.tail["unmatched"][0]["reason"] == "shapes differ: 40×60, 30×60"
    assert "share no layer" in shapes.summary["verdict"]


def test_saved_folders_stand_for_models_without_differences(tmp_path: Path) -> None:
    first, second = {"w.weight": heavy(0)}, {"w.weight": heavy(0) * 10}
    genscope.analyze(first, resamples=0).save(tmp_path / "first")
    genscope.analyze(second, resamples=0).save(tmp_path / "second")
    live = compared(first, second).rows[0]
    for models in ([tmp_path / "first", tmp_path / "second"], [str(tmp_path / "first"), second]):
        row = genscope.compare(models, resamples=0).rows[0]
        assert "relative_change" not in row
        assert row["log_spectral_norm"]["change"] == pytest.approx(2.0)
        assert row["alpha"]["values"] == pytest.approx(live["alpha"]["values"])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relative_changes_do_not_depend_on_scale(scale: float, dtype: type) -> None:
    base = heavy(0)
    row = compared({"w.weight": (base * scale).astype(dtype)}, {"w.weight": (base * scale * 1.5).astype(dtype)}).rows[0]
    assert row["relative_change"]["values"][1] == pytest.approx(0.5, rel=1e-5)
    assert row["subspace_overlap"]["values"][1] == pytest.approx(1.0, abs=1e-5)


def test_a_matrix_beyond_the_memory_budget_is_not_read_for_its_difference() -> None:
    tight = Limits(memory_bytes=10_000)
    row = compared({"w.weight": heavy(0)}, {"w.weight": heavy(1)}, limits=tight).rows[0]
    assert row["statuses"] == ["skipped", "skipped"] and row["relative_change"]["values"] == [0.0, None]


def test_the_spectrum_of_the_difference_is_kept_for_the_page(tmp_path: Path) -> None:
    moved = compared({"w.weight": heavy(0), "v.weight": heavy(2)}, {"w.weight": heavy(1), "v.weight": heavy(2)})
    curve = moved.curves["w.weight::weight"]["differences"]
    eigenvalues = np.linalg.svd(heavy(1) - heavy(0), compute_uv=False) ** 2
    assert curve[0] == {} and curve[1]["ccdf"]["x"][0] == pytest.approx(eigenvalues[0], rel=1e-5)
    assert "differences" not in moved.curves["v.weight::weight"]
    assert '"differences"' in moved.to_html(tmp_path / "page.html").read_text()


def test_one_model_is_not_a_comparison() -> None:
    with pytest.raises(UsageError, match="two or more"):
        genscope.compare([{"w.weight": heavy(0)}])


def test_the_randomized_twin_reaches_the_page(tmp_path: Path) -> None:
    found = genscope.analyze({"w.weight": heavy(0)}, randomize=True, resamples=0)
    twin = found.curves["w.weight::weight"]["twin"]
    assert sum(1 for x in twin["x"] if x > 0) == len(twin["y"]) > 10
    assert '"twin":{' in found.to_html(tmp_path / "page.html").read_text()
    assert "twin" not in genscope.analyze({"w.weight": heavy(0)}, resamples=0).curves["w.weight::weight"]
