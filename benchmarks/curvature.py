"""Hessian of ResNet-20 on CIFAR-10: top eigenvalue and trace with genscope and with PyHessian, on the same data and weights in one run.

    python benchmarks/curvature.py --data cifar-10-batches-py --weights resnet20.th --peer PYTHON_WITH_PYHESSIAN

CPU seconds on one thread. Both tools see the same unfolded network in evaluation mode. Equal accuracy means: for the top eigenvalue a residual
‖Hv − λv‖ ≤ 1e-3 λ (PyHessian stops on the change of λ, so its tolerance is lowered until its vector meets that, and only that run is timed); for
the trace an equal standard error (PyHessian's per-probe spread says how many probes it needs; its time per probe is measured).
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

from trained import cifar, cpu_seconds, resnet20, told

RESIDUAL = 1e-3


def ours(data: Path, weights: Path, examples: int, seed: int) -> dict[str, float]:
    """One run of everything, from the module to the two numbers."""
    from dataclasses import replace

    import numpy as np
    import torch

    from genscope.measures.ingredients.hessian_operator import QuadraticForms, hessian_of
    from genscope.networks.functional import wrap_module
    from genscope.networks.trace import trace
    from genscope.numerics.lanczos import top_eigenvalue
    from genscope.numerics.trace import deflated_hutchinson

    x, y = cifar(data, examples)
    network = wrap_module(resnet20(weights))
    network = replace(network, graph=trace(network, x[:4]))
    params, rng = dict(network.params), np.random.default_rng(seed)
    batches = tuple(zip(x.contiguous(memory_format=torch.channels_last).split(64), y.split(64), strict=True))
    setup, operator = cpu_seconds(lambda: hessian_of(params, network.forward, "cross_entropy", batches), 1)
    eigen, found = cpu_seconds(lambda: top_eigenvalue(operator, operator.n, rng, tolerance=RESIDUAL, start=operator.gradient()), 1)
    image = operator(found.vector[:, None])[:, 0]
    forms = QuadraticForms(operator, network, params, "cross_entropy", batches)
    traced, estimate = cpu_seconds(lambda: deflated_hutchinson(forms, found.captured, found.basis, rng, max_probes=24, tolerance=0.02), 1)
    product, _ = cpu_seconds(lambda: operator(image[:, None]), 2)
    return {
        "value": found.value, "residual": float(np.linalg.norm(image - found.value * found.vector)) / found.value, "products": found.n_products,
        "eigen_seconds": setup[0] + eigen[0], "trace": estimate.value, "sem": estimate.sem, "probes": estimate.n_products,
        "trace_seconds": traced[0], "both_seconds": setup[0] + eigen[0] + traced[0], "product_seconds": min(product),
    }  # fmt: skip


def peer(data: Path, weights: Path, examples: int, seed: int, kind: str) -> dict[str, float]:
    """PyHessian 0.1 with one cached batch (``batch``, its fastest mode) or with a list of batches (``loader``)."""
    import numpy as np
    import torch
    from pyhessian import hessian
    from pyhessian.utils import group_product

    x, y = cifar(data, examples)
    model, loss = resnet20(weights), torch.nn.CrossEntropyLoss()
    given = {"data": (x, y)} if kind == "batch" else {"dataloader": list(zip(x.split(64), y.split(64), strict=True))}
    setup, held = cpu_seconds(lambda: hessian(model, loss, cuda=False, **given), 1)

    def product(vector: list[torch.Tensor]) -> list[torch.Tensor]:
        if kind == "loader":
            return list(held.dataloader_hv_product(vector)[1])
        return list(torch.autograd.grad(held.gradsH, held.params, grad_outputs=vector, retain_graph=True))

    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        torch.manual_seed(seed)
        eigen, (values, vectors) = cpu_seconds(lambda tolerance=tolerance: held.eigenvalues(tol=tolerance), 1)
        image = product(vectors[0])
        value = float(group_product(image, vectors[0]))
        residual = math.sqrt(float(sum((a - value * b).square().sum() for a, b in zip(image, vectors[0], strict=True)))) / abs(value)
        if residual <= RESIDUAL:
            break
    traced, probes = cpu_seconds(lambda: held.trace(maxIter=16, tol=0), 1)
    return {
        "value": values[0], "residual": residual, "tolerance": tolerance, "eigen_seconds": setup[0] + eigen[0],
        "trace": float(np.mean(probes)), "probe_std": float(np.std(probes, ddof=1)), "setup_seconds": setup[0],
        "probe_seconds": traced[0] / len(probes),
    }  # fmt: skip


def _called(python: str, arguments: list[str]) -> dict[str, float]:
    done = subprocess.run([python, "-W", "ignore", __file__, *arguments], capture_output=True, text=True, check=True, env=os.environ | PATHS)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


PATHS = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent / "src")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory cifar-10-batches-py")
    parser.add_argument("--weights", type=Path, required=True, help="the ResNet-20 checkpoint")
    parser.add_argument("--peer", default=sys.executable, help="a Python that has pyhessian")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=("ours", "batch", "loader"), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        found = ours(a.data, a.weights, a.examples, a.seed) if a.one == "ours" else peer(a.data, a.weights, a.examples, a.seed, a.one)
        print(json.dumps(found))
        return
    tools = {"ours": sys.executable, "batch": a.peer, "loader": a.peer}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in tools}
    for seed in range(a.runs):
        for name, python in tools.items():
            given = ["--data", str(a.data), "--weights", str(a.weights), "--examples", str(a.examples), "--one", name, "--seed", str(seed)]
            runs[name].append(_called(python, given))
    _tell(runs)


def _tell(runs: dict[str, list[dict[str, float]]]) -> None:
    mine = runs["ours"]
    print(f"load {os.getloadavg()[0]:.1f}; CPU seconds, min / median of {len(mine)} runs\n")
    print("| | genscope | PyHessian, one batch | ratio | PyHessian, batches | ratio |\n|---|---|---|---|---|---|")
    for name, row in (("top eigenvalue", "eigen_seconds"), ("trace, alone", "trace_seconds"), ("both", "both_seconds")):
        own = [run["both_seconds"] if row == "trace_seconds" else run[row] for run in mine]
        cells = []
        for kind in ("batch", "loader"):
            spent = [_peer_seconds(run, row, mine) for run in runs[kind]]
            cells += [told(spent), f"{min(spent) / min(own):.1f}"]
        print(f"| {name} | {told(own)} | {' | '.join(cells)} |")
    for name, held in runs.items():
        print(f"\n{name}: " + "; ".join(", ".join(f"{key} {value:.4g}" for key, value in run.items()) for run in held))


def _peer_seconds(run: dict[str, float], row: str, mine: list[dict[str, float]]) -> float:
    probes = max(1.0, (run["probe_std"] / max(part["sem"] for part in mine)) ** 2)
    traced = probes * run["probe_seconds"]
    return {"eigen_seconds": run["eigen_seconds"], "trace_seconds": run["setup_seconds"] + traced, "both_seconds": run["eigen_seconds"] + traced}[row]


if __name__ == "__main__":
    main()
