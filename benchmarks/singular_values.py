"""CPU milliseconds of every route to the eigenvalues of a Gram matrix, and of the whole of ``singular_values`` against LAPACK's SVD.

    OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/singular_values.py [n …]

The last lines say whether two matrices run side by side in two threads.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.linalg

from genscope.numerics import lapack
from genscope.numerics.singular_values import predicted_seconds, singular_values

SIZES = (64, 256, 512, 768, 1024, 2048)
SHAPES = ((768, 768), (768, 2304), (768, 3072), (2048, 1000), (9, 64, 64), (9, 256, 256), (9, 512, 512))


def milliseconds(work: Callable[[], object], repeats: int = 3) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000.0 * best


def at_stage(gram: np.ndarray, two_stage_from: int) -> np.ndarray:
    kept, lapack.TWO_STAGE_FROM = lapack.TWO_STAGE_FROM, two_stage_from
    try:
        return lapack.symmetric_eigenvalues(gram.copy())
    finally:
        lapack.TWO_STAGE_FROM = kept


def eigenvalue_routes(n: int) -> dict[str, float]:
    gram = np.cov(np.random.default_rng(0).standard_t(3, (n, 2 * n)))
    routes: dict[str, Callable[[], object]] = {
        "numpy eigvalsh": lambda: np.linalg.eigvalsh(gram),
        "one stage + dsterf": lambda: at_stage(gram, 10**9),
        "two stages + dsterf": lambda: at_stage(gram, 0),
        "scipy ev": lambda: scipy.linalg.eigvalsh(gram, driver="ev"),
        "scipy evd": lambda: scipy.linalg.eigvalsh(gram, driver="evd"),
        "scipy evr": lambda: scipy.linalg.eigvalsh(gram, driver="evr"),
    }
    if "--torch" in sys.argv:
        import torch

        torch.set_num_threads(1)
        tensor = torch.from_numpy(gram)
        routes["torch float64"] = lambda: torch.linalg.eigvalsh(tensor)
        routes["torch float32"] = lambda: torch.linalg.eigvalsh(tensor.float())
    return {name: milliseconds(route, 3 if n <= 1024 else 1) for name, route in routes.items()}


def whole(shape: tuple[int, ...]) -> str:
    stack = np.random.default_rng(0).standard_t(3, shape).astype(np.float32)
    wide = stack.astype(np.float64)
    ours = milliseconds(lambda: singular_values(stack))
    svd = milliseconds(lambda: np.linalg.svd(wide, compute_uv=False), 1)
    predicted = 1000.0 * predicted_seconds(*shape[-2:], n_matrices=shape[0] if len(shape) == 3 else 1)
    return f"{'×'.join(map(str, shape)):>12}  ours {ours:8.1f}  predicted {predicted:8.1f}  float64 SVD {svd:8.1f}  ratio {svd / ours:5.1f}"


def side_by_side() -> str:
    stack = np.random.default_rng(0).standard_t(3, (1000, 1000)).astype(np.float32)
    start = time.perf_counter()
    for _ in range(4):
        singular_values(stack)
    alone = time.perf_counter() - start
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(singular_values, [stack] * 4))
    return f"four matrices, one thread {alone:.2f} s, two threads {time.perf_counter() - start:.2f} s (wall)"


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or SIZES
    for n in sizes:
        print(f"n = {n:5d}  " + "  ".join(f"{name} {value:.1f}" for name, value in eigenvalue_routes(n).items()))
    for shape in SHAPES:
        print(whole(shape))
    print(side_by_side())
