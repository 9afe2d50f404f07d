"""A runner for the command line as a user runs it, and small checkpoints to run it on."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``genscope …`` in a fresh process, in an empty folder."""

    def call(*words: object, **environment: str) -> Done:
        where = tmp_path / "cwd"
        where.mkdir(exist_ok=True)
        given = {**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run([sys.executable, "-m", "genscope", *map(str, words)], capture_output=True, text=True, env=given, cwd=where, timeout=120)
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two linear layers (one heavy-tailed, one Gaussian), a convolution, a bias and a broken layer."""
    rng = np.random.default_rng(0)
    heavy = rng.standard_normal((120, 80)) * (1 - rng.random((1, 80))) ** -0.6
    broken = rng.standard_normal((30, 20))
    broken[3, 7] = np.nan
    tensors = {
        "fc1.weight": heavy,
        "fc1.bias": np.zeros(120),
        "fc2.weight": rng.standard_normal((100, 120)) / 10,
        "conv.weight": rng.standard_normal((16, 8, 3, 3)),
        "broken.weight": broken,
    }
    path = tmp_path_factory.mktemp("checkpoints") / "small.safetensors"
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, path)
    return path
