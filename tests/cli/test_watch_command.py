"""``genscope watch`` on runs: finished, growing, damaged, two of them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.report.sample_runs import sample_run

import genscope
from genscope.core import strict_json
from genscope.errors import StoreError
from genscope.sources.run_folder import read_run


def write_run(folder: Path, **chosen: Any) -> Path:
    run = sample_run(folder.name, **chosen)
    folder.mkdir()
    (folder / "watch.json").write_text(strict_json.dumps(dict(run.manifest)))
    (folder / "records.jsonl").write_text("".join(strict_json.dumps(record) + "\n" for record in run.records))
    return folder


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    asked = [sys.executable, "-m", "genscope", *map(str, arguments)]
    return subprocess.run(asked, capture_output=True, text=True, env={"PATH": "", "COLUMNS": "120", "OMP_NUM_THREADS": "1"})


def test_the_state_of_a_run(tmp_path: Path) -> None:
    done = command("watch", write_run(tmp_path / "run"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("! The normalized validation loss has stopped improving")
    row = next(line for line in lines if line.startswith("normalized_loss") and "validation" in line)
    series = [record["validation"]["normalized_loss"] for record in sample_run().records if record["kind"] == "epoch"]
    assert f"{min(series):.6f}" in row and f"{series[-1]:.6f}" in row and "▁" in row
    assert any(line.startswith("layer3.1.conv2") for line in lines)
    assert "The run has ended (finished): step 240, epoch 12." in done.stdout
    assert "output norm on one training example" in done.stderr


def test_json_and_the_table_of_everything(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    document = json.loads(command("watch", folder, "--json").stdout)
    assert document["verb"] == "watch" and document["state"] == "finished" and document["alarms"][0]["rule"] == "normalized_loss_stalled"
    row = next(row for row in document["measures"] if row["measure"] == "loss" and row["split"] == "validation")
    values = [record["validation"]["loss"] for record in sample_run().records if record["kind"] == "epoch"]
    assert row["value"] == pytest.approx(values[-1]) and row["best"] == pytest.approx(min(values)) and row["n"] == 12
    table = command("watch", folder, "--csv", "-").stdout.splitlines()
    assert table[0] == "step,epoch,kind,measure,split,layer,value" and len(table) > 1000
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (genscope[parquet])")
    assert command("watch", folder, "--parquet", tmp_path / "run.parquet").returncode == 0
    assert len(pandas.read_parquet(tmp_path / "run.parquet")) == len(table) - 1


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", seed=7)
    done = command("watch", one, two)
    assert done.returncode == 0 and "reached the smaller normalized validation loss" in done.stdout
    document = json.loads(command("watch", one, two, "--json").stdout)
    assert document["models"] == ["one", "two"]
    row = next(row for row in document["measures"] if row["measure"] == "log_rho")
    assert row["change"] == pytest.approx(row["values"][1] - row["values"][0])
    assert command("watch", one, one).returncode == 2


def test_a_run_that_goes_on_is_drawn_and_followed_to_its_end(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", end=False)
    with (folder / "records.jsonl").open("a") as log:
        log.write('{"kind": "step", "step": 241, "val')
    assert genscope.load(folder).head["state"] == "running" and read_run(folder).note is None
    assert command("report", folder).returncode == 0
    assert "The run is running: step 240" in (folder / "report.html").read_text(encoding="utf-8")
    following = subprocess.Popen(
        [sys.executable, "-m", "genscope", "watch", str(folder), "--follow", "--every", "0.2"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(0.2)
    with (folder / "records.jsonl").open("a") as log:
        log.write('ues": {}}\n{"kind": "end", "step": 241, "epoch": 12, "reason": "finished"}\n')
    told, _ = following.communicate(timeout=60)
    assert following.returncode == 0 and "The run has ended (finished): step 241" in told


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "watch.json").write_text("{")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "watch.json").symlink_to("/etc/passwd")
    for name, word in (("empty", "no watched run"), ("missing", "no watched run"), ("bad", "damaged"), ("link", "damaged")):
        with pytest.raises(StoreError, match=word):
            read_run(tmp_path / name)
    done = command("watch", tmp_path / "empty")
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert command("watch", tmp_path / "empty", "--follow", "--json").returncode == 2


def test_a_hostile_run_is_shown_and_breaks_nothing(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", n_epochs=1)
    wicked: list[Any] = [
        {"kind": "step", "step": 1, "values": [1], "train": {"loss": "x", "\x1b[31m": 1.0}, "layers": {"</script>": {"alpha": 1e999}, "a": 3}},
        {"kind": "alarm", "step": 2, "rule": ["x"], "sentence": {"a": 1}, "numbers": 7, "run": "\u202e"},
        {"kind": "step", "step": 3, "reasons": 4, "notes": "x", "seconds": "now"},
        {"kind": "step", "step": 10**400},
        {"kind": "step", "step": 3, "values": {"log_rho": 10**400}, "seconds": 10**400},
        {"kind": "end", "step": 3, "reason": ["\x1b]0;x\x07"]},
    ]
    with (folder / "records.jsonl").open("a") as log:
        log.write("".join(json.dumps(one) + "\n" for one in wicked))
    done = command("watch", folder)
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert command("report", folder).returncode == 0
    assert "</script>{" not in (folder / "report.html").read_text(encoding="utf-8")


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "records.jsonl").unlink()
    assert "Nothing was recorded yet." in command("watch", folder).stdout
    assert command("report", folder).returncode == 0
