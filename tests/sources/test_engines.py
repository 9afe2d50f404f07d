"""The same numbers whatever does the work: threads, processes, a local Dask cluster, a local Ray."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

SCRIPT = """
import json, sys, genscope
from genscope.core import strict_json
if __name__ == "__main__":
    result = genscope.analyze(sys.argv[1], engine=sys.argv[2], jobs=2, resamples=20)
    print("RESULT" + strict_json.dumps([list(result.rows), dict(result.curves), dict(result.reproducibility)]))
"""
PACKAGES = {"threads": "joblib", "processes": "joblib", "dask": "distributed", "ray": "ray"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("engines") / "model.safetensors"
    save_file({f"l{i}.weight": rng.standard_t(3, (40 + 8 * i, 60)).astype(np.float32) for i in range(6)}, path)
    return path


def run(checkpoint: Path, engine: str, folder: Path) -> list:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script), str(checkpoint), engine], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("RESULT", 1)[1].splitlines()[0])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "dask", "ray"])
def test_engine_gives_the_numbers_of_threads(checkpoint: Path, engine: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(PACKAGES[engine]) is None:
        pytest.skip(f"the engine {engine} needs the package {PACKAGES[engine]}; install genscope[{engine}]")
    assert run(checkpoint, engine, tmp_path) == run(checkpoint, "threads", tmp_path)


def test_an_engine_that_is_not_installed_says_what_to_install(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import genscope
    from genscope.errors import UnsupportedInput

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnsupportedInput, match=r"genscope\[dask\]"):
        genscope.analyze(checkpoint, engine="dask", resamples=0)
