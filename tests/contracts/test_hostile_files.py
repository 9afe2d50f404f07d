"""Every kind of hostile checkpoint through the real command line: one sentence or a result, nothing executed, nothing opened outside."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.contracts import hostile_driver
from tests.contracts.hostile_archives import CASES as ARCHIVES
from tests.contracts.hostile_cases import CANARY, Case
from tests.contracts.hostile_graphs import CASES as GRAPHS
from tests.contracts.hostile_safetensors import CASES as SAFETENSORS
from tests.contracts.hostile_shards import CASES as SHARDS

ALL = [*SAFETENSORS, *SHARDS, *ARCHIVES, *GRAPHS]
PEAK_KILOBYTES = 500_000


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All cases, each in a folder of its own, run in one watched process."""
    top = tmp_path_factory.mktemp("hostile").resolve()
    jobs, places = {}, {}
    for number, case in enumerate(ALL):
        folder = top / f"case{number}"
        folder.mkdir()
        path = case.build(folder)
        root = path if path.is_dir() else path.parent
        if root.parent.name == "snapshots":
            root = root.parents[1]
        jobs[case.name] = {"words": ["analyze", os.fspath(path), "--json", "--resamples", "0", *case.words], "root": str(root)}
        places[case.name] = {"path": path, "folder": folder, "before": listing(folder)}
    (top / "jobs.json").write_text(json.dumps(jobs))
    (top / "cwd").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HOME": str(top / "cwd"), "MALLOC_TRIM_THRESHOLD_": "100000"}
    command = [sys.executable, hostile_driver.__file__, str(top / "jobs.json"), str(top / "answers.json")]
    done = subprocess.run(command, cwd=top / "cwd", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == ""
    answers = json.loads((top / "answers.json").read_text())
    return {name: {**answers[name], **places[name]} for name in answers}


def listing(folder: Path) -> list[str]:
    return sorted(os.path.join(where, name) for where, folders, files in os.walk(folder) for name in folders + files)


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_hostile_file(case: Case, outcomes: dict[str, dict[str, Any]]) -> None:
    got = outcomes[case.name]
    shown = f"{got['err'][:600]!r} {got['out'][:300]!r}"
    assert got["bad"] == [], got["bad"]
    assert got["new"] == [] and listing(got["folder"]) == got["before"], "files were left behind"
    assert got["peak"] < PEAK_KILOBYTES, f"{got['peak']} kB"
    assert got["seconds"] < case.seconds * 4, f"{got['seconds']} s"
    assert "Traceback" not in got["err"] and "Unexpected" not in got["err"], shown
    assert str(CANARY) not in got["out"] and str(got["folder"]) not in got["out"] + got["err"], "an outer value or an absolute path leaked"
    if case.says is not None:
        check_refusal(case, got, shown)
    else:
        check_result(case, got, shown)


def check_refusal(case: Case, got: dict[str, Any], shown: str) -> None:
    assert got["code"] == 1, shown
    assert got["out"] == ""
    lines = got["err"].splitlines()
    assert len(lines) == 1 and got["err"].endswith((".\n", "?\n")) and lines[0].isprintable(), shown
    assert case.says is not None and case.says in got["err"], shown
    assert not case.names_file or got["path"].name in got["err"], shown


def check_result(case: Case, got: dict[str, Any], shown: str) -> None:
    assert got["code"] == 0, shown
    document = strict(got["out"])
    got["out"].encode("utf-8")
    rows = {row["layer"]: row for row in document["matrices"]}
    reasons = {**{row["layer"]: row["reason"] for row in document["matrices"]}, **{skip["layer"]: skip["reason"] for skip in document["skipped"]}}
    for layer in case.rows:
        assert rows[layer]["status"] in {"ok", "doubtful", "skipped"} and rows[layer]["lambda_max"] > 0, rows[layer]
    for layer, words in case.skips:
        assert reasons[layer] and words in reasons[layer], reasons.get(layer)
        assert layer not in rows or rows[layer]["alpha"] is None
    notes = " ".join(document["notes"])
    assert case.notes in notes and case.absent not in notes, notes
