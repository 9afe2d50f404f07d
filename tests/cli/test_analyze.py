import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.cli.conftest import Run

CONTRACT = {
    "layer", "kind", "view", "rows", "cols", "n_eigenvalues", "status", "reason", "alpha", "alpha_stderr", "alpha_low", "alpha_high", "xmin",
    "n_tail", "ks_distance", "p_value", "lambda_max", "alpha_weighted", "log_alpha_norm", "log_frobenius_norm", "log_spectral_norm", "stable_rank",
}  # fmt: skip
SUMMARY = {
    "n_matrices",
    "n_fitted",
    "n_skipped",
    "alpha",
    "alpha_weighted",
    "log_alpha_norm",
    "log_frobenius_norm",
    "log_spectral_norm",
    "stable_rank",
}


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def strict(text: str) -> dict:
    return json.loads(text, parse_constant=refuse_constant)


def test_json_keeps_the_contract(run: Run, checkpoint: Path) -> None:
    done = run("analyze", checkpoint, "--json", "--resamples", "20")
    assert done.code == 0, done.err
    document = strict(done.out)
    assert list(document)[:1] == ["source"] and document["source"] == "small.safetensors"
    assert set(document["summary"]) >= SUMMARY
    assert all(set(row) >= CONTRACT for row in document["matrices"])
    by_layer = {row["layer"]: row for row in document["matrices"]}
    assert set(by_layer) == {"fc1.weight", "fc2.weight", "conv.weight", "broken.weight"}
    assert document["skipped"] == [{"layer": "fc1.bias", "reason": by_reason(document, "fc1.bias")}]
    broken = by_layer["broken.weight"]
    assert broken["status"] == "failed" and broken["alpha"] is None and "1 of 600 entries NaN, first at [3, 7]" in broken["reason"]
    assert document["summary"]["n_failed"] == 1 and document["summary"]["n_matrices"] == 4
    heavy = by_layer["fc1.weight"]
    assert heavy["alpha_low"] < heavy["alpha"] < heavy["alpha_high"]
    assert str(checkpoint.parent) not in done.out


def by_reason(document: dict, layer: str) -> str:
    return next(entry["reason"] for entry in document["skipped"] if entry["layer"] == layer)


def test_numbers_are_those_of_a_plain_svd(run: Run, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((50, 70)).astype(np.float32)
    save_file({"w.weight": weight}, tmp_path / "w.safetensors")
    row = strict(run("analyze", tmp_path / "w.safetensors", "--json", "--resamples", "0").out)["matrices"][0]
    squared = np.linalg.svd(weight.astype(np.float64), compute_uv=False) ** 2
    assert row["lambda_max"] == pytest.approx(squared[0], rel=1e-10)
    assert row["log_frobenius_norm"] == pytest.approx(np.log10(squared.sum()), rel=1e-10)
    assert row["stable_rank"] == pytest.approx(squared.sum() / squared[0], rel=1e-10)
    assert row["alpha_weighted"] == pytest.approx(row["alpha"] * np.log10(squared[0]), rel=1e-10)


def test_same_input_and_seed_give_the_same_bytes_apart_from_timing(run: Run, checkpoint: Path) -> None:
    outputs = []
    for jobs, engine in ((1, "threads"), (2, "threads"), (2, "processes")):
        document = strict(run("analyze", checkpoint, "--json", "--resamples", "20", "--jobs", jobs, "--engine", engine).out)
        assert document.pop("timing")["seconds"] > 0
        outputs.append(json.dumps(document))
    assert outputs[0] == outputs[1] == outputs[2]


def test_table_for_people(run: Run, checkpoint: Path) -> None:
    done = run("analyze", checkpoint, "--resamples", "20")
    assert done.code == 0 and "fc1.weight" in done.out and "heavy-tailed" in done.out
    assert "\x1b" not in done.out
    narrow = run("analyze", checkpoint, "--resamples", "0", COLUMNS="50")
    assert max(map(len, narrow.out.splitlines())) <= 50


def test_csv_is_complete_and_names_are_disarmed(run: Run, tmp_path: Path) -> None:
    save_file({"=cmd|' /C calc'!A0": np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)}, tmp_path / "evil.safetensors")
    done = run("analyze", tmp_path / "evil.safetensors", "--csv", "-", "--resamples", "0")
    row = next(csv.DictReader(io.StringIO(done.out)))
    assert row["layer"] == "'=cmd|' /C calc'!A0"
    assert float(row["alpha"]) > 1


def test_escapes_in_names_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    save_file({"a\x1b[31m\u202eb": np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)}, tmp_path / "evil.safetensors")
    done = run("analyze", tmp_path / "evil.safetensors", "--resamples", "0")
    assert done.code == 0 and "\x1b" not in done.out + done.err and "\u202e" not in done.out


@pytest.mark.parametrize(("gate", "code"), [("alpha > 1", 3), ("alpha > 1000", 0), ("n_failed > 0", 3), ("summary.alpha < 0", 0)])
def test_gate(run: Run, checkpoint: Path, gate: str, code: int) -> None:
    done = run("analyze", checkpoint, "--resamples", "0", "--fail-on", gate, "--json")
    assert done.code == code
    assert strict(done.out)["summary"]["n_matrices"] == 4


@pytest.mark.parametrize(
    "words",
    [
        ["--conv", "triangles"],
        ["--fail-on", "alpha >> 6"],
        ["--convention", "x"],
        ["--measure", "alfa"],
        ["--engine", "carrier-pigeon"],
        ["--no-such-option"],
        ["--max-memory", "lots"],
    ],
)
def test_usage_errors_end_with_two_and_one_sentence(run: Run, checkpoint: Path, words: list[str]) -> None:
    done = run("analyze", checkpoint, *words, "--json")
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err and done.err.strip()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html><html>"])
def test_bad_files_end_with_one_and_one_sentence(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    done = run("analyze", path, "--json")
    assert done.code == 1 and done.out == ""
    assert len(done.err.strip().splitlines()) == 1 and "bad.safetensors" in done.err and "Traceback" not in done.err


def test_dry_run_reads_nothing_and_says_what_is_skipped(run: Run, checkpoint: Path) -> None:
    done = run("analyze", checkpoint, "--dry-run", "--max-memory", "1K")
    assert done.code == 0 and "fc1.bias" in done.out and "--max-memory" in done.out
    document = strict(run("analyze", checkpoint, "--dry-run", "--json").out)
    assert document["dry_run"] and document["summary"]["predicted_seconds"] > 0


def test_include_and_exclude(run: Run, checkpoint: Path) -> None:
    document = strict(run("analyze", checkpoint, "--json", "--resamples", "0", "--include", "fc*", "--exclude", "*.bias", "--exclude", "fc2*").out)
    assert [row["layer"] for row in document["matrices"]] == ["fc1.weight"] and document["skipped"] == []


def test_out_resumes_after_sigkill_with_the_same_bytes(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "many.safetensors"
    save_file({f"layer{i}.weight": rng.standard_normal((200, 180)).astype(np.float32) for i in range(24)}, path)
    assert run("analyze", path, "--out", tmp_path / "calm", "--jobs", 1).code == 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "genscope", "analyze", str(path), "--out", str(tmp_path / "killed"), "--jobs", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cells = tmp_path / "killed" / "cells"
        before, deadline = len(list(cells.glob("*.json"))) if cells.is_dir() else 0, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and (not cells.is_dir() or len(list(cells.glob("*.json"))) < before + 3):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    stamps = {cell.name: cell.stat().st_mtime_ns for cell in (tmp_path / "killed" / "cells").glob("*.json")}
    assert len(stamps) >= 3
    assert run("analyze", path, "--out", tmp_path / "killed", "--jobs", 1).code == 0
    assert all((tmp_path / "killed" / "cells" / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items()), (
        "a finished layer was done again"
    )
    for name in ("result.json", "curves.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


def test_out_refuses_another_run_and_foreign_folders(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert run("analyze", checkpoint, "--resamples", "0", "--out", tmp_path / "a").code == 0
    other = run("analyze", checkpoint, "--resamples", "0", "--seed", "9", "--out", tmp_path / "a")
    assert other.code == 1 and "options.seed" in other.err and "--fresh" in other.err
    assert run("analyze", checkpoint, "--resamples", "0", "--seed", "9", "--out", tmp_path / "a", "--fresh").code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert run("analyze", checkpoint, "--out", tmp_path / "mine").code == 1
    (tmp_path / "file").write_text("x")
    assert run("analyze", checkpoint, "--out", tmp_path / "file").code == 1


def test_interrupt_ends_with_130_and_says_how_to_resume(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "many.safetensors"
    save_file({f"layer{i}.weight": rng.standard_normal((300, 300)).astype(np.float32) for i in range(60)}, path)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        kept = tmp_path / f"kept{code}"
        words = [sys.executable, "-m", "genscope", "analyze", str(path), "--out", str(kept)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not list(kept.glob("cells/*.json")):
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code and "resumes" in err and "Traceback" not in err and out == ""


def test_broken_pipe_is_quiet(checkpoint: Path) -> None:
    command = f"{sys.executable} -m genscope analyze {checkpoint} --json --resamples 0 | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0 and done.stderr == ""


def test_broken_pipe_of_a_table_is_no_fault(checkpoint: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -m genscope analyze {checkpoint} -q --resamples 0 | head -c 0"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0 and done.stderr == ""


def test_patterns_that_leave_nothing_are_a_mistake(run: Run, checkpoint: Path) -> None:
    for words in (["--include", "nothing*"], ["--include", "nothing*", "--dry-run"], ["--exclude", "*"]):
        done = run("analyze", checkpoint, "--resamples", "0", *words)
        assert done.code == 2 and "No tensor is left by" in done.err and done.out == ""


def test_chosen_measures_are_the_table(run: Run, checkpoint: Path) -> None:
    done = run("analyze", checkpoint, "-q", "--measure", "stable_rank", "--measure", "entropy", "--include", "fc1.weight")
    assert done.code == 0 and "alpha was not asked for" in done.out and "No power law" not in done.out
    assert "stable_rank" in done.out and "entropy" in done.out and "1 matrix" in done.out
    document = strict(run("analyze", checkpoint, "--measure", "stable_rank", "--json", "--include", "fc1.weight").out)
    assert document["summary"]["stable_rank"] == pytest.approx(document["matrices"][0]["stable_rank"])


def test_eighty_columns_cut_no_number(run: Run, checkpoint: Path) -> None:
    lines = run("analyze", checkpoint, "-q", COLUMNS="80").out.splitlines()
    row = json.loads(run("analyze", checkpoint, "--json").out)["matrices"]
    for entry in (entry for entry in row if entry["alpha"] is not None):
        line = next(line for line in lines if line.startswith(entry["layer"][:8]))
        assert f"{entry['alpha']:.2f}" in line.split() and f"{entry['log_spectral_norm']:.2f}" in line.split()
        assert line.rstrip().endswith({"ok": line.split()[-1], "doubtful": "?"}[entry["status"]])


def test_report_redraws_a_saved_result(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    assert run("analyze", checkpoint, "--resamples", "0", "--out", tmp_path / "kept").code == 0
    done = run("report", tmp_path / "kept")
    assert done.code == 0 and (tmp_path / "kept" / "report.html").stat().st_size > 10_000
    assert run("report", tmp_path).code == 1


@pytest.mark.parametrize("count", ["-1", "1", "19"])
def test_too_few_resamples_do_not_pass_for_an_uncertainty(run: Run, checkpoint: Path, count: str) -> None:
    done = run("analyze", checkpoint, "--resamples", count)
    assert done.code == 2 and "at least 20" in done.err
