"""One run of the series of Liao et al.: train as the cell says, measure at the end and at the snapshot closest to the reference loss."""

import math

import numpy as np
import torch

from genscope.experiments.context import Context
from genscope.experiments.papers.liao_data import Examples, load_examples
from genscope.experiments.papers.liao_measurements import measure_network
from genscope.experiments.papers.liao_networks import build_network
from genscope.experiments.papers.liao_protocols import Schedule
from genscope.experiments.papers.liao_training import ClosestSnapshot, initialize_normal, logits_of, train_epochs
from genscope.experiments.values import Cell, Outcome
from genscope.training.threads import one_thread


@one_thread()
def train_and_measure(cell: Cell, context: Context) -> Outcome:
    """Train the network of a cell and measure it at the end and at the snapshot closest to the reference loss.

    Numbers are those of :func:`measure_network`, plain for the final network and with the prefix ``matched_`` for the snapshot; ``epochs``, the
    test error before training (``untrained_error``), mean and standard deviation of the largest output (``top_mean top_sd`` and the same with
    ``_normalized``). The array ``top_counts`` is its histogram between ``top_edges``.
    """
    settings = cell.settings
    data = load_examples(context.dataset(settings["data"]), settings)
    if settings.get("random_labels"):
        data = data.with_random_labels(settings["seed"])
    data = data.to(context.device)
    generator = context.generator("liao", cell.name, settings["seed"])
    model = build_network(settings, data.train_x.shape[1], data.n_classes)
    model = initialize_normal(model, settings.get("std"), generator).to(context.device)
    untrained = float((logits_of(model, data.test_x).argmax(1) != data.test_y).double().mean())
    schedule = Schedule(**{**settings["schedule"], "drops": tuple(settings["schedule"]["drops"])})
    if settings.get("pretrain_epochs"):
        labels = data.corrupted(settings["corruption"], settings["seed"]).to(context.device)
        before = Schedule(settings["pretrain_epochs"], schedule.learning_rate, schedule.momentum, schedule.batch_size)
        for _ in train_epochs(model, data.train_x, labels, before, generator):
            pass
    closest = ClosestSnapshot(settings["reference_loss"])
    epochs = 0
    for epochs, met in train_epochs(model, data.train_x, data.train_y, schedule, generator):  # noqa: B007 (the last epoch is reported)
        closest.offer(model, data.train_x, data.train_y, met)
    numbers, arrays = _measured(model, data)
    numbers |= {"epochs": float(epochs), "untrained_error": untrained}
    if closest.weights is not None:
        model.load_state_dict(closest.weights)
        matched, _ = _measured(model, data)
        numbers |= {f"matched_{name}": value for name, value in matched.items()}
    return Outcome(numbers, arrays)


@torch.no_grad()
def _measured(model: torch.nn.Module, data: Examples) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    numbers, logits = measure_network(model.eval(), data)
    top = logits["train"].max(axis=1)
    scale = math.exp(-numbers["log_rho"])
    numbers |= {"top_mean": float(top.mean()), "top_sd": float(top.std())}
    numbers |= {"top_mean_normalized": float(top.mean() * scale), "top_sd_normalized": float(top.std() * scale)}
    counts, edges = np.histogram(top, bins=60)
    return numbers, {"top_counts": counts.astype(np.int32), "top_edges": edges}
