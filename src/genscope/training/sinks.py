"""Where the records of a run go: a folder that survives a kill, and experiment trackers where they are installed."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.run_log import FORMAT, MANIFEST, RECORDS, append_record, parse_records, run_descriptor, tags_of
from genscope.errors import StoreError, UnsupportedInput, UsageError

Record = Mapping[str, Any]


class Sink(Protocol):
    """What a destination has to offer."""

    def write(self, record: Record) -> None:
        """Take one record."""

    def close(self) -> None:
        """Nothing follows."""


class RunFolder:
    """The run on disk: ``watch.json`` says what it is, ``records.jsonl`` holds one record a line, written as they come.

    Args:
        folder: where; made if it is missing.
        manifest: what the run is (model, options, versions).
        keep_to: go on with the run in the folder, keeping its records up to this step; ``None`` for a new run.
        fresh: replace a run that is there.

    Raises:
        StoreError: the folder holds another run or other files, or cannot be written.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], *, keep_to: int | None = None, fresh: bool = False) -> None:
        self.folder = folder
        held = (folder / RECORDS).exists() and (folder / RECORDS).stat().st_size > 0
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder.name}: a run needs a folder, and this is a file.")
        if held and keep_to is None and not fresh:
            raise StoreError(
                f"{folder.name}: it holds a run already; choose another folder, load its state_dict to go on, or fresh=True to replace it."
            )
        write_atomically(folder / MANIFEST, strict_json.dumps({"format": FORMAT, "verb": "watch", **manifest}, indent=1))
        if held and keep_to is not None:
            self._cut(keep_to)
        self._descriptor: int | None = run_descriptor(folder, keep=keep_to is not None)

    def write(self, record: Record) -> None:
        """Append one record; it is in the file when this returns."""
        if self._descriptor is not None:
            append_record(self._descriptor, record)

    def close(self) -> None:
        """Flush to disk and let go of the file."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _cut(self, step: int) -> None:
        """Drop what was written after the checkpoint from which training goes on, and an unfinished last line."""
        records, _ = parse_records((self.folder / RECORDS).read_text(encoding="utf-8", errors="replace"))
        kept = [record for record in records if record["step"] <= step and record["kind"] != "end"]
        write_atomically(self.folder / RECORDS, "".join(strict_json.dumps(record) + "\n" for record in kept))


class TensorBoardSink:
    """Scalars for TensorBoard, through any object with ``add_scalar(tag, value, step)``.

    Args:
        writer: such an object, or a folder for a new ``SummaryWriter``.

    Raises:
        UnsupportedInput: tensorboard is not installed.
    """

    def __init__(self, writer: Any) -> None:
        self._own = isinstance(writer, str | Path)
        if self._own:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise UnsupportedInput("TensorBoard is not installed; install genscope[tensorboard].") from None
            writer = SummaryWriter(str(writer))
        self._writer = writer

    def write(self, record: Record) -> None:
        """One scalar per defined number, alarms as text."""
        for tag, value in tags_of(record).items():
            self._writer.add_scalar(tag, value, record["step"])
        if record["kind"] == "alarm" and hasattr(self._writer, "add_text"):
            self._writer.add_text(f"gen/alarm/{record['rule']}", record["sentence"], record["step"])

    def close(self) -> None:
        """Flush; close only what was opened here."""
        getattr(self._writer, "close" if self._own else "flush", lambda: None)()


class WandbSink:
    """Numbers for Weights & Biases, through any object with ``log(mapping, step=…)``.

    Args:
        run: such an object (``wandb.run``), or ``None`` for the run that is active, or a new one.

    Raises:
        UnsupportedInput: wandb is not installed.
    """

    def __init__(self, run: Any = None) -> None:
        self._own = run is None
        if run is None:
            try:
                import wandb
            except ImportError:
                raise UnsupportedInput("Weights & Biases is not installed; install wandb.") from None
            self._own = wandb.run is None
            run = wandb.run if wandb.run is not None else wandb.init(project="genscope")
        self._run = run

    def write(self, record: Record) -> None:
        """All numbers of the record at its step, alarms under ``gen/alarm``."""
        told: dict[str, Any] = dict(tags_of(record))
        if record["kind"] == "alarm":
            told[f"gen/alarm/{record['rule']}"] = record["sentence"]
        if told:
            # the step travels as a number of its own: W&B drops what arrives for a step that it has passed
            self._run.log({**told, "gen/step": record["step"]})

    def close(self) -> None:
        """Finish only a run that was begun here."""
        if self._own:
            self._run.finish()


class MlflowSink:
    """Numbers for MLflow, through any object with ``log_metrics(mapping, step=…)``.

    Args:
        client: such an object, or ``None`` for the installed package and its active run.

    Raises:
        UnsupportedInput: mlflow is not installed.
    """

    def __init__(self, client: Any = None) -> None:
        self._own = False
        if client is None:
            try:
                import mlflow
            except ImportError:
                raise UnsupportedInput("MLflow is not installed; install mlflow or mlflow-skinny.") from None
            client = mlflow
            self._own = client.active_run() is None
        self._client = client

    def write(self, record: Record) -> None:
        """All numbers of the record at its step, alarms as tags."""
        if told := tags_of(record):
            self._client.log_metrics(told, step=record["step"])
        if record["kind"] == "alarm" and hasattr(self._client, "set_tag"):
            self._client.set_tag(f"gen.alarm.{record['rule']}", record["sentence"][:500])

    def close(self) -> None:
        """End only a run that was begun here."""
        if self._own:
            self._client.end_run()


_BY_NAME = {"wandb": WandbSink, "mlflow": MlflowSink}


def open_sinks(asked: Sequence[Any], folder: Path | None) -> list[Sink]:
    """The sinks meant by names (``tensorboard wandb mlflow``) and by objects (a SummaryWriter, a W&B run, an MLflow client, a sink).

    Raises:
        UsageError: a name or an object that is none of these.
        UnsupportedInput: the named package is not installed.
    """
    return [_sink(one, folder) for one in ([asked] if isinstance(asked, str) else asked)]


def _sink(asked: Any, folder: Path | None) -> Any:
    if asked == "tensorboard":
        return TensorBoardSink((folder or Path("genscope-runs")) / "tensorboard")
    if isinstance(asked, str):
        if asked not in _BY_NAME:
            raise UsageError(f"watch: there is no destination {asked!r}; use tensorboard, wandb, mlflow, or pass a writer.")
        return _BY_NAME[asked]()
    if hasattr(asked, "add_scalar"):
        return TensorBoardSink(asked)
    if hasattr(asked, "log_metrics"):
        return MlflowSink(asked)
    if hasattr(asked, "log"):
        return WandbSink(asked)
    if hasattr(asked, "write") and hasattr(asked, "close"):
        return asked
    raise UsageError(f"watch: {type(asked).__name__} is no destination; it has neither add_scalar, log, log_metrics nor write.")
