"""The monitor as a callback of the Hugging Face Trainer: ``Trainer(callbacks=[MonitorCallback(out="run")])``.

``MonitorCallback`` is made when it is first asked for, so that transformers is imported only where it is used.
"""

import io
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import genscope
from genscope.core.files import write_atomically
from genscope.errors import UnsupportedInput
from genscope.training.forward_tap import ForwardTap
from genscope.training.monitor import Monitor
from genscope.training.monitor_scale import plain_module

STATE = "genscope_monitor.pt"
_CAUSAL = ("ForCausalLM", "LMHeadModel")


class Watching:
    """What the callback does at each event of the Trainer.

    Logits and labels are those of the model's forward passes; the loss is computed from them. With gradient accumulation one record
    covers all batches of a step; in distributed training the first process writes. The hook in the model is gone after training.

    Args:
        out: folder of the run, as in :func:`genscope.watch`.
        shift: whether token ``t`` predicts label ``t + 1``; default for models whose name says that they are causal language models.
        options: everything else that :func:`genscope.watch` takes (``stop=``, ``every=``, ``to=`` …).
    """

    def __init__(self, out: Any = None, *, shift: bool | None = None, **options: Any) -> None:
        super().__init__()
        self._out, self._shift, self._options = out, shift, options
        self.monitor: Monitor | None = None
        self._tap: ForwardTap | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any) -> None:
        """Begin to watch."""
        model = plain_module(model)
        if self._shift is None:
            self._shift = type(model).__name__.endswith(_CAUSAL)
        self.monitor = genscope.watch(model, self._out, optimizer=optimizer, **self._options)
        kept = self._state_file(args, state)
        if state.global_step and kept.is_file():
            self.monitor.load_state_dict(torch.load(kept, weights_only=True))
        self._tap = ForwardTap(model, self._take)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the monitor's state inside the Trainer's checkpoint, so that a resumed training goes on with its run."""
        file = self._state_file(args, state)
        if self.monitor is not None and state.is_world_process_zero and file.parent.is_dir():
            stream = io.BytesIO()
            torch.save(self.monitor.state_dict(), stream)
            write_atomically(file, stream.getvalue())

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The optimizer has stepped and the gradients are still there."""
        assert self.monitor is not None
        self.monitor.step()

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The Trainer has evaluated: a record with validation numbers."""
        self._end_of_epoch(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A record of the epoch, unless the evaluation that follows makes it."""
        if getattr(args.eval_strategy, "value", args.eval_strategy) == "no":
            self._end_of_epoch(control)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the end of the run; nothing stays behind."""
        if self._tap is not None:
            self._tap.close()
            self._tap = None
        if self.monitor is not None:
            self.monitor.close("stopped early" if self.monitor.should_stop else "finished")

    @staticmethod
    def _state_file(args: Any, state: Any) -> Path:
        return Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE

    def _end_of_epoch(self, control: Any) -> None:
        if self.monitor is None or self._tap is None:
            return
        self.monitor.epoch()
        if self.monitor.should_stop:
            control.should_training_stop = True

    def _take(self, logits: Tensor, labels: Tensor | None, training: bool) -> None:
        if self.monitor is None or labels is None:
            return
        if self._shift and logits.ndim == 3:
            logits, labels = logits[:, :-1], labels[:, 1:]
        self.monitor.accumulate(logits=logits, targets=labels, split="train" if training else "validation")


@cache
def _callback() -> type:
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise UnsupportedInput("transformers is not installed; install genscope[huggingface].") from None
    return type("MonitorCallback", (Watching, TrainerCallback), {"__module__": __name__, "__doc__": Watching.__doc__})


def __getattr__(name: str) -> Any:
    if name == "MonitorCallback":
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
