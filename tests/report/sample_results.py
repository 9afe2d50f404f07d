# ruff: noqa: E501
"""Made-up results with realistic numbers, one maker per verb, for tests and for looking at the page."""

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
    bulk = np.square(np.linalg.svd(rng.normal(size=(n, 2 * n)), compute_uv=False)) / (2 * n)
    edge = (1 + np.sqrt(0.5)) ** 2
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
        values, xmin, edge = values * scale, xmin * scale, edge * scale
        rows.append(_row(rng, index, layer, (kind, view, n_rows, n_cols), values))
        if with_curves and rows[-1]["status"] != "failed":
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


def compare_result(n_layers: int = 30, n_models: int = 2, seed: int = 1) -> Result:
    rng = np.random.default_rng(seed)
    rows, curves = [], {}
    for index in range(n_layers):
        row: dict = {
            "layer": f"blocks.{index}.mlp.weight",
            "view": "weight",
            "kind": "linear" if index % 2 else "conv2d",
            "rows": 64,
            "cols": 64,
            "statuses": ["ok"] * n_models,
            "reasons": [None] * n_models,
        }
        move = [0.0, *(float(v) for v in rng.uniform(0.01, 1.4, n_models - 1))]
        row["relative_change"] = {"values": move, "change": move[-1]}
        for measure, centre in (("alpha", 3.5), ("alpha_weighted", 4.0), ("log_spectral_norm", 1.1), ("stable_rank", 11.0)):
            values = [float(abs(rng.normal(centre, 0.15 * centre))) for _ in range(n_models)]
            row[measure] = {"values": values, "change": values[-1] - values[0]}
        rows.append(row)
        curves[f"{row['layer']}::weight"] = {"models": [{"ccdf": ccdf(eigenvalues(rng, 48, 3.0)[0])} for _ in range(n_models)]}
    ranking = [
        {
            "measure": name,
            "n": 12,
            "spearman": t * 1.2,
            "kendall": t,
            "kendall_low": t - 0.3,
            "kendall_high": min(1.0, t + 0.2),
            "p_value": 0.01,
            "r2": t * t,
            "loo_rmse": 0.5,
        }
        for name, t in (("alpha_weighted", 0.8), ("depth", -0.4), ("alpha", 0.15))
    ]
    for row in rows:
        for end, by in (("low", 0.8), ("high", 1.25)):
            row[f"alpha_{end}"] = {"values": [by * v for v in row["alpha"]["values"]], "change": 0.0}
    models = [{"n_matrices": n_layers, "alpha": 3.5 - 0.4 * k, "stable_rank": 11.0, "verdict": "fine"} for k in range(n_models)]
    summary = {
        "models": models,
        "n_unmatched": 1,
        "verdict": "The second model moved most in its last blocks: α fell by 0.6 on average.",
        "ranking": ranking,
        "mean_change_alpha": -0.61,
    }
    head = {
        "models": ["/home/somebody/base.safetensors", "tuned.safetensors", *[f"m{k}" for k in range(3, n_models + 1)]][:n_models],
        "options": {"measures": "default"},
        "summary": summary,
    }
    return Result(
        "compare",
        head,
        rows,
        {
            "unmatched": [
                {
                    "layer": "head.weight",
                    "in": ["base.safetensors", "tuned.safetensors"],
                    "view": "weight",
                    "reason": "shapes differ: 10×64 and 100×64",
                }
            ]
        },
        curves,
        REPRODUCIBILITY,
        TIMING,
    )


def rank_result(n_measures: int = 9, n_models: int = 24, seed: int = 2) -> Result:
    rng = np.random.default_rng(seed)
    names = ["alpha_weighted", "log_alpha_norm", "alpha", "log_spectral_norm", "stable_rank", "depth", "n_params", "log_frobenius_norm", "entropy"]
    y = rng.uniform(4, 12, n_models)
    rows, scatter = [], {}
    for index in range(n_measures):
        tau = 0.85 * 0.7**index * (-1) ** (index // 3)
        rows.append({"measure": names[index % 9] + ("" if index < 9 else str(index)), "n": n_models, "kendall": tau, "kendall_low": max(-1.0, tau - 0.22), "kendall_high": min(1.0, tau + 0.18), "p_value": float(0.001 + 0.9 * (1 - abs(tau)) ** 3),
                     "spearman": tau * 1.15, "r2": tau * tau, "rmse": 1.1, "loo_rmse": 1.3, "status": "ok", "reason": None})  # fmt: skip
        scatter[rows[-1]["measure"]] = {
            "x": y * tau + rng.normal(0, 2 * (1 - abs(tau)), n_models),
            "y": y,
            "labels": [f"resnet{k}" for k in range(n_models)],
            "groups": ["VGG" if k % 3 else "ResNet" for k in range(n_models)],
        }
    rows.append({"measure": "sharpness", "n": 0, "kendall": None, "status": "skipped", "reason": "no model has this number"})
    return Result(
        "rank",
        {"n_models": n_models, "summary": {}, "options": {"n_bootstrap": 1000}},
        rows,
        {"notes": ["Ties are counted half."]},
        {"scatter": scatter},
        REPRODUCIBILITY,
        TIMING,
    )


def assess_result(seed: int = 3) -> Result:
    rng = np.random.default_rng(seed)
    x = np.linspace(-0.1, 0.1, 41)
    rows = [
        {
            "measure": "margin",
            "layer": None,
            "value": 1.31,
            "low": 1.1,
            "high": 1.5,
            "status": "ok",
            "reason": None,
            "options": {"quantile": 0.1},
            "seed": 0,
        },
        {
            "measure": "sharpness_magnitude",
            "layer": None,
            "value": 0.00042,
            "low": None,
            "high": None,
            "status": "ok",
            "reason": None,
            "options": {},
            "seed": 0,
        },
        {
            "measure": "pac_bayes_bound",
            "layer": None,
            "value": None,
            "low": None,
            "high": None,
            "status": "skipped",
            "reason": "needs the initial weights: pass --initial.",
            "options": {},
            "seed": 0,
        },
        *(
            {
                "measure": "spectral_norm",
                "layer": f"net.{k}.weight",
                "value": float(rng.uniform(1, 4)),
                "low": None,
                "high": None,
                "status": "ok",
                "reason": None,
                "options": {},
                "seed": None,
            }
            for k in range(12)
        ),
    ]
    curves = {
        "margins": {"edges": np.linspace(-3, 9, 31), "density": np.exp(-((np.linspace(-3, 9, 30) - 3) ** 2) / 6), "xlabel": "margin"},
        "sharpness": {
            "x": x,
            "y": 0.1 + 40 * x**2,
            "low": 0.09 + 36 * x**2,
            "high": 0.11 + 44 * x**2,
            "xlabel": "step along the direction",
            "ylabel": "training loss",
        },
        "bicriteria": {"train": {"x": [1, 2, 3], "y": [1, 0.5, 0.2]}, "test": {"x": [1, 2, 3], "y": [1.1, 0.8, 0.6]}},
        "layer_norms": {"layers": [f"net.{k}.weight" for k in range(12)], "values": rng.uniform(1, 4, 12)},
    }
    head = {
        "model": "net.safetensors",
        "data": "digits",
        "summary": {"verdict": "The model separates its training data with a wide margin (1.31, 95% 1.10–1.50)."},
    }
    return Result("assess", head, rows, {"notes": []}, curves, REPRODUCIBILITY, TIMING)


def describe_result(n: int = 40) -> Result:
    rows = [
        {"name": f"transformer.h.{k}.attn.c_attn.weight", "shape": [768, 2304], "dtype": "F32" if k % 2 else "BF16", "n_bytes": 768 * 2304 * 4}
        for k in range(n)
    ]
    return Result("describe", {"source": "gpt2"}, rows, {}, {}, REPRODUCIBILITY, TIMING)


EVERY = {"analyze": analyze_result, "compare": compare_result, "rank": rank_result, "assess": assess_result, "describe": describe_result}
