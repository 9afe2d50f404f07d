"""Memory follows the largest matrix, not the model: a sharded checkpoint larger than the bound is analyzed within it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

SCRIPT = """
import sys, genscope
result = genscope.analyze(sys.argv[1], resamples=0, jobs=2)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(result.summary["n_matrices"], int(peak.split()[1]) // 1024)
"""
ROWS, COLS, SHARDS = 512, 8192, 40  # 16 MB each, 640 MB in all; the bound is 400 + 3 * 16


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_peak_memory_is_bounded_by_the_largest_matrix(tmp_path: Path) -> None:
    base = np.random.default_rng(0).standard_t(3, (ROWS, COLS)).astype(np.float32)
    names = {}
    for shard in range(SHARDS):
        file = f"model-{shard + 1:05d}-of-{SHARDS:05d}.safetensors"
        save_file({f"layers.{shard}.weight": np.roll(base, shard, axis=1) + shard * 1e-3}, tmp_path / file)
        names[f"layers.{shard}.weight"] = file
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": SHARDS * ROWS * COLS * 4}, "weight_map": names}))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    n_matrices, peak_mb = map(int, done.stdout.split())
    assert n_matrices == SHARDS
    assert peak_mb <= 400 + 3 * ROWS * COLS * 4 / 2**20
