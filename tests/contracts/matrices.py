"""Matrices that every measure of a matrix must survive, ordinary and hostile."""

import numpy as np

from genscope.core.matrices import Matrix, MatrixSpec


def as_matrix(array: np.ndarray, name: str = "layer.weight") -> Matrix:
    stack = np.asarray(array)
    stack = stack[None] if stack.ndim == 2 else stack
    spec = MatrixSpec(
        name, "linear", "weight" if len(stack) == 1 else "slices", stack.shape[1], stack.shape[2], len(stack), (name,), ("steps", (), ())
    )
    return Matrix(spec, stack)


def ordinary() -> np.ndarray:
    rng = np.random.default_rng(7)
    left, _ = np.linalg.qr(rng.standard_normal((60, 60)))
    right, _ = np.linalg.qr(rng.standard_normal((90, 60)))
    eigenvalues = (1 - rng.random(60)) ** (-1 / 2.0)
    return (left * np.sqrt(eigenvalues)) @ right.T


def hostile() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    nan = rng.standard_normal((12, 9))
    nan[3, 7] = np.nan
    infinite = rng.standard_normal((12, 9))
    infinite[0, 0] = np.inf
    hilbert = 1.0 / (np.arange(40)[:, None] + np.arange(40)[None] + 1)
    return {
        "nan": nan,
        "infinite": infinite,
        "zero": np.zeros((20, 30)),
        "constant": np.ones((20, 30)),
        "rank_one": np.outer(rng.standard_normal(30), rng.standard_normal(20)),
        "identity": np.eye(25),
        "orthogonal": np.linalg.qr(rng.standard_normal((30, 30)))[0],
        "two_eigenvalues": np.diag(np.r_[np.full(15, 2.0), np.ones(15)]),
        "row": rng.standard_normal((1, 40)),
        "column": rng.standard_normal((40, 1)),
        "two_by_two": rng.standard_normal((2, 2)),
        "single": np.array([[3.0]]),
        "hilbert": hilbert,
        "tiny": ordinary() * 1e-30,
        "huge": ordinary() * 1e30,
        "float32": ordinary().astype(np.float32),
        "pooled": rng.standard_normal((9, 16, 8)),
    }
