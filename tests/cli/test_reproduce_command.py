"""``genscope reproduce`` and ``genscope study`` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cli.conftest import Run

from genscope.cli import study

SPEC = """
import genscope

STUDY = genscope.Study("tiny", {"width": [4, 8], "learning_rate": [1e-3, 1e-2, 3e-2]}, fixed={"epochs": 3, "n_train": 120},
                       measures=["margin", "l2_dist", "param_norm"])
"""


def test_the_list_names_experiments_with_cost_state_and_verdict(run: Run) -> None:
    before = run("reproduce", "--list", "--json")
    row = next(row for row in json.loads(before.out)["experiments"] if row["id"] == "S0-T2")
    assert (row["cost"], row["state"], row["verdict"], row["n_finished"]) == ("T0", "new", None, 0) and row["n_cells"] > 10
    assert run("reproduce", "S0-T2", "-q").code == 0
    after = run("reproduce", "--list")
    assert "S0-T2" in after.out and "HOLDS" in after.out and after.code == 0


def test_people_read_claim_checks_null_and_verdict(run: Run) -> None:
    done = run("reproduce", "s0-t2")
    assert done.code == 0 and done.err == ""
    for words in ("Martin & Mahoney, Equation 6", "Claim: ", "passes", "null control", "HOLDS  440 runs at size smoke", "Erratum: "):
        assert words in done.out


def test_programs_read_the_contract_and_a_second_call_runs_nothing(run: Run, tmp_path: Path) -> None:
    first = json.loads(run("reproduce", "S0-T2", "--json", "--store", "runs").out, parse_constant=pytest.fail)
    assert list(first)[:5] == ["id", "claim", "source", "size", "verdict"]
    assert first["verdict"] == "HOLDS" and first["n_runs"] == 440
    assert {"statistic", "expected", "observed", "low", "high", "null", "passed"} <= first["checks"][0].keys()
    store = tmp_path / "cwd" / "runs"
    stamps = {path: path.stat().st_mtime_ns for path in store.rglob("*.json") if "verdicts" not in path.parts}
    second = json.loads(run("reproduce", "S0-T2", "--json", "--store", "runs", "--no-run").out)
    assert second["checks"] == first["checks"]
    assert stamps == {path: path.stat().st_mtime_ns for path in store.rglob("*.json") if "verdicts" not in path.parts}


def test_a_saved_result_gives_its_page_without_the_store(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert run("reproduce", "S0-T2", "-q", "--out", "saved", "--html", "direct.html").code == 0
    (tmp_path / "cwd" / "genscope-runs").rename(tmp_path / "gone")
    done = run("report", "saved", "--html", "later.html") if "--html" in run("report", "--help").out else run("report", "saved")
    assert done.code == 0, done.err
    pages = [path.read_text() for path in (tmp_path / "cwd").rglob("*.html")]
    assert len(pages) >= 2 and all("Log stable rank against the power-law exponent" in page and "data:image/svg" in page for page in pages)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("S0-T9",), 2, "did you mean"),
        ((), 2, "Name experiments, or use --all"),
        (("S0-T2", "--all"), 2, "Name experiments, or use --all"),
        (("S0-T2", "--size", "huge"), 2, "There is no size 'huge'"),
        (("S0-T2", "--engine", "magic", "--jobs", "2"), 2, "There is no engine 'magic'"),
        (("S0-T2", "--data-dir", "cifar10=nowhere"), 2, "there is no folder nowhere"),
        (("S0-T2", "--store", __file__), 1, "a file, not a folder of runs"),
        (("S0-T2", "--no-run", "--store", "empty"), 0, ""),
    ],
)
def test_mistakes_are_one_sentence(run: Run, words: tuple[str, ...], code: int, sentence: str) -> None:
    done = run("reproduce", *words)
    assert done.code == code and sentence in done.err, done.err
    assert (done.out == "") == (code != 0) and len(done.err.strip().splitlines()) <= 1
    if code == 0:
        assert "INCONCLUSIVE" in done.out and "0 of 22 runs are finished" in done.out


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, sign: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "genscope", "reproduce", "S0-T2", "--size", "full", "--store", str(tmp_path / "runs")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and not list(tmp_path.glob("runs/cells/*/*.json")):
        time.sleep(0.02)
    process.send_signal(sign)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and out == ""
    assert "Finished runs are kept; the same command resumes." in err and len(err.strip().splitlines()) == 1
    assert list(tmp_path.glob("runs/cells/*/*.json")) and not list(tmp_path.glob("runs/cells/*/.*"))


def test_a_study_is_trained_measured_ranked_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*words: object) -> str:
        done = CliRunner().invoke(study.command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
        return done.stdout

    monkeypatch.chdir(tmp_path)
    Path("sweep.py").write_text(SPEC)
    assert call("sweep.py", "--dry-run") == "tiny: 6 networks, 0 finished; varied: width, learning_rate.\n"
    document = json.loads(call("sweep.py", "--json", "--table", "networks.csv", "--out", "saved", "-q"), parse_constant=pytest.fail)
    assert document["n_models"] == 6 and document["target"] == "gap" and Path("saved/result.json").is_file()
    assert {"margin", "l2_dist", "param_norm"} <= {row["measure"] for row in document["measures"]}
    lines = Path("networks.csv").read_text().splitlines()
    assert len(lines) == 7 and lines[0].startswith("model,") and "gap" in lines[0]
    assert call("sweep.py", "--dry-run").startswith("tiny: 6 networks, 6 finished")
    again = json.loads(call("sweep.py", "--json", "--no-run", "-q"))
    assert again["measures"] == document["measures"] and again["models"] == document["models"]
    assert "6 models against gap" in call("sweep.py", "--no-run", "-q")


@pytest.mark.parametrize(
    ("text", "sentence"), [("x = 1", "defines no STUDY"), ("1 / 0", "fails with ZeroDivisionError"), (None, "give a Python file that defines STUDY")]
)
def test_a_wrong_spec_is_one_sentence(run: Run, tmp_path: Path, text: str | None, sentence: str) -> None:
    spec = tmp_path / "sweep.py"
    if text is not None:
        spec.write_text(text)
    done = run("study", spec)
    assert done.code in {1, 2} and sentence in done.err and len(done.err.strip().splitlines()) == 1
