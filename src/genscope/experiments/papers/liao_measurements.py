"""What is measured of every network of Liao et al.: losses and errors as they are, after normalization, and the moments that explain both."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from genscope.experiments.papers.liao_data import Examples
from genscope.experiments.papers.liao_training import logits_of
from genscope.measures.first_order_law import mean_centred_margin
from genscope.networks.graph import Graph
from genscope.networks.normalize import Normalized, normalize_layers
from genscope.networks.path_norm import folded_graph
from genscope.networks.trace import trace

L1_UNIT = 100.0  # the paper divides each layer's L1 norm by 100 "to avoid numerical issues"


def measure_network(model: nn.Module, data: Examples) -> tuple[dict[str, float], Mapping[str, np.ndarray]]:
    """Numbers of one trained network, and its logits on both parts (float64).

    Returns:
        ``train_/test_`` with ``loss error margin spread`` (``margin`` is m = E[f_y − mean_c f_c], ``spread`` is v = E[var_c f]: the two
        moments of ``L(f/ρ) = ln C − m/ρ + v/(2ρ²) + O(ρ⁻³)``), ``…_normalized`` for the layer-normalized network and ``…_normalized_l1``
        for the L1 norm over 100, ``log_rho``, ``log_rho_l1`` (nats), quantiles of the normalized training margins,
        ``n_params``, ``identity_error`` (relative difference between f and ρ f̃), and two errata: the loss with the printed sign exp(−f) and the
        error when biases are not divided.
    """
    graph = trace(model, data.train_x[:2])
    layers = normalize_layers(graph)
    log_l1 = normalize_layers(graph, p=1.0)
    log_rho_l1 = log_l1.log_product - len(log_l1.log_norms) * math.log(L1_UNIT)
    numbers: dict[str, float] = {
        "n_params": float(sum(parameter.numel() for parameter in model.parameters())),
        "log_rho": layers.log_product,
        "log_rho_l1": log_rho_l1,
        "identity_error": layers.error if isinstance(layers.error, float) else -1.0,
    }
    logits = {}
    for part, x, y in (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y)):
        found = logits_of(model, x).double().cpu().numpy()
        labels = y.cpu().numpy()
        logits[part] = found
        numbers |= {
            f"{part}_loss": cross_entropy(found, labels),
            f"{part}_error": float(np.mean(found.argmax(1) != labels)),
            f"{part}_margin": mean_centred_margin(found, labels),
            f"{part}_spread": float(found.var(axis=1).mean()),
            f"{part}_loss_normalized": cross_entropy(found * math.exp(-layers.log_product), labels),
            f"{part}_loss_normalized_l1": cross_entropy(found * math.exp(-log_rho_l1), labels),
            f"{part}_loss_printed_sign": cross_entropy(-found, labels),
        }
    numbers["test_error_biases_left"] = error_with_biases_left(graph, layers, data)
    margins = runner_up_margins(logits["train"], data.train_y.cpu().numpy()) * math.exp(-layers.log_product)
    numbers |= {f"normalized_margin_{name}": float(np.quantile(margins, q)) for name, q in (("05", 0.05), ("25", 0.25), ("50", 0.5))}
    return numbers, logits


@torch.no_grad()
def error_with_biases_left(graph: Graph, layers: Normalized, data: Examples) -> float:
    """Test error when weights are divided by their norms but biases of later layers (those of folded batch normalizations) stay as they are.

    Then the normalized network is another function: ``f = ρ f̃`` needs each bias divided by the product of the norms up to its layer.
    """
    plain = folded_graph(graph)
    first = next(iter(plain.params), "").rsplit(".", 1)[0]
    mixed = {
        name: plain.params[name].double() if tensor.ndim < 2 and not name.startswith(first) else tensor
        for name, tensor in layers.network.params.items()
    }
    network = replace(plain, params=mixed).network()
    wrong = [(network(x.double()).argmax(1) != y) for x, y in zip(data.test_x.split(2000), data.test_y.split(2000), strict=True)]
    return float(torch.cat(wrong).double().mean())


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats, in float64."""
    return float(torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))


def runner_up_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``f_y − max_{j≠y} f_j`` per example.

    Example:
        >>> runner_up_margins(np.array([[3.0, 1.0], [0.0, 2.0]]), np.array([0, 0])).tolist()
        [2.0, -2.0]
    """
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)
