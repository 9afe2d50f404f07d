"""The monitor of a training run: the numbers that speak of generalization, as they happen, for a small share of the time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genscope.training.alarms import Alarm, Alarms
from genscope.training.early_stopping import StopOnNormalizedLoss
from genscope.training.monitor_budget import Account
from genscope.training.monitor_data import examined
from genscope.training.monitor_measurement import Batch, Measurement, batch_of, merged
from genscope.training.monitor_options import WatchOptions
from genscope.training.monitor_outputs import Examples, examples_of, gathered, ranks, statistics_of
from genscope.training.monitor_scale import first_example
from genscope.training.sinks import Sink

Assessor = Callable[[nn.Module], tuple[dict[str, float], dict[str, str]]]


class Monitor:
    """Watches one model while it trains; made by :func:`genscope.watch`.

    Call :meth:`step` after each optimizer step and :meth:`epoch` after each epoch; with gradient accumulation, :meth:`accumulate` for every
    batch but the last of a step. In distributed training every process calls them; the first one writes. Nothing in the model, the
    optimizer or the random state is changed, and the one hook (which keeps the first example) is gone after the first forward pass.

    Args:
        model: the module that trains; compiled and distributed wrappers are opened.
        options: what is measured, and how often.
        open_sinks: opens the destinations at the first record, told up to which step an earlier run is kept (``None`` for a new run).
        optimizer: for the learning rate.
        stop: says when to stop; :attr:`should_stop` follows it.
        alarms: the rules.
        assessor: the catalogue's measures that are computed at the end of each epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        options: WatchOptions,
        open_sinks: Callable[[int | None], list[Sink]],
        *,
        optimizer: Any = None,
        stop: StopOnNormalizedLoss | None = None,
        alarms: Alarms | None = None,
        assessor: Assessor | None = None,
    ) -> None:
        self.options, self.stop = options, stop
        self.steps = self.epochs = 0
        self.alarms: list[Alarm] = []
        self.notes: list[str] = []
        self.last: dict[str, Any] = {}
        self.folder: Path | None = None
        self._open_sinks = open_sinks
        self._sinks: list[Sink] | None = None if ranks()[0] == 0 else []
        self._rules, self._assessor = alarms or Alarms(), assessor
        self._account = Account(options.budget)
        self._measurement = Measurement(model, options, self._account, optimizer)
        self._next, self._cost = 1, 0.0
        self._resumed_at: int | None = None
        self._stopping = self._closed = False
        self._train: list[Batch] = []
        self._validation: list[Examples] = []
        self._scaled: tuple[int, float | None] | None = None
        self._means: dict[str, tuple[float, int]] = {}
        self._told: dict[str, str] = {}
        self._example: Any = None

        def keep(_seen: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            # a plain function: a method would drag the monitor along when the module is copied
            self._keep(args, kwargs)

        self._hook: Any = model.register_forward_pre_hook(keep, with_kwargs=True)

    @property
    def should_stop(self) -> bool:
        """Whether the stopping rule has spoken."""
        return self._stopping

    @property
    def due(self) -> bool:
        """Whether the step under way will be measured."""
        return not self._closed and self.steps + 1 >= self._next

    @property
    def overhead(self) -> float:
        """Share of the time since the start that watching has taken."""
        return self._account.spent / max(self._account.elapsed, 1e-9)

    def see(self, example: Any) -> None:
        """Take one batch of inputs to choose the normalization from, instead of the first that passes through the model."""
        self._unhook()
        self._example = None
        if not self._measurement.scale.ready:
            # every process divides by the norm on the same example
            self._note(self._measurement.learn(gathered(first_example(example))[0]))

    def accumulate(self, loss: Any = None, logits: Any = None, targets: Any = None, *, split: str = "train") -> None:
        """Take one batch without an optimizer step (gradient accumulation), or one batch of ``split="validation"``.

        Args:
            loss: mean loss of the batch, not divided by the number of batches of the step.
            logits, targets: ``[…, classes]`` and class numbers.
            split: ``train`` or ``validation``.

        Raises:
            UnsupportedInput: shapes that do not fit, or labels that are no class numbers.
        """
        if split == "validation" and logits is not None and targets is not None:
            if self._example is not None and not self._measurement.scale.ready and ranks()[1] == 1:
                self.see(self._example)
            if self._scaled is None or self._scaled[0] != self.steps:  # the weights stand still between steps
                self._scaled = (self.steps, self._measurement.log_scale(self._measurement.log_norms()))
            self._validation.append(examples_of(logits, targets, self.options.loss, self._scaled[1]))
        elif self.due:
            with self._account.charge():
                self._train.append(batch_of(loss, logits, targets, self.options.max_examples))

    def step(self, loss: Any = None, logits: Any = None, targets: Any = None, *, learning_rate: float | None = None) -> dict[str, Any] | None:
        """One optimizer step has been taken; the gradients are still there (call it before ``zero_grad``).

        Args:
            loss: mean training loss of the batch.
            logits, targets: of the batch; without them there are no margins and no normalized loss.
            learning_rate: where no optimizer was given to :func:`genscope.watch`.

        Returns:
            The record of this step, or ``None`` when it was not measured.

        Raises:
            UnsupportedInput: shapes that do not fit, or labels that are no class numbers.
        """
        measured = self.due
        if loss is not None or logits is not None:
            self.accumulate(loss, logits, targets)
        self.steps += 1
        self._account.tick()
        if not measured:
            return None
        before = self._account.spent
        stride = self._account.stride(self.options.every, self._cost)
        record = self._record("step")
        if self._example is not None and not self._measurement.scale.ready:
            self.see(self._example)  # once; its cost is not that of a step
            before = self._account.spent
        spectra = self._measurement.spectra.seconds
        with self._account.charge():
            stride = self._measurement.of_step(record, self._train, learning_rate, stride)
            self._train = []
            self._add_to_means(record)
            self._send(record)
        # spectra are paid from what is left of the budget, they do not stretch the steps
        self._cost = max(0.0, self._account.spent - before - (self._measurement.spectra.seconds - spectra))
        self._next = self.steps + stride
        return record

    def epoch(self, train: Any = None, validation: Any = None) -> dict[str, Any]:
        """An epoch has ended.

        Args:
            train, validation: data to measure the model on in evaluation mode: ``(inputs, targets)``, a DataLoader, or
                ``{"logits": …, "targets": …}``. Without ``train``, the training numbers are the means of the epoch's measured steps;
                validation batches that were given to :meth:`accumulate` are used where ``validation`` is not given.

        Returns:
            The record, with ``train``, ``validation``, ``values`` and the catalogue's measures.

        Raises:
            UnsupportedInput: data that cannot be read, or labels that are no class numbers.
        """
        self.epochs += 1
        if not self._measurement.scale.ready:
            pair = next((data for data in (train, validation) if isinstance(data, tuple | list) and len(data) == 2), None)
            if self._example is not None or pair is not None:
                self.see(self._example if pair is None else pair[0])
        record, measurement = self._record("epoch"), self._measurement
        norms = measurement.log_norms()
        log_scale = measurement.log_scale(norms)
        measurement.put_norms(record, norms, log_scale)
        for split, data in (("train", train), ("validation", validation)):
            found = None if data is None else examined(measurement.model, data, self.options.loss, log_scale)
            if split == "validation" and data is None:
                found, self._validation = merged(self._validation), []
            record[split], reasons = statistics_of(found, None)
            record["reasons"] |= {f"{split} {name}": reason for name, reason in reasons.items()}
        record["train"] = record["train"] or {name: total / n for name, (total, n) in self._means.items()}
        self._means = {}
        if self._assessor is not None and ranks()[0] == 0:
            found_measures, undefined = self._assessor(measurement.model)
            record["values"] |= found_measures
            record["reasons"] |= undefined
        self._stopping = gathered(self.stop.observe(record) if self.stop is not None else False)[0]
        record["stop"] = self._stopping
        self._send(record)
        return record

    def close(self, reason: str = "finished") -> None:
        """Write the end of the run, remove the hook, close the destinations; what follows is ignored."""
        if self._closed:
            return
        if self.steps or self.epochs:
            self._send({**self._record("end"), "reason": reason, "overhead": round(self.overhead, 6)})
        self._closed = True
        self._unhook()
        for sink in self._sinks or ():
            sink.close()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close("interrupted" if interrupted else f"failed: {kind.__name__}" if kind else "stopped early" if self._stopping else "finished")

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept beside a checkpoint to go on with this run after a restart."""
        return {
            "steps": self.steps,
            "epochs": self.epochs,
            "next": self._next,
            "means": dict(self._means),
            "before": self._measurement.before,
            "spectra": self._measurement.spectra.state_dict(),
            "alarms": self._rules.state_dict(),
            "stop": self.stop.state_dict() if self.stop is not None else None,
            "stopping": self._stopping,
            "example": self._measurement.scale.example,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`: records written after it (by the run that was killed) are dropped from the run's folder."""
        self.steps, self.epochs, self._next = int(state["steps"]), int(state["epochs"]), int(state["next"])
        self._means = {name: (float(total), int(n)) for name, (total, n) in state["means"].items()}
        before = state["before"]
        self._measurement.before = None if before is None else (int(before[0]), dict(before[1]))
        self._measurement.spectra.load_state_dict(state["spectra"])
        self._rules.load_state_dict(state["alarms"])
        if self.stop is not None and state["stop"] is not None:
            self.stop.load_state_dict(state["stop"])
        self._stopping, self._resumed_at = bool(state["stopping"]), self.steps
        if state["example"] is not None:
            self.see(state["example"])

    def _keep(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The hook keeps the first example, and is gone."""
        if torch.compiler.is_compiling():
            return
        inputs = {key: value for key, value in kwargs.items() if key not in ("labels", "label")}
        example = first_example({**inputs} if not args else args[0] if len(args) == 1 and not inputs else args)
        self._unhook()
        self._example = example

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _record(self, kind: str) -> dict[str, Any]:
        seconds = round(self._account.elapsed, 3)
        return {"kind": kind, "step": self.steps, "epoch": self.epochs, "seconds": seconds, "values": {}, "train": {}, "layers": {}, "reasons": {}}

    def _add_to_means(self, record: Mapping[str, Any]) -> None:
        for name, value in record["train"].items():
            total, n = self._means.get(name, (0.0, 0))
            self._means[name] = (total + value, n + 1)

    def _note(self, sentence: str | None) -> None:
        if sentence and sentence not in self.notes:
            self.notes.append(sentence)

    def _send(self, record: dict[str, Any]) -> None:
        """To the destinations, alarms after it; a reason is written once, not at every step."""
        if self._closed:
            return
        new = {name: reason for name, reason in record["reasons"].items() if self._told.get(name) != reason}
        self._told |= new
        record["reasons"] = new
        if fresh := [note for note in self.notes if note not in self._told]:
            record["notes"] = fresh
            self._told |= dict.fromkeys(fresh, "")
        self.last = record
        heard = self._rules.hear(record)
        self.alarms += heard
        if self._sinks is None:
            self._sinks = self._open_sinks(self._resumed_at)
        told = [
            {"kind": "alarm", "step": self.steps, "epoch": self.epochs, "rule": a.rule, "sentence": a.sentence, "numbers": a.numbers} for a in heard
        ]
        for sink in self._sinks:
            for one in (record, *told):
                sink.write(one)
