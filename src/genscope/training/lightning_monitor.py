"""The monitor as a callback of Lightning 2: ``Trainer(callbacks=[MonitorCallback(out="run")])``.

``MonitorCallback`` is made when it is first asked for, so that Lightning is imported only where it is used.
"""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

import genscope
from genscope.errors import UnsupportedInput
from genscope.training.forward_tap import ForwardTap
from genscope.training.monitor import Monitor
from genscope.training.monitor_data import split_batch


class Watching:
    """What the callback does at each hook of the Trainer.

    Logits are those of the network's forward passes, targets the last part of a batch (or its ``labels``); with gradient accumulation one
    record covers all batches of a step; in distributed training the first process writes. The hook in the network is gone after ``fit``.

    Args:
        out: folder of the run, as in :func:`genscope.watch`.
        network: name of the attribute of the LightningModule that gives the logits; default its only child with parameters, else itself.
        loggers: also send the numbers to the Trainer's loggers.
        options: everything else that :func:`genscope.watch` takes (``stop=``, ``every=``, ``to=`` …).
    """

    def __init__(self, out: Any = None, *, network: str | None = None, loggers: bool = True, **options: Any) -> None:
        super().__init__()
        self._out, self._name, self._loggers, self._options = out, network, loggers, options
        self.monitor: Monitor | None = None
        self._tap: ForwardTap | None = None
        self._logits: Tensor | None = None
        self._steps = 0
        self._kept: Mapping[str, Any] | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch, or go on from a checkpoint."""
        watched = watched_module(pl_module, self._name)
        options = dict(self._options)
        options["to"] = [*options.get("to", ()), *(trainer.loggers if self._loggers else ())]
        optimizer = trainer.optimizers[0] if trainer.optimizers else None
        self.monitor = genscope.watch(watched, self._out, optimizer=optimizer, **options)
        if self._kept is not None:
            self.monitor.load_state_dict(self._kept)
        self._tap = ForwardTap(watched, self._take)
        self._steps = trainer.global_step

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """One batch; a record when the optimizer has stepped."""
        assert self.monitor is not None
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            loss = loss * trainer.accumulate_grad_batches  # Lightning has divided it
        stepped, self._steps = trainer.global_step != self._steps, trainer.global_step
        taken = (loss, *self._labelled(batch))
        self.monitor.step(*taken) if stepped else self.monitor.accumulate(*taken)

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """One batch of validation data."""
        if self.monitor is not None and not trainer.sanity_checking:
            logits, targets = self._labelled(batch)
            self.monitor.accumulate(logits=logits, targets=targets, split="validation")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """The epoch's record; stop where the rule says so."""
        assert self.monitor is not None
        self.monitor.epoch()
        if self.monitor.should_stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the end of the run."""
        self._close("stopped early" if self.monitor is not None and self.monitor.should_stop else "finished")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write how the run broke off."""
        self._close("interrupted" if isinstance(exception, KeyboardInterrupt) else f"failed: {type(exception).__name__}")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Nothing stays behind."""
        self._close("finished")

    def state_dict(self) -> dict[str, Any]:
        """Kept in Lightning's checkpoints."""
        return self.monitor.state_dict() if self.monitor is not None else dict(self._kept or {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restored from Lightning's checkpoints."""
        self._kept = state_dict or None

    def _take(self, logits: Tensor, _labels: Tensor | None, _training: bool) -> None:
        self._logits = logits

    def _labelled(self, batch: Any) -> tuple[Tensor | None, Tensor | None]:
        logits, self._logits = self._logits, None
        try:
            return logits, split_batch(batch)[1]
        except UnsupportedInput:
            return None, None

    def _close(self, reason: str) -> None:
        if self._tap is not None:
            self._tap.close()
            self._tap = None
        if self.monitor is not None:
            self.monitor.close(reason)


def watched_module(module: nn.Module, name: str | None) -> nn.Module:
    """The part of a LightningModule that gives the logits.

    Raises:
        UnsupportedInput: it has no such attribute.
    """
    if name is not None:
        found = getattr(module, name, None)
        if not isinstance(found, nn.Module):
            raise UnsupportedInput(f"{type(module).__name__} has no module {name!r}; name the attribute that holds the network.")
        return found
    children = [child for child in module.children() if next(child.parameters(), None) is not None]
    own = list(module.parameters(recurse=False))
    return children[0] if len(children) == 1 and not own else module


@cache
def _callback() -> type:
    for package in ("lightning.pytorch", "pytorch_lightning"):
        try:
            base = importlib.import_module(package).Callback
        except ImportError:
            continue
        return type("MonitorCallback", (Watching, base), {"__module__": __name__, "__doc__": Watching.__doc__})
    raise UnsupportedInput("Lightning is not installed; install genscope[lightning].")


def __getattr__(name: str) -> Any:
    if name == "MonitorCallback":
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
