# ruff: noqa: E501
"""Made-up results with realistic numbers, for tests and for looking at the page: an analysis, and the pieces it is made of."""

import numpy as np

from genscope.core.results import Result

REPRODUCIBILITY = {
    "genscope": "0.1.0",
    "python": "3.12.4",
    "numpy": "2.4.6",
    "seed": 0,
    "threads": 2,
    "device": "cpu",
    "command": "genscope analyze /home/somebody/models/resnet50.safetensors --report out.html",
    "hostname": "secret-host",
    "digests": {"/home/somebody/models/resnet50.safetensors": "sha256:5d41402abc4b2a76b9719d911017c592"},
}
TIMING = {"seconds": 12.3456, "peak_memory_bytes": 412_345_678}


def eigenvalues(rng: np.random.Generator, n: int, alpha: float) -> tuple[np.ndarray, float, float]:
    """A random bulk with a power-law tail: eigenvalues, xmin, bulk edge."""
    edge = (1 + np.sqrt(0.5)) ** 2
    bulk = edge * (0.03 + 0.97 * rng.beta(1.1, 2.4, n))
    n_tail = max(8, n // 4)
    tail = 0.8 * edge * (1 - rng.uniform(size=n_tail)) ** (-1 / (alpha - 1))
    kept = bulk[bulk < 0.8 * edge][: n - n_tail]
    return np.sort(np.concatenate([kept, tail])), 0.8 * edge, edge


def curve_of(values: np.ndarray, xmin: float, alpha: float | None, edge: float, twin: np.ndarray) -> dict:
    edges = np.geomspace(values[0], values[-1], 41)
    return {
        "ccdf": ccdf(values),
        "hist": {"edges": edges, "density": np.histogram(values, edges)[0] / len(values) / np.diff(edges)},
        "twin": ccdf(twin),
        "mp": {"edge": edge, "threshold": 1.05 * edge, "sigma": 1.0},
        "xmin": xmin,
        "alpha": alpha,
        "hill": hill(values),
    }


def hill(values: np.ndarray) -> dict:
    logs = np.log(values[::-1])
    k = np.unique(np.round(np.geomspace(5, len(values) - 1, 40)).astype(int))
    return {"k": k, "alpha": [1 + m / (logs[:m] - logs[m]).sum() for m in k]}


def ccdf(values: np.ndarray) -> dict:
    n = len(values)
    ranks = np.unique(np.round(np.geomspace(1, n, 160)).astype(int))
    return {"x": values[n - ranks], "y": ranks / n}


_SHAPES = [
    ("conv2d", "slices", 64, 64),
    ("conv2d", "slices", 128, 64),
    ("conv2d", "slices", 256, 128),
    ("linear", "weight", 512, 256),
    ("attention", "q", 768, 768),
]


def analyze_result(n_layers: int = 54, seed: int = 0, with_curves: bool = True) -> Result:
    """A network of ``n_layers`` matrices, most well trained, some doubtful, one failed."""
    rng = np.random.default_rng(seed)
    pool = [eigenvalues(rng, n, a) for n, a in ((64, 2.4), (96, 3.1), (128, 3.8), (128, 5.2), (96, 8.0))]
    rows, curves = [], {}
    for index in range(n_layers):
        kind, view, n_rows, n_cols = _SHAPES[index % 5]
        layer = f"layer{1 + index * 4 // max(1, n_layers)}.{index // 3}.{_part(kind, index)}"
        values, xmin, edge = pool[4 if index % 17 == 4 else rng.integers(4)]
        scale = rng.uniform(0.5, 20)
        stretch = rng.uniform(0.75, 1.3)  # bends the tail: alpha − 1 is divided by it
        values, xmin, edge = scale * values**stretch, scale * xmin**stretch, scale * edge**stretch
        rows.append(_row(rng, index, layer, (kind, view, n_rows, n_cols), values))
        if with_curves and index >= 200 and rows[index % 200]["status"] != "failed":  # enough different ones; a large sample must not take long
            curves[f"{layer}::{view}"] = curves[f"{rows[index % 200]['layer']}::{rows[index % 200]['view']}"]
        elif with_curves and rows[-1]["status"] != "failed":
            curves[f"{layer}::{view}"] = curve_of(
                values, xmin, rows[-1]["alpha"], edge, np.minimum(values, edge * (1 + 0.02 * rng.uniform(size=len(values))))
            )
    ok = [row for row in rows if row["status"] == "ok"]
    summary = {
        "n_matrices": n_layers,
        "n_fitted": len(ok),
        "n_skipped": 2,
        "n_doubtful": sum(row["status"] == "doubtful" for row in rows),
        "n_failed": sum(row["status"] == "failed" for row in rows),
        **{
            key: float(np.mean([row[key] for row in ok])) if ok else None
            for key in ("alpha", "alpha_weighted", "log_alpha_norm", "log_frobenius_norm", "log_spectral_norm", "stable_rank")
        },
        "verdict": f"Well trained: {len(ok)} of {n_layers} matrices have heavy-tailed spectra, mean α 3.42 (95% 3.21–3.66); two late layers look undertrained.",
        "verdict_details": [
            "layer4.12.conv1.weight: α 9.8 (95% 6.1–14.2), weakly heavy-tailed; look here first.",
            "Three fits rest on fewer than 12 eigenvalues and are left out of the mean.",
        ],
    }
    skipped = [{"layer": f"bn{k}.weight", "reason": "one-dimensional: a scale, not a matrix"} for k in range(53)] + [
        {"layer": "step", "reason": "integer counter"}
    ]
    head = {
        "source": "/home/somebody/models/resnet50.safetensors",
        "options": {"conv": "slices", "n_bootstrap": 200, "min_tail": 8, "exclude": None},
        "summary": summary,
    }
    tail = {"skipped": skipped, "notes": ["The output layer shares its tensor with the embedding; it is counted once."]}
    return Result("analyze", head, rows, tail, curves, REPRODUCIBILITY, TIMING)


def _part(kind: str, index: int) -> str:
    return "attn.in_proj_weight" if kind == "attention" else f"conv{index % 3 + 1}.weight"


def _row(rng: np.random.Generator, index: int, layer: str, shape: tuple, values: np.ndarray) -> dict:
    kind, view, n_rows, n_cols = shape
    tail = values[-(len(values) // 4) :]
    alpha = float(1 + len(tail) / np.log(tail / tail[0]).sum())
    status = "failed" if index == 7 else "doubtful" if index % 9 == 5 else "skipped" if index == 13 else "ok"
    fitted = status in {"ok", "doubtful"}
    spread = 4 * (alpha - 1) / np.sqrt(len(tail)) * (3 if status == "doubtful" else 1)
    reason = {
        "failed": "1 of 4,096 entries is NaN, first at [3, 7].",
        "doubtful": "the tail holds 9 eigenvalues only.",
        "skipped": "rank 1: no spectrum to fit.",
        "ok": None,
    }[status]
    top, total = float(values[-1]), float(values.sum())
    words = f"α {alpha:.2f} (95% {alpha - spread / 2:.2f}–{alpha + spread:.2f}): heavy-tailed, {'in' if alpha <= 6 else 'outside'} the range of well-trained layers."
    return {
        "layer": layer, "kind": kind, "view": view, "rows": n_rows, "cols": n_cols, "n_eigenvalues": len(values), "status": status, "reason": reason,
        "verdict": words if status == "ok" else reason, "alpha": alpha if fitted else None, "alpha_stderr": spread / 4 if fitted else None,
        "alpha_low": max(1.01, alpha - spread / 2) if fitted else None, "alpha_high": alpha + spread if fitted else None,
        "xmin": float(tail[0]) if fitted else None, "n_tail": len(values) // 4 if fitted else None,
        "ks_distance": float(rng.uniform(0.02, 0.2)) if fitted else None, "p_value": float(rng.uniform(0.001, 1)) if fitted else None,
        "lambda_max": top, "alpha_weighted": alpha * float(np.log10(top)) if fitted else None, "log_alpha_norm": float(rng.normal(2, 0.5)) if fitted else None,
        "log_frobenius_norm": float(np.log10(total)), "log_spectral_norm": float(np.log10(top)), "stable_rank": total / top, "entropy": float(rng.uniform(0.6, 0.98)),
        "effective_rank": float(len(values) * 0.7), "matrix_rank": len(values), "mp_edge": 2.9, "mp_sigma": 1.0, "n_spikes": int(rng.integers(0, 20)), "soft_rank": float(rng.uniform(0.05, 0.9)), "undefined": {} if fitted else {"alpha_exponential": "no fit to compare"},
    }  # fmt: skip
