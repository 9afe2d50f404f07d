"""The command line where the surroundings are hostile: full disks, narrow terminals, closed pipes, strange stores, two runs at once."""

import csv
import getpass
import io
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.hostile_archives import GOOD_NPY
from tests.contracts.hostile_cases import WEIGHT
from tests.contracts.hostile_safetensors import NASTY, entries, packed, stretched

import genscope
from genscope.cli.output import csv_cell
from genscope.core.files import write_atomically

GENSCOPE = [sys.executable, "-m", "genscope"]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str
    seconds: float

    def refused(self, *words: str) -> None:
        """Exit code 1, one sentence with the words, nothing on standard output."""
        assert self.code == 1 and self.out == "", (self.code, self.out[:200], self.err)
        assert len(self.err.splitlines()) == 1 and "Traceback" not in self.err and "Unexpected" not in self.err, self.err
        assert all(word in self.err for word in words), self.err


def run(*words: object, cwd: str | Path = "/", env: Mapping[str, str] | None = None, limit: Callable[[], None] | None = None) -> Done:
    given = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100", **(env or {})}
    began = time.monotonic()
    done = subprocess.run(
        [*GENSCOPE, *map(os.fspath, map(str, words))], capture_output=True, cwd=cwd, env=given, timeout=120, preexec_fn=limit, check=False
    )
    return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"), time.monotonic() - began)


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    rng = np.random.default_rng(1)
    path.write_bytes(packed({f"layer{i}.weight": rng.standard_normal((40, 30)).astype("<f4") for i in range(12)}))
    return path


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nasty") / "nasty.safetensors"
    path.write_bytes(packed(dict.fromkeys(NASTY, WEIGHT)))
    return path


def test_what_reads_no_tensor_returns_at_once_from_a_hundred_gigabytes(tmp_path: Path) -> None:
    side = 160_000
    path = stretched(entries({"w": ("F32", [side, side], [0, 4 * side**2])}, b""), 4 * side**2)(tmp_path)
    assert path.stat().st_size > 100e9
    for words in (("describe", path, "--json"), ("analyze", path, "--dry-run", "--json")):
        done = run(*words, limit=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)))
        assert done.code == 0 and strict(done.out) and done.seconds < 20, done.err
    skipped = strict(run("analyze", path, "--json", "--max-memory", "1G").out)["matrices"][0]
    assert skipped["status"] == "skipped" and re.search(r"needs \d+\.\d GB", skipped["reason"]) and skipped["alpha"] is None


def test_nasty_names_in_every_output(nasty: Path, tmp_path: Path) -> None:
    done = run("analyze", nasty, "--json", "--resamples", "0", "--html", tmp_path / "r.html", "--csv", tmp_path / "t.csv", "--out", tmp_path / "kept")
    assert done.code == 0, done.err
    names = [row["layer"] for row in strict(done.out)["matrices"]]
    assert [name for name in NASTY if name not in names] == ["x" * 100_000]
    text = (tmp_path / "t.csv").read_bytes().decode("utf-8")
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["layer"] for row in read] == [csv_cell(name) for name in names]
    assert all(row["layer"][:1] not in {"=", "+", "@", "\t", "\0"} for row in read)
    assert "-2.5" in {row["layer"] for row in read} and "'-1+cmd" in {row["layer"] for row in read}
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    bare = page.replace("\n", " ")
    assert "<script>alert" not in bare and "<img src=x" not in bare and "\u2028" not in page and "\u202e" not in page
    assert "Content-Security-Policy" in page and not re.search(r'(src|href)="https?:', page)
    for words in (("analyze", nasty, "--resamples", "0"), ("describe", nasty), ("report", tmp_path / "kept")):
        shown = run(*words)
        assert shown.code == 0 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e\u2028]", shown.out + shown.err)


def test_nothing_private_is_written(model: Path, tmp_path: Path) -> None:
    done = run("analyze", model, "--json", "--resamples", "0", "--html", tmp_path / "r.html", "--out", tmp_path / "kept", cwd=tmp_path)
    written = [done.out, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    for private in {str(model.parent), str(tmp_path), f"/{getpass.getuser()}/", os.path.expanduser("~") + "/"}:
        assert all(private not in text for text in written), private
    host = re.compile(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w.-])")
    assert not any(host.search(text) for text in written)


@pytest.mark.parametrize(
    "env",
    [
        {"COLUMNS": "1"},
        {"TERM": "dumb"},
        {"LANG": "C", "LC_ALL": "C"},
        {"NO_COLOR": "1", "COLUMNS": "20"},
        {"PYTHONIOENCODING": "ascii"},
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
    ],
    ids=str,
)
def test_poor_terminals_and_homes(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed({"größe\U0001f600": WEIGHT, "w": WEIGHT * 2}))
    table = run("analyze", path, "--resamples", "0", env=env, cwd="/proc")
    assert table.code == 0 and table.out and table.err == "" and "\x1b" not in table.out, table.err
    if not env.keys() & {"LANG", "PYTHONIOENCODING"}:
        return
    data = run("analyze", path, "--resamples", "0", "--json", env=env, cwd="/proc")
    assert data.code == 0 and strict(data.out)["matrices"][0]["layer"] == "größe\U0001f600"
    assert "größe\U0001f600" in run("analyze", path, "--resamples", "0", "--csv", "-", env=env, cwd="/proc").out


@pytest.mark.parametrize("words", ["analyze {} --resamples 0", "analyze {} --resamples 0 --json", "describe {}"])
def test_a_reader_that_goes_away(words: str, model: Path) -> None:
    command = f"{sys.executable} -m genscope {words.format(model)} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
    closed = subprocess.run(["bash", "-c", f"{sys.executable} -m genscope {words.format(model)} >&-"], capture_output=True, text=True)
    assert "Traceback" not in closed.stderr and "Unexpected" not in closed.stderr


def test_full_disk_leaves_what_was_there_and_resumes(model: Path, tmp_path: Path) -> None:
    calm = run("analyze", model, "--out", tmp_path / "calm", "--resamples", "0", "--jobs", "1")
    assert calm.code == 0

    def full(size: int) -> Callable[[], None]:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    largest_cell = max(path.stat().st_size for path in (tmp_path / "calm" / "cells").glob("*.json"))
    out = tmp_path / "full"
    run("analyze", model, "--out", out, "--resamples", "0", "--json", limit=full(100)).refused("could not be written")
    run("analyze", model, "--out", out, "--resamples", "0", "--json", limit=full(largest_cell + 1)).refused("could not be written")
    assert len(list((out / "cells").glob("*.json"))) == 12 and not list(out.rglob(".*"))
    assert run("analyze", model, "--out", out, "--resamples", "0", "--jobs", "1").code == 0
    assert (out / "result.json").read_bytes() == (tmp_path / "calm" / "result.json").read_bytes()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run("report", out, limit=full(1000)).refused("could not be written")
    run("analyze", model, "--out", out, "--resamples", "0", "--json", limit=full(1000)).refused("could not be written")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_cut_and_garbled_cells_are_computed_again(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("analyze", model, "--out", out, "--resamples", "0").code == 0
    wanted = (out / "result.json").read_bytes()
    cells = sorted((out / "cells").glob("*.json"))
    whole = cells[0].read_bytes()
    flipped = cells[6].read_bytes().replace(b'"status": "', b'"status": "x', 1)
    damage = [b"", whole[: len(whole) // 2], b"garbage", b"[1]", b"null", whole, flipped, b"[" * 100_000, b"\xff\xfe", b'{"cell": {"key": 1}}']
    for path, content in zip(cells[1:], damage, strict=False):
        path.write_bytes(content)
    cells[0].unlink()
    os.mkfifo(cells[0])
    (out / "result.json").unlink()
    done = run("analyze", model, "--out", out, "--resamples", "0")
    assert done.code == 0 and (out / "result.json").read_bytes() == wanted, done.err


def test_a_changed_checkpoint_is_not_mixed_with_old_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed({"w": WEIGHT}))
    assert run("analyze", path, "--out", tmp_path / "out", "--resamples", "0").code == 0
    path.write_bytes(packed({"w": WEIGHT * 2}))
    os.utime(path, (1, 1))
    run("analyze", path, "--out", tmp_path / "out", "--resamples", "0", "--json").refused("changed", "--fresh")
    genscope.analyze({"w": WEIGHT}, out=tmp_path / "memory", resamples=0)
    with pytest.raises(genscope.GenscopeError, match="changed"):
        genscope.analyze({"w": WEIGHT * 2}, out=tmp_path / "memory", resamples=0)


def test_stores_from_a_stranger(model: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.json").write_text("{}")

    def store(name: str, **files: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file, content in files.items():
            (folder / f"{file}.json").write_text(content)
        return folder

    linked = store("linked")
    (linked / "cells").symlink_to(outside)
    for words in ((), ("--fresh",)):
        run("analyze", model, "--out", linked, "--resamples", "0", "--json", *words).refused("link")
    assert os.listdir(outside) == ["mine.json"]
    for content in ("[1]", "[" * 100_000):
        run("analyze", model, "--out", store(f"run{hash(content)}", run=content), "--resamples", "0", "--json").refused("run.json", "--fresh")
        run("report", store(f"result{hash(content)}", result=content)).refused("result.json")
    for file in ("run", "result"):
        piped = store(f"piped-{file}")
        os.mkfifo(piped / f"{file}.json")
        verb = ("report", piped) if file == "result" else ("analyze", model, "--out", piped, "--resamples", "0", "--json")
        run(*verb).refused(f"{file}.json")
    (store("secret") / "result.json").symlink_to("/etc/hostname")
    run("report", tmp_path / "secret").refused("secret")
    typed = {
        "verb": "analyze",
        "schema_version": 1,
        "matrices": [{"layer": 5, "alpha": "x", "status": []}, 7],
        "notes": 3,
        "summary": [],
        "source": {},
    }
    assert "Unexpected" not in run("report", store("typed", result=json.dumps(typed), curves='{"a": 1}')).err


def test_two_runs_into_one_folder(model: Path, tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    words = [*GENSCOPE, "analyze", str(model), "--resamples", "0", "--jobs", "1", "--out"]
    pair = [subprocess.Popen([*words, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in pair]
    assert all(code == 0 or (code == 1 and len(err.splitlines()) == 1 and "Unexpected" not in err) for err, code in ends), ends
    assert run("analyze", model, "--out", alone, "--resamples", "0").code == 0
    assert 0 in {code for _, code in ends} and (out / "result.json").read_bytes() == (alone / "result.json").read_bytes()


def test_one_damaged_array_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bad.npy", GOOD_NPY)
        archive.writestr("good.npy", GOOD_NPY)
    raw = bytearray(path.read_bytes())
    raw[300] ^= 0xFF  # inside the compressed bytes of the first
    path.write_bytes(raw)
    done = run("analyze", path, "--json", "--resamples", "0")
    rows = {row["layer"]: row for row in strict(done.out)["matrices"]} if done.code == 0 else {}
    assert rows["good"]["lambda_max"] > 0 and rows["bad"]["status"] == "failed" and "damaged" in rows["bad"]["reason"], done.err


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert os.listdir(tmp_path) == ["report.html"] and path.read_text() == "old"


def test_pipes_and_odd_targets(model: Path, tmp_path: Path) -> None:
    assert run("analyze", model, "--resamples", "0", "--json", "--csv", "/dev/stderr").err.startswith("layer,")
    (tmp_path / "folder").mkdir()
    assert run("analyze", model, "--json", "--html", tmp_path / "folder").code == 2
    run("analyze", model, "--resamples", "0", "--json", "--out", model).refused("folder")
    run("analyze", model, "--resamples", "0", "--json", "--html", "/proc/nowhere/r.html").refused("r.html")


def test_impossible_requests_end_in_a_sentence(model: Path) -> None:
    before = model.read_bytes()
    for words in (("smooth", model, model), ("analyze", model, "--device", "nonsense", "--json")):
        done = run(*words)
        assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1 and "Unexpected" not in done.err, done.err
    assert model.read_bytes() == before
    assert run("analyze", model, "--jobs", "99999", "--resamples", "0", "--csv", "/dev/fd/1").code == 0


def test_reports_of_no_layers_and_of_five_thousand(tmp_path: Path) -> None:
    (tmp_path / "none.safetensors").write_bytes(packed({}))
    assert run("analyze", tmp_path / "none.safetensors", "--html", tmp_path / "none.html").code == 0
    assert "<!doctype html>" in (tmp_path / "none.html").read_text().lower()[:50]
    one = genscope.analyze({"w": np.random.default_rng(2).standard_normal((60, 80))}, resamples=20)
    rows = [{**one.rows[0], "layer": f"model.block{i}.attention.weight"} for i in range(5000)]
    curves = {f"{row['layer']}::{row['view']}": next(iter(one.curves.values())) for row in rows}
    replace(one, rows=rows, curves=curves).save(tmp_path / "kept")
    done = run("report", tmp_path / "kept")
    assert done.code == 0 and done.seconds < 20 and 1e5 < (tmp_path / "kept" / "report.html").stat().st_size < 10e6
