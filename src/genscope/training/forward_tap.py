"""What passes through a module while a framework trains it: logits and labels of each forward pass, seen by one removable hook."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import UnsupportedInput
from genscope.networks.functional import logits_of


class ForwardTap:
    """Hands the logits of each forward pass of ``module``, and the labels if they were among its arguments, to ``receive``.

    Args:
        module: where to listen; its output is not changed.
        receive: called with (logits, labels or ``None``, whether in training mode).
    """

    def __init__(self, module: nn.Module, receive: Callable[[Tensor, Tensor | None, bool], None]) -> None:
        # a plain function, and deaf to copies: measuring copies the module's structure, hooks included
        def listen(seen: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if seen is not module or torch.compiler.is_compiling():
                return
            labels = kwargs.get("labels", args[0].get("labels") if args and isinstance(args[0], Mapping) else None)
            try:
                logits = logits_of(output)
            except UnsupportedInput:
                return
            receive(logits.detach(), labels if isinstance(labels, Tensor) else None, seen.training)

        self._handle = module.register_forward_hook(listen, with_kwargs=True)

    def close(self) -> None:
        """Remove the hook."""
        self._handle.remove()
