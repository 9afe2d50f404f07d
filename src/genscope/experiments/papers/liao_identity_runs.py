"""The networks behind the exact checks of Liao et al.: trained on digits, then normalized, scaled and folded."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from genscope.experiments.context import Context
from genscope.experiments.papers.liao_data import Examples, load_examples
from genscope.experiments.papers.liao_measurements import cross_entropy, error_with_biases_left, runner_up_margins
from genscope.experiments.papers.liao_networks import build_network
from genscope.experiments.papers.liao_protocols import Schedule
from genscope.experiments.papers.liao_training import initialize_normal, logits_of, train_epochs
from genscope.experiments.values import Cell, Outcome
from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.graph import Graph
from genscope.networks.normalize import normalize_layers
from genscope.networks.trace import trace
from genscope.training.threads import one_thread


@one_thread()
def measure_identities(cell: Cell, context: Context, norms: Sequence[float], rhos: np.ndarray) -> Outcome:
    """One network trained on digits: its exact normalizations, its loss against ρ, and its folded batch normalizations."""
    data = load_examples(context.dataset("digits"), cell.settings)
    generator = context.generator("liao identities", cell.name)
    model = initialize_normal(build_network(cell.settings, 1, data.n_classes), None, generator)
    schedule = Schedule(**{**cell.settings["schedule"], "drops": ()})
    for _ in train_epochs(model, data.train_x, data.train_y, schedule, generator):
        pass
    model.eval()
    with torch.no_grad():
        numbers: dict[str, float] = {}
        graph = trace(model, data.train_x[:2])
        exact = graph.to(torch.float64).network()(data.test_x.double())
        for p in norms:
            layers = normalize_layers(graph, p)
            scaled = layers.network(data.test_x.double()) * math.exp(layers.log_product)
            numbers[f"identity_error_{p:g}"] = _relative(scaled, exact)
            numbers[f"argmax_changed_{p:g}"] = float((scaled.argmax(1) != exact.argmax(1)).double().mean())
        numbers |= _tanh_control(data.test_x, generator)
        logits = logits_of(model, data.train_x).double().numpy()
        labels = data.train_y.numpy()
        separated = runner_up_margins(logits, labels) > 0
        unit = logits / float(np.abs(logits).max())
        curve = np.array([cross_entropy(rho * unit[separated], labels[separated]) for rho in rhos])
        wrong = labels[separated].copy()
        wrong[0] = (wrong[0] + 1) % data.n_classes  # one example on the wrong side: the control
        control = np.array([cross_entropy(rho * unit[separated], wrong) for rho in rhos])
        numbers["largest_rise"] = float(np.diff(curve).max())
        numbers["largest_rise_control"] = float(np.diff(control).max())
        numbers |= _folding(model, graph, data)
    return Outcome(numbers, {"loss": curve, "loss_control": control})


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def _tanh_control(x: torch.Tensor, generator: torch.Generator) -> dict[str, float]:
    """A network that is not positively homogeneous: dividing its layers by their norms does not divide its output by their product."""
    model = initialize_normal(nn.Sequential(nn.Flatten(), nn.Linear(64, 20, bias=False), nn.Tanh(), nn.Linear(20, 10, bias=False)), 0.3, generator)
    before = model.double()(x.double())
    product = 1.0
    for parameter in model.parameters():
        norm = float(parameter.norm())
        product *= norm
        parameter.div_(norm)
    after = model(x.double()) * product
    return {"identity_error_tanh": _relative(after, before), "argmax_changed_tanh": float((after.argmax(1) != before.argmax(1)).double().mean())}


def _folding(model: nn.Module, graph: Graph, data: Examples) -> dict[str, float]:
    """Folded against unfolded function in float32, and three controls; empty for networks without batch normalization."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return {}
    folded = fold_batch_norm(graph, data.test_x[:100])
    before = logits_of(model, data.test_x)
    found = {"folding_error": _relative(folded.network(data.test_x), before)}
    right = float((before.argmax(1) != data.test_y).double().mean())
    found |= {"error_folded": right, "error_biases_left": error_with_biases_left(graph, normalize_layers(graph), data)}
    for module in norms:  # the control: forget the running means
        assert module.running_mean is not None
        module.running_mean.zero_()
    found["folding_error_control"] = _relative(logits_of(model, data.test_x), before)
    return found
