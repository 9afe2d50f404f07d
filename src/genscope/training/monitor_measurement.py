"""One measurement of a model in training: what a record says at one step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.text import display_name
from genscope.errors import GenscopeError
from genscope.training.monitor_budget import Account
from genscope.training.monitor_layers import Spectra, alignments, log_norms
from genscope.training.monitor_options import WatchOptions
from genscope.training.monitor_outputs import Examples, examples_of, gathered, joined, ranks, statistics_of
from genscope.training.monitor_scale import Scale, plain_module

TOLERATED = (GenscopeError, RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)
Batch = tuple[float | None, Tensor | None, Tensor | None, int]  # loss, logits, targets, examples


class Measurement:
    """Norms, normalization and spectra of one model, step after step.

    Args:
        model: the module that trains.
        options: what is measured.
        account: what it may cost.
        optimizer: for the learning rate.
    """

    def __init__(self, model: nn.Module, options: WatchOptions, account: Account, optimizer: Any) -> None:
        self.model, self.options, self.optimizer = plain_module(model), options, optimizer
        self.scale = Scale(self.model, options.normalization)
        self.spectra = Spectra(self.model, options.layers_every, account)
        self.before: tuple[int, dict[str, float]] | None = None
        self._failed: str | None = None

    def learn(self, example: Any) -> str | None:
        """Choose the normalization from one batch of inputs; the sentence says which, or why there is none."""
        try:
            self.scale.learn(example)
        except TOLERATED as error:
            self._failed = f"no normalization: {display_name(' '.join(str(error).split()), 300)}"
            return self._failed
        return self.scale.sentence

    def log_norms(self) -> dict[str, float]:
        """``ln ρ_k`` by layer."""
        return log_norms(dict(self.model.named_parameters()), self.scale.groups())

    def log_scale(self, norms: Mapping[str, float]) -> float | None:
        """``ln`` of what the logits are divided by, ``None`` where it cannot be had."""
        try:
            return self.scale.log_rho(norms)
        except TOLERATED as error:
            self._failed = f"no normalization: {display_name(' '.join(str(error).split()), 300)}"
            return None

    def why_unscaled(self) -> str:
        """Why :meth:`log_scale` gives nothing."""
        return self._failed or ("the output norm is zero or not finite" if self.scale.ready else self.scale.sentence)

    def of_step(self, record: dict[str, Any], batches: Sequence[Batch], learning_rate: float | None, stride: int) -> int:
        """Fill ``record`` with what can be said after an optimizer step; returns the first process's ``stride``."""
        step = record["step"]
        norms = self.log_norms()
        log_scale = self.log_scale(norms)
        parts = [
            examples_of(logits, targets, self.options.loss, log_scale, self.options.max_examples)
            for _, logits, targets, _ in batches
            if logits is not None and targets is not None
        ]
        losses = [(loss, n) for loss, _, _, n in batches if loss is not None]
        every = gathered((joined(parts), losses, stride))
        examples, pairs = joined([one for one, *_ in every if one is not None]), [pair for _, some, _ in every for pair in some]
        mean = sum(loss * n for loss, n in pairs) / sum(n for _, n in pairs) if pairs else None
        record["train"], reasons = statistics_of(examples, mean)
        record["reasons"] |= {f"train {name}": reason for name, reason in reasons.items()}
        if examples is not None and examples.scale is None:
            record["reasons"]["train normalized_loss"] = self.why_unscaled()
        self.put_norms(record, norms, log_scale)
        self._put_growth(record, norms, step)
        self._put_descent(record, norms, learning_rate)
        if ranks()[0] == 0:
            found, undefined = self.spectra.look(step)
            for layer, values in found.items():
                record["layers"].setdefault(layer, {}).update(values)
            record["reasons"] |= undefined
        return every[0][2]

    def put_norms(self, record: dict[str, Any], norms: Mapping[str, float], log_scale: float | None) -> None:
        """Norms of the layers and of the whole."""
        values = record["values"]
        zero = [layer for layer, log in norms.items() if not math.isfinite(log)]
        if zero:
            record["reasons"]["log_rho"] = f"{display_name(zero[0])}: all weights are zero or not finite"
        elif norms:
            values["log_rho"] = math.fsum(norms.values())
        if log_scale is not None and math.isfinite(log_scale):
            values["log_scale"] = log_scale
        for layer, log in norms.items():
            record["layers"].setdefault(layer, {})["rho"] = math.exp(log) if math.isfinite(log) and log < 700 else 0.0 if log == -math.inf else None

    def _put_growth(self, record: dict[str, Any], norms: Mapping[str, float], step: int) -> None:
        """``Δ ln ρ_k`` per step since the last measurement."""
        if self.before is not None and step > self.before[0]:
            since, held = self.before
            rates = {layer: (log - held[layer]) / (step - since) for layer, log in norms.items() if math.isfinite(log - held.get(layer, math.nan))}
            for layer, rate in rates.items():
                record["layers"][layer]["rho_growth"] = rate
            if rates:
                record["values"]["rho_growth"] = math.fsum(rates.values())
        self.before = (step, dict(norms))

    def _put_descent(self, record: dict[str, Any], norms: Mapping[str, float], learning_rate: float | None) -> None:
        """Gradient norm, its alignment with the weights, learning rate and effective learning rate ``η/ρ_k²``."""
        params = dict(self.model.named_parameters())
        cosines, total, gradient_norm = alignments(params, self.scale.groups())
        values = record["values"]
        if gradient_norm is None:
            record["reasons"]["gradient_norm"] = "there are no gradients; call step() after backward() and before zero_grad()"
        elif not math.isfinite(gradient_norm):
            record["reasons"]["gradient_norm"] = "the gradient is not finite"
        else:
            values["gradient_norm"] = gradient_norm
        if total is not None:
            values["alignment"] = total
        for layer, cosine in cosines.items():
            record["layers"][layer]["alignment"] = cosine
        rate = learning_rate if learning_rate is not None else learning_rate_of(self.optimizer)
        if rate is None:
            record["reasons"]["learning_rate"] = "no optimizer and no learning rate were given"
            return
        values["learning_rate"] = rate
        finite = {layer: log for layer, log in norms.items() if math.isfinite(log)}
        for layer, log in finite.items():
            record["layers"][layer]["effective_learning_rate"] = rate * math.exp(min(-2.0 * log, 700.0))
        if finite:
            largest = max(finite.values())
            square = math.fsum(math.exp(2.0 * (log - largest)) for log in finite.values())
            values["effective_learning_rate"] = rate * math.exp(min(-2.0 * largest, 700.0)) / square


def learning_rate_of(optimizer: Any) -> float | None:
    """The learning rate of the first parameter group."""
    groups = getattr(optimizer, "param_groups", None)
    rate = groups[0].get("lr") if groups else None
    if isinstance(rate, Tensor):
        rate = rate.item()
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) else None


def batch_of(loss: Any, logits: Any, targets: Any, limit: int) -> Batch:
    """One batch, cut to what is needed, on storage of its own: training goes on while it is kept."""
    value = None if loss is None else float(loss.detach() if isinstance(loss, Tensor) else loss)
    n = len(targets) if isinstance(targets, Tensor) and targets.ndim else 1
    if not isinstance(logits, Tensor) or not isinstance(targets, Tensor):
        return value, None, None, n
    with torch.no_grad():
        return value, logits.detach()[:limit].clone(), targets.detach()[:limit].clone(), n


def merged(parts: Sequence[Examples]) -> Examples | None:
    """The examples of all processes; every process has to call it."""
    return joined([one for one in gathered(joined(parts)) if one is not None])
