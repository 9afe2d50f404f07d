"""One tool on one checkpoint in a process of its own; prints seconds, CPU seconds and peak memory as JSON. Imports only what that tool needs."""

import json
import sys
import time
from functools import partial


def genscope_run(path: str, resamples: int) -> int:
    import genscope

    return len(genscope.analyze(path, resamples=resamples, jobs=2).rows)


def weightwatcher_run(path: str) -> int:
    import weightwatcher
    from safetensors.torch import load_file

    return len(weightwatcher.WeightWatcher(model=load_file(path), log_level=50).analyze())


def floor_run(path: str) -> int:
    """The bare eigenvalue routine on the same matrices, two at a time on one thread each."""
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    from genscope.checkpoints.open import open_checkpoint
    from genscope.layers.matricize import build_matrix, plan_matrices
    from genscope.numerics.singular_values import singular_values

    checkpoint = open_checkpoint(path)
    matrices = sorted(plan_matrices(checkpoint.specs).matrices, key=lambda spec: -(min(spec.rows, spec.cols) ** 3) * spec.n_matrices)

    def bare(spec):
        return singular_values(build_matrix(spec, {name: checkpoint.read(name) for name in spec.tensors}).stack).values.size

    with threadpool_limits(1):
        return len(Parallel(n_jobs=2, backend="threading", batch_size=1)(delayed(bare)(spec) for spec in matrices))


def peak_mb() -> float:
    """High-water mark of this process alone (getrusage would report the parent's when that was larger)."""
    from pathlib import Path

    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    tool, path = sys.argv[1], sys.argv[2]
    runs = {
        "weightwatcher": weightwatcher_run,
        "floor": floor_run,
        "genscope": partial(genscope_run, resamples=0),
        "genscope+200": partial(genscope_run, resamples=200),
    }
    if tool == "weightwatcher":
        import safetensors.torch  # noqa: F401
        import weightwatcher  # noqa: F401 - its import takes seconds and is not analysis
    else:
        import joblib  # noqa: F401

        import genscope.sources.matrices  # noqa: F401
        from genscope.measures.load import load_matrix_measures

        load_matrix_measures()
    wall, cpu = time.perf_counter(), time.process_time()
    rows = runs[tool](path)
    done = {"tool": tool, "rows": rows, "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak_mb": peak_mb()}
    sys.stdout.write("\n" + json.dumps(done) + "\n")
