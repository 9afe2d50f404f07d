"""What batch normalization does at perturbed weights: an explicit choice, because it can change a loss surface tenfold."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import UnsupportedInput, UsageError
from genscope.networks.functional import Network, Params, call_module

POLICIES = ("recalibrate", "frozen", "batch")
CALIBRATION = 512
Call = Callable[[Params, Mapping[str, Tensor], Any], Tensor]


def has_batch_norm(network: Network) -> bool:
    """Whether any layer keeps running statistics of its batches."""
    return network.module is not None and any(_keeps_statistics(part) for part in network.module.modules())


def check_policy(network: Network, policy: str) -> str:
    """The policy that holds for this network: ``none`` where there is no batch normalization.

    Args:
        network: the network.
        policy: ``recalibrate`` takes mean and variance of each layer's inputs anew at every point, from the first :data:`CALIBRATION` examples in
            one pass, and evaluates with these; ``frozen`` keeps the statistics of the trained weights; ``batch`` normalizes every micro-batch by
            itself.

    Raises:
        UsageError: another word.
    """
    if policy not in POLICIES:
        raise UsageError(f"There is no policy {policy!r} for batch normalization; use one of {', '.join(POLICIES)}.")
    return policy if has_batch_norm(network) else "none"


def private_calls(network: Network) -> tuple[Call, Call]:
    """``(params, buffers, x) -> logits`` with stored statistics, and the same with the batch's, which it writes into ``buffers``.

    Each has modules of its own (tensors are shared and never written), so that two threads may evaluate at once.
    """
    if network.module is None:
        return network.call, network.call
    return _caller(_copy(network), training=False), _caller(_copy(network), training=True)


def calibrated(call: Call, params: Params, buffers: Mapping[str, Tensor], x: Any) -> dict[str, Tensor]:
    """The buffers with the statistics of ``x`` at ``params``."""
    found = {name: tensor.clone() for name, tensor in buffers.items()}
    call(params, found, x)
    return found


def _copy(network: Network) -> nn.Module:
    assert network.module is not None
    memo: dict[int, Any] = {id(tensor): tensor for part in network.module.modules() for tensor in _tensors(part)}
    try:
        return copy.deepcopy(network.module, memo)
    except Exception:  # locks, generators, open files: whatever a user's module may hold
        raise UnsupportedInput(
            f"{network.name}: the module cannot be copied, so it cannot be evaluated at other weights; keep locks, files and generators out of it."
        ) from None


def _tensors(part: nn.Module) -> list[Tensor]:
    return [value for value in [*part._parameters.values(), *part._buffers.values(), *vars(part).values()] if isinstance(value, Tensor)]


def _caller(structure: nn.Module, *, training: bool) -> Call:
    outer = _Outer(structure)
    outer.eval()
    if training:
        for part in structure.modules():
            if _keeps_statistics(part):
                part.train()
                part.momentum = 1.0  # type: ignore[assignment]

    def call(params: Params, buffers: Mapping[str, Tensor], x: Any) -> Tensor:
        tensors = {f"inner.{name}": tensor for part in (params, buffers) for name, tensor in part.items()}
        return torch.func.functional_call(outer, tensors, (x,))

    return call


class _Outer(nn.Module):
    """One argument whatever the inner module takes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Tensor:
        return call_module(self.inner, x)


def _keeps_statistics(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None
