"""The calibration runs, resumes, recovers what was planted, and writes its page."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "heavy_tail_calibration.py"


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("heavy_tail_calibration", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cells(calibration: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return calibration.run(calibration.SIZES["smoke"], tmp_path_factory.mktemp("cells"))


def test_the_planted_part_recovers_alpha_within_its_interval(cells: list[dict]) -> None:
    planted = [row for row in cells if row["kind"] == "planted"]
    assert len(planted) == 8
    for row in planted:
        assert row["status"] == "ok"
        assert row["alpha_low"] <= row["expected"] <= row["alpha_high"]
        assert abs(row["alpha"] - row["expected"]) < 3 * row["alpha_stderr"]


def test_independent_entries_show_the_finite_size_bias(cells: list[dict]) -> None:
    light = [row for row in cells if row["kind"] == "pareto" and row["parameter"] == 3.0]
    heavy = [row for row in cells if row["kind"] == "pareto" and row["parameter"] == 1.0]
    assert all(row["alpha"] > row["expected"] + 1 for row in light)
    assert all(abs(row["alpha"] - row["expected"]) < 0.2 for row in heavy)


def test_no_gaussian_fit_is_believed(cells: list[dict]) -> None:
    assert [row["status"] for row in cells if row["kind"] == "gaussian"] == ["doubtful"] * 4


def test_the_entries_have_the_tail_they_claim(calibration: ModuleType) -> None:
    entries = np.abs(calibration.Cell("pareto", 2.0, 300, 300, 0).draw())
    assert entries.min() >= 1.0
    for level in (2.0, 5.0, 10.0):
        assert np.mean(entries > level) == pytest.approx(level**-2.0, rel=0.15)


def test_the_planted_matrix_has_the_planted_singular_values(calibration: ModuleType) -> None:
    wide = calibration.Cell("planted", 3.0, 40, 90, 0).draw()
    assert wide.shape == (40, 90)
    assert np.linalg.svd(wide, compute_uv=False).min() >= 1.0 - 1e-12


def test_finished_cells_are_not_computed_again(calibration: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = calibration.Size(((40, 60),), (1.0,), (2.0,), 1, 0)
    first = calibration.run(size, tmp_path)
    (tmp_path / f"{next(calibration.cells(size)).name}.json").unlink()
    asked: list[str] = []
    assert calibration.run(size, tmp_path, asked.append) == first
    assert len(asked) == 1
    monkeypatch.setattr(calibration, "measure_cell", lambda *_: pytest.fail("computed again"))
    assert calibration.run(size, tmp_path) == first


def test_the_page_and_the_figure_are_written(
    calibration: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(calibration.SIZES, "smoke", calibration.Size(((40, 60),), (1.0,), (2.0,), 1, 0))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{calibration.BEGIN}stale{calibration.END}\nafter\n")
    calibration.main(["--out", str(tmp_path / "cells"), "--page", str(page), "--figure", str(tmp_path / "figure.png")])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "stale" not in text
    assert "Planted spectrum" in text and capsys.readouterr().out in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
