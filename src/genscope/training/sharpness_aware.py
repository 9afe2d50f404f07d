"""Sharpness-aware steps (SAM, ASAM) around any optimizer, with batch statistics counted once and mixed precision unscaled once."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from genscope.errors import UsageError


class SharpnessAware:
    r"""Steps that descend from the worst point of a small ball around the weights.

    .. math:: w \leftarrow w - \eta\,\nabla L(w + \epsilon), \qquad
        \epsilon_{SAM} = \rho\frac{\nabla L(w)}{\|\nabla L(w)\|}, \quad
        \epsilon_{ASAM} = \rho\frac{T^2\nabla L(w)}{\|T\nabla L(w)\|}, \ T = |w|

    The closure only computes the loss: clearing gradients, both backward passes and the step happen here. What users of other versions ask for:
    buffers (running statistics of batch normalization) are updated by the first pass only, in training mode with whatever momentum; with a
    ``GradScaler`` the gradients are unscaled once, because the direction ε does not depend on the scale, and a step whose first or second gradient
    overflows is left out while the weights come back; an exception inside the closure leaves the weights where they were.

    Args:
        model: whose buffers are protected.
        optimizer: any torch optimizer over the model's parameters; learning-rate schedules attach to it.
        rho: radius; 0.05 is usual for SAM, 0.5 to 2 for ASAM. 0 is the optimizer itself.
        adaptive: ASAM, the ball in units of each weight.

    Raises:
        UsageError: a negative or infinite radius.

    Cost: two forward and backward passes per step. Dropout draws new masks in the second.

    Source: Foret et al. 2021, algorithm 1; Kwon et al. 2021, eq. 8 (element-wise T). The package ``pytorch_optimizer`` keeps a ``SAM`` whose
    steps are the same; its closures do not take a ``GradScaler``.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(model.weight, 1.0)
        >>> sam = SharpnessAware(model, torch.optim.SGD(model.parameters(), lr=0.1), rho=0.5)
        >>> loss = sam.step(lambda: model(torch.ones(1, 1)).square().sum())
        >>> round(float(model.weight.detach()), 6)  # the gradient at 1.5 is 3
        0.7
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, rho: float = 0.05, *, adaptive: bool = False) -> None:
        if not 0 <= rho < float("inf"):
            raise UsageError(f"rho is {rho}; the radius has to be 0 or more.")
        self.model, self.optimizer, self.rho, self.adaptive = model, optimizer, rho, adaptive

    def step(
        self, closure: Callable[[], Tensor], *, scaler: "torch.amp.GradScaler | None" = None, max_grad_norm: float | None = None
    ) -> Tensor:  # fmt: skip
        """One step; the loss at the weights before it, detached.

        Args:
            closure: returns the loss of the batch; called twice (once when ``rho`` is 0).
            scaler: for mixed precision; its ``step`` and ``update`` are called here.
            max_grad_norm: clip the second gradient to this norm (after unscaling).
        """
        loss = self._gradients(closure, scaler)
        offsets = self._ascent()
        if offsets:
            with self._moved(offsets), _buffers_kept(self.model):
                self._gradients(closure, scaler)
        if max_grad_norm is not None:
            if scaler is not None:
                scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_([value for group in self.optimizer.param_groups for value in group["params"]], max_grad_norm)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        return loss

    def _gradients(self, closure: Callable[[], Tensor], scaler: "torch.amp.GradScaler | None") -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = closure()
        (loss if scaler is None else scaler.scale(loss)).backward()
        return loss.detach()

    @torch.no_grad()
    def _ascent(self) -> list[tuple[Tensor, Tensor]]:
        """The parameters and their ε; empty when the gradient is zero or overflowed, which leaves the first gradient for the step."""
        pairs = [(value, value.grad) for group in self.optimizer.param_groups for value in group["params"] if value.grad is not None]
        if not pairs or self.rho == 0:
            return []
        scaled = [grad.float() * value.abs().float() if self.adaptive else grad.float() for value, grad in pairs]
        device = pairs[0][0].device
        length = torch.stack([one.norm().to(device) for one in scaled]).norm()
        if not bool(torch.isfinite(length)) or float(length) == 0.0:
            return []
        weights = [value.abs().float() * one if self.adaptive else one for (value, _), one in zip(pairs, scaled, strict=True)]
        return [(value, (one * (self.rho / length.to(one.device))).to(value.dtype)) for (value, _), one in zip(pairs, weights, strict=True)]

    @contextlib.contextmanager
    def _moved(self, offsets: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
        """The weights at w + ε, and exactly w afterwards, whatever happens."""
        kept = [value.detach().clone() for value, _ in offsets]
        try:
            with torch.no_grad():
                for value, offset in offsets:
                    value.add_(offset)
            yield
        finally:
            with torch.no_grad():
                for (value, _), before in zip(offsets, kept, strict=True):
                    value.copy_(before)


@contextlib.contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Whatever a forward pass writes into buffers is undone: setting a momentum to zero would still count the batch."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
