# ruff: noqa: E501
"""Made-up results of the verbs on models and measures; ``EVERY`` has one maker per verb."""

import numpy as np
from tests.report.sample_basin import basin_result
from tests.report.sample_results import REPRODUCIBILITY, TIMING, analyze_result, ccdf, eigenvalues
from tests.report.sample_runs import watch_result

from genscope.core.grids import pack_grid
from genscope.core.results import Result


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


def approximate_result(seed: int = 4) -> Result:
    rng = np.random.default_rng(seed)
    rows, exponents, optimization, lines = [], [], [], []
    slopes = {"tree": 0.5, "tree_shared": 0.7, "tree_built": 0.9, "shallow": 0.3, "deep": 0.4}
    for n in (2, 4):
        for name, slope in slopes.items():
            for width in (2, 4, 8):
                units = width if name == "shallow" else (n - 1) * width
                error = 0.9 * (units / n) ** -slope * float(np.exp(rng.normal(0, 0.05)))
                rows.append({"architecture": name, "variables": n, "width": width, "matched_to": width, "n_units": units, "n_parameters": 4 * units + 1,
                             "n_seeds": 5, "error": error, "error_low": error / 1.2, "error_high": error * 1.2, "largest_error": 2 * error, "status": "ok",
                             "reason": None, "errors": [error] * 5})  # fmt: skip
            theorem = None if name == "deep" else 2 / n if name == "shallow" else 1.0
            exponents.append({"architecture": name, "variables": n, "exponent": slope, "low": slope - 0.1, "high": slope + 0.1, "bootstrap_low": slope - 0.06,
                              "bootstrap_high": slope + 0.06, "theorem": theorem, "exponent_parameters": slope, "n_widths": 4, "status": "ok", "reason": None})  # fmt: skip
            optimization.append({"architecture": name, "variables": n, "excess": 1.4 if name == "tree" else None, "excess_low": 1.1, "excess_high": 1.7,
                                 "n_inversions": 2, "n_steps": 15})  # fmt: skip
            ends = [rows[-3]["n_units"], rows[-1]["n_units"]]
            lines.append({"architecture": name, "variables": n, "x": ends, "y": [0.9 * (end / n) ** -slope for end in ends]})
    guides = [{"variables": n, "label": "−1", "style": "--", "x": [2.0 * n, 16.0 * n], "y": [1.2, 0.15]} for n in (2, 4)]
    counts = [
        {"variables": n, "degree": k, "shallow": 15 * n * k, "tree": 18 * n, "shallow_printed": n**k, "tree_printed": n * k * k, "composed_degree": k**2,
         "shallow_composed": 70 * n**k, "tree_dimension": 14 * n, "monomial_rank": 15 * n * k, "tree_rank": None}
        for n in (2, 4) for k in (2, 3, 4)
    ]  # fmt: skip
    square = [{"depth": depth, "n_units": 4 * depth, "error": 4.0**-depth / 4, "exact_error": 4.0**-depth / 4} for depth in range(1, 6)]
    summary = {"verdict": "At n = 8 the error falls faster with units in trees.", "verdict_details": ["Errors are upper bounds."], "tree_exponent": 0.7,
               "shallow_exponent": 0.3, "exponent_difference": 0.4, "largest_excess": 1.4, "n_networks": 300}  # fmt: skip
    head = {"source": "functions on binary trees", "options": {"seeds": 5}, "summary": summary}
    tail = {"exponents": exponents, "optimization": optimization, "unit_counts": counts, "square": square, "notes": ["Targets share constituents."]}
    return Result("approximate", head, rows, tail, {"lines": lines, "guides": guides}, REPRODUCIBILITY, TIMING)


def describe_result(n: int = 40) -> Result:
    rows = [
        {"name": f"transformer.h.{k}.attn.c_attn.weight", "shape": [768, 2304], "dtype": "F32" if k % 2 else "BF16", "n_bytes": 768 * 2304 * 4}
        for k in range(n)
    ]
    return Result("describe", {"source": "gpt2"}, rows, {}, {}, REPRODUCIBILITY, TIMING)


def reproduce_result() -> Result:
    check = {"low": None, "high": None, "null": None, "null_passed": None, "paper": None, "decides": True, "note": ""}
    rows = [
        {**check, "statistic": "slope of test against training loss", "expected": "in [0.8, 1.1]", "observed": 0.98, "low": 0.93, "high": 1.02,
         "null": 0.92, "null_passed": True, "paper": 1.0089, "passed": True, "note": "control: the same logits over an unrelated scale"},
        {**check, "statistic": "Spearman of normalized loss and error", "expected": "> 0.8", "observed": 0.75, "low": 0.4, "high": 0.9, "passed": None},
        {**check, "statistic": "R²", "expected": "> 0.95", "observed": 0.5, "low": 0.4, "high": 0.6, "passed": False},
        {**check, "statistic": "epochs", "expected": "< 100", "observed": 70.0, "passed": None, "decides": False},
    ]  # fmt: skip
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="40" height="20" fill="{}"/></svg>'
    head = {
        "id": "S1-F2b",
        "claim": "After normalization test loss is a linear function of training loss with slope one.",
        "source": "Liao et al., Figure 2b",
        "size": "small",
        "verdict": "FAILS",
        "title": "Normalized losses",
        "summary": {"verdict": "Normalized losses: FAILS"},
    }
    tail = {
        "n_runs": 24,
        "n_missing": 0,
        "runs_needed": None,
        "meaning": "One paragraph that says what was seen and what follows from it.",
        "departures": ["Digits stand in for CIFAR-10."],
        "errata": ["The sign in Equation 9 is wrong: exp(+f)."],
        "paper_figure": "A scatter of test against training cross-entropy with a fitted line.",
        "caption": "24 networks; each point is one network.",
        "command": "genscope reproduce S1-F2b --size small",
        "notes": ["One cell was damaged and is computed again."],
    }
    figure = {"kind": "svg", "light": svg.format("white"), "dark": svg.format("black")}
    return Result("reproduce", head, rows, tail, {"figure": figure}, REPRODUCIBILITY, TIMING)


def boundary_result() -> Result:
    side = np.linspace(-2, 2, 40)
    across, up = np.meshgrid(side, side)
    angle, radius = np.linspace(0, 6.2, 30), np.where(np.arange(30) % 2, 0.6, 1.6)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    rows = [
        {"example": k, "label": int(k % 2), "predicted": int(k % 2), "correct": k != 3, "distance": abs(float(radius[k]) - 1.1), "lower_bound": 0.1,
         "exact": k % 3 == 0, "x": float(x[k]), "y": float(y[k]), "off_plane": 0.0, "status": "ok", "reason": ""}
        for k in range(30)
    ]  # fmt: skip
    rows.append(
        {**rows[0], "example": 30, "distance": None, "status": "skipped", "reason": "no other class was found as far as the farthest example"}
    )
    frames = np.stack([(np.hypot(across + 0.1 * t, up) < 1.1).astype(int) for t in range(4)])
    window = {"x": [-2.0, 2.0], "y": [-2.0, 2.0]}
    curves = {
        "map": {**window, "classes": pack_grid(frames[0]), "lead": pack_grid(np.abs(np.hypot(across, up) - 1.1))},
        "examples": {"x": x, "y": y, "off_plane": 0 * x, "label": np.arange(30) % 2},
        "reference": pack_grid(frames[0]),
        "animation": {**window, "steps": [0.0, 0.1, 0.0, -0.1], "classes": pack_grid(frames)},
    }
    head = {
        "model": "MLP",
        "plane": {"through": None, "window": {"left": -2.0, "right": 2.0, "bottom": -2.0, "top": 2.0}},
        "margins": {"min": 0.4, "q05": 0.4, "median": 0.5, "n": 29, "n_exact": 10},
        "wrong_class_area": {"value": 0.12, "reference": "class of the nearest training or test example"},
        "animation": {"amplitude": 0.1, "frames": 4, "bn_policy": "none", "direction": {"normalization": "filter", "seed": 0}},
        "summary": {
            "margin_min": 0.4,
            "margin_q05": 0.4,
            "margin_median": 0.5,
            "wrong_class_area": 0.12,
            "verdict": "29 of 30 measured examples are right.",
        },
    }
    return Result("landscape boundary", head, rows, {"notes": ["One note."]}, curves, REPRODUCIBILITY, TIMING)


def trajectory_result() -> Result:
    t = np.linspace(0, 1, 12)
    rows = [
        {"run": run, "checkpoint": f"epoch{k}.pt", "pc1": float(np.cos(3 * v) + shift), "pc2": float(np.sin(3 * v)), "tsne1": float(10 * v), "tsne2": float(shift),
         "distance": 1.5, "off_plane": float(0.3 + 0.5 * v), "step_length": 0.2, "status": "ok", "reason": ""}
        for run, shift in (("good", 0.0), ("bad minima", 0.8))
        for k, v in enumerate(t)
    ]  # fmt: skip
    curves = {"explained": [0.7, 0.2, 0.05], "walk": {"coordinates": [[float(v), float(v * v)] for v in t], "explained": [[0.6, 0.2], [0.62, 0.18]]}}
    head = {
        "source": "good",
        "n_params": 2051,
        "options": {"embedding": "both", "perplexity": 7.67, "seed": 0},
        "runs": [{"run": "good", "n_checkpoints": 12}, {"run": "bad minima", "n_checkpoints": 12, "path": False}],
        "random_walk": {"explained": 0.9, "walk_low": 0.75, "walk_high": 0.8, "walks": 200},
        "summary": {"n_checkpoints": 24, "explained": 0.9, "off_plane": 0.4, "verdict": "24 checkpoints: the plane holds 90% of the variance."},
    }
    return Result("landscape trajectory", head, rows, {"notes": []}, curves, REPRODUCIBILITY, TIMING)


def flow_result(n: int = 60) -> Result:
    tau = list(np.linspace(0, 40, n))
    margin = [0.38 * (1 - 1.5 * np.exp(-t / 2)) for t in tau]
    rows = [
        {
            "lemma": "equal growth",
            "source": "Poggio, Banburski & Liao 2020, lemma 1",
            "statement": "dρ_k²/dt is the same for each layer",
            "residual": 2e-15,
            "tolerance": 1e-10,
            "verdict": "HOLDS",
            "corrected": "",
            "corrected_verdict": "",
            "status": "ok",
            "reason": "",
        },
        {
            "lemma": "maximum of the margin",
            "source": "Poggio, Banburski & Liao 2020, theorem 4, item 2",
            "statement": "the limit is a maximum of the margin",
            "residual": 0.036,
            "tolerance": 0.005,
            "verdict": "FAILS",
            "corrected": "the limit is a KKT point (Lyu & Li 2020)",
            "corrected_verdict": "HOLDS",
            "status": "ok",
            "reason": "best margin 0.239, at the limit 0.231",
        },
        {
            "lemma": "support vector machine",
            "source": "Soudry et al. 2018",
            "statement": "a linear network turns to the hard margin",
            "residual": None,
            "tolerance": None,
            "verdict": "NOT TESTED",
            "corrected": "",
            "corrected_verdict": "",
            "status": "skipped",
            "reason": "the network is not linear",
        },
    ]
    grid = np.linspace(-1, 1, 12)
    frames = [
        {"tau": t, "log10_loss": -t / 2.3, "margin": 0.3, "support": k, "values": [int(100 * (x + y * t / 40)) for y in grid for x in grid]}
        for k, t in enumerate((0.0, 10.0, 40.0))
    ]
    none = [None] * n
    curves = {
        "trace": {"tau": tau, "log10_loss": [-t / 2.3 for t in tau], "margin": margin, "smoothed": [None, *margin[1:]], "angle": none,
                  "epsilon": [0.3 / (1 + t) for t in tau], "delta": [0.2 / (1 + t) for t in tau], "best_epsilon": none, "turning": none},
        "norms": {"layers": ["W1", "W2"], "values": [[(1 + t) ** 0.5 for t in tau], [(2 + t) ** 0.5 for t in tau]]},
        "residuals": {"tau": tau, "euler": [1e-16] * n, "drift_layers": [1e-12 * (1 + t) for t in tau]},
        "gaps": {"tau": tau, "examples": [0, 3], "values": [margin, [m + 0.1 for m in margin]]},
        "law": {"tau": tau[5:], "gap": tau[5:], "law": [t + 2 for t in tau[5:]]},
        "max_margin": 0.39,
        "n_examples": 4,
        "descent": [{"step": 0.1, "batch": None, "tau": [0.1, 1.0, 3.0], "gap": [0.01, 0.02, 0.02], "turn": [0.0, 0.0, 0.0], "log10_loss": [0.0, -0.2, -1.0]}],
        "framed": {"tau": [1.0, 20.0, 39.0], "log10_loss": [-0.4, -8.0, -17.0], "log10_step": [0.0, 8.0, 17.0]},
        "boundary": {"points": [[0.5, 0.1], [-0.4, 0.3], [0.6, -0.5], [-0.7, 0.0]], "labels": [1, -1, 1, -1], "reach": 1.0, "cells": 12, "levels": 200,
                     "binary": True, "frames": frames},
    }  # fmt: skip
    change = {"tau": 5.6, "example": 0, "before": 1, "margin": 0.22, "speed_before": 0.002, "speed_after": 0.001}
    summary = {
        "log_time": 40.0,
        "log10_loss": -17.4,
        "margin": 0.38,
        "n_holds": 1,
        "n_fails": 1,
        "verdict": "1 statement holds as printed, 1 does not.",
    }
    head = {"source": "stuck", "story": "", "options": {"system": "C"}, "summary": summary}
    return Result("flow", head, rows, {"support_changes": [change], "notes": ["one note"]}, curves, REPRODUCIBILITY, TIMING)


def landscape_result(kind: str = "plane", n: int = 15) -> Result:
    axis = np.linspace(-1, 1, n)
    direction = {
        "label": "random 1",
        "kind": "gaussian",
        "normalization": "filter",
        "one_dimensional": "zero",
        "n_perturbed": 3200,
        "seed": 0,
        "length": 4.2,
    }
    evaluation = {
        "bn_policy": "recalibrate",
        "bn_examples": 512,
        "backend": "loop",
        "micro_batch": 64,
        "n_examples": 1437,
        "dtype": "float32",
        "device": "cpu",
    }
    head = {"model": "ResNet20", "data": {"n_examples": 1437, "n_classes": 10, "loss": "cross_entropy"}, "n_params": 3360, "evaluation": evaluation,
            "centre": {"loss": 0.01, "error": 0.0, "margin": 4.0}, "directions": [direction, {**direction, "label": "random 2"}]}  # fmt: skip
    summary = {"loss": 0.01, "n_points": n * n, "n_failed": 1, "verdict": "On the plane of random 1 and random 2 the loss runs from 0.01 to 8.6."}
    tail = {"notes": ["the loss reached 1.01 on only 70% of the rays; the half-width is set to 1"]}

    def row(place: dict, loss: float | None) -> dict:
        status = "failed" if loss is None else "ok"
        return {**place, "loss": loss, "error": 0.1, "margin": -1.5, "status": status, "reason": "the loss is NaN here" if loss is None else ""}

    if kind == "plane":
        loss = 0.01 + 3 * axis[:, None] ** 2 + 5 * axis[None, :] ** 2 + axis[:, None] * axis[None, :]
        loss[0, 0] = np.nan
        grids = {"loss": loss, "error": np.minimum(loss / 9, 0.9), "margin": 4 - loss}
        curves = {
            "x": axis.tolist(),
            "y": axis.tolist(),
            **{name: [[None if v != v else v for v in line] for line in grid.tolist()] for name, grid in grids.items()},
        }
        rows = [row({"x": x, "y": y}, None if loss[i, j] != loss[i, j] else loss[i, j]) for i, x in enumerate(axis) for j, y in enumerate(axis)]
        head |= {"marks": [{"label": "trained", "x": 0.0, "y": 0.0, "off_plane": 0.0}, {"label": "model 2", "x": 0.7, "y": -0.2, "off_plane": 0.4}]}
    elif kind == "slice":
        lines = [(0.01 + (k + 1) * axis**2).tolist() for k in range(3)]
        curves = {"t": axis.tolist(), "loss": lines, "error": [[min(v / 9, 0.9) for v in line] for line in lines], "margin": lines}
        rows = [row({"direction": k, "t": t}, v) for k, line in enumerate(lines) for t, v in zip(axis, line, strict=True)]
    else:
        t = np.linspace(0, 1, n)
        loss = 0.1 + t * (1 - t)
        curves = {"t": t.tolist(), "arc": (3 * t).tolist(), "loss": loss.tolist(), "error": (loss / 4).tolist(), "margin": (-loss).tolist()}
        rows = [row({"t": a, "arc": 3 * a}, v) for a, v in zip(t, loss, strict=True)]
        head |= {"curve": "bezier", "path_length": 3.0, "barrier": 0.25}
    return Result(f"landscape {kind}", {**head, "summary": summary}, rows, tail, curves, REPRODUCIBILITY, TIMING)


EVERY = {
    "analyze": analyze_result,
    "compare": compare_result,
    "rank": rank_result,
    "assess": assess_result,
    "landscape basin": basin_result,
    "describe": describe_result,
    "reproduce": reproduce_result,
    "landscape boundary": boundary_result,
    "landscape trajectory": trajectory_result,
    "approximate": approximate_result,
    "flow": flow_result,
    "watch": watch_result,
    "landscape slice": lambda: landscape_result("slice"),
    "landscape plane": landscape_result,
    "landscape path": lambda: landscape_result("path"),
}
