"""A made-up result of ``landscape basin``: one estimator believed, one doubtful, one refused, one without a number."""

import numpy as np
from tests.report.sample_results import REPRODUCIBILITY, TIMING

from genscope.core.results import Result

N = 3488


def basin_result(seed: int = 5) -> Result:
    rng = np.random.default_rng(seed)
    logs = {"loss 0.1": rng.normal(0.16, 0.31, 400), "loss 0.5": rng.normal(0.65, 0.31, 400), "loss 1": rng.normal(0.93, 0.32, 400)}
    rows = [_row(float(name.split()[1]), values) for name, values in logs.items()]
    rows.append(
        {**dict.fromkeys(rows[0]), "criterion": "kl", "cutoff": 5.0, "n_never_crossed": 400, "status": "skipped", "reason": "no ray reaches kl 5"}
    )
    radius = np.geomspace(0.3, 5, 33)
    lines = [0.1 * (radius / np.exp(value)) ** 2.4 for value in logs["loss 0.1"][:48]]
    curves = {
        "histograms": {name: _histogram(values) for name, values in logs.items()},
        "profiles": {
            "radius": radius.tolist(), "lines": [line.tolist() for line in lines[:12]],
            "low": np.quantile(lines, 0.1, axis=0).tolist(),
            "median": np.median(lines, axis=0).tolist(),
            "high": np.quantile(lines, 0.9, axis=0).tolist(), "crossings": [1] * 46 + [3] * 2, "n_rays": 48,
        },
        "layers": {f"net.{k}": rng.normal(-0.5 + 0.3 * k, 0.3, 64).tolist() for k in range(7)},
    }  # fmt: skip
    layers = [
        {"layer": name, "mean_log_radius": float(np.mean(values)), "mean_log_radius_sem": 0.04,
         "geometric_mean_radius": float(np.exp(np.mean(values))),
         "n_directions": 64, "n_never_crossed": 0}
        for name, values in curves["layers"].items()
    ]  # fmt: skip
    verdict = (
        "In 3,488 dimensions (in units of the filters' norms) the loss 0.1 is reached at a geometric mean radius of 1.18 (mean ln r 0.165 ± 0.016)."
    )
    about = {"n_params": N, "mean_log_radius": 0.165, "mean_log_radius_sem": 0.016, "effective_radius": 1.44, "ess": 812.0}
    head = {
        "model": "MLP", "n_params": N, "n_params_total": 3646, "coordinates": "filter_normalized", "criterion": "loss", "cutoff": 0.1,
        "radii": np.exp(logs["loss 0.1"]).round(6).tolist(), "log_volume": -8000.0, "effective_radius": 1.44, "ess": 812.0, "estimator": "diagonal",
        "effective_radius_is": "the radius of the ball of the same volume", "n_directions": 400, "n_never_crossed": 0,
        "evaluation": {"bn_policy": "recalibrate"}, "options": {"directions": 400},
        "summary": {**about, "verdict": verdict},
    }  # fmt: skip
    tail = {"estimators": _estimators(), "layers": layers, "further_radii": {}, "notes": ["the model was in training mode"]}
    return Result("landscape basin", head, rows, tail, curves, REPRODUCIBILITY, TIMING)


def _row(cutoff: float, logs: np.ndarray) -> dict:
    q = np.exp(np.quantile(logs, (0.025, 0.25, 0.5, 0.75, 0.975)))
    return {
        "criterion": "loss", "cutoff": cutoff, "n_directions": len(logs), "mean_log_radius": float(logs.mean()), "mean_log_radius_sem": 0.016,
        "std_log_radius": float(logs.std()), "geometric_mean_radius": float(np.exp(logs.mean())), "radius_q025": q[0], "radius_q25": q[1],
        "radius_median": q[2], "radius_q75": q[3], "radius_q975": q[4], "n_never_crossed": 0, "n_not_star_shaped": 2, "status": "ok", "reason": "",
    }  # fmt: skip


def _histogram(logs: np.ndarray) -> dict:
    density, edges = np.histogram(logs, bins=40, density=True)
    return {"edges": edges.tolist(), "density": density.tolist()}


def _estimators() -> list[dict]:
    def row(name: str, status: str, reason: str, **numbers: float | None) -> dict:
        fields = ("log_volume", "log_volume_low", "log_volume_high", "effective_radius", "refused_log_volume", "refused_effective_radius", "ess")
        return {"estimator": name, "status": status, "reason": reason, "n_params": N, "n_rays": 400, **dict.fromkeys(fields), **numbers}

    weak = "the effective sample size is 1 of 400 rays and the longest ray carries 100% of the mean; below 30 the number is only a lower bound"
    believed = {"log_volume": -8000.0, "log_volume_low": -8150.0, "log_volume_high": -7800.0, "effective_radius": 1.44, "ess": 812.0}
    doubted = {"log_volume": -7700.0, "log_volume_low": -8100.0, "log_volume_high": -7500.0, "effective_radius": 1.57, "ess": 44.0}
    return [
        row("naive", "skipped", weak, refused_log_volume=-5600.0, refused_effective_radius=2.83, ess=1.0, largest_weight_share=1.0),
        row("diagonal", "ok", "", **believed, largest_weight_share=0.01),
        row("low_rank", "doubtful", "few rays carry the mean", **doubted, largest_weight_share=0.12),
        row("laplace", "skipped", "about 40% of the Hessian's eigenvalues are not positive, so its ellipsoid has no volume"),
    ]
