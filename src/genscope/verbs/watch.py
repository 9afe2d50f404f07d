"""``genscope.watch``: a monitor for a training loop, joined with its destinations and the catalogue's measures."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import genscope
from genscope.core.status import OK
from genscope.errors import UnsupportedInput, UsageError
from genscope.measures.load import load_all_measures
from genscope.sources.model import assess
from genscope.training.alarms import Alarms
from genscope.training.early_stopping import StopOnNormalizedLoss
from genscope.training.monitor import Monitor
from genscope.training.monitor_options import WatchOptions
from genscope.training.sinks import RunFolder, Sink, open_sinks

HOME = "genscope-runs"


def watch(
    model: nn.Module,
    out: str | Path | bool | None = None,
    *,
    optimizer: Any = None,
    to: Sequence[Any] = (),
    stop: StopOnNormalizedLoss | None = None,
    data: Any = None,
    fresh: bool = False,
    **chosen: Any,
) -> Monitor:
    """Watch a model while it trains: normalized loss, margins, norms, alphas, alignment, with alarms in words.

    ``L(f̃)`` with ``f̃ = f/ρ`` falls only while the data are fitted better; the plain loss also falls when the outputs are merely scaled up.

    Args:
        model: the module that trains; it is not changed.
        out: folder of the run; ``None`` for a new numbered one in ``genscope-runs``, ``False`` for none. ``genscope watch RUN`` and
            ``genscope report RUN`` read it, while it is written too.
        optimizer: for the learning rate.
        to: more destinations: ``tensorboard``, ``wandb``, ``mlflow``, or a SummaryWriter, a W&B run, an MLflow client, an object with
            ``write(record)`` and ``close()``.
        stop: a rule for early stopping; :attr:`Monitor.should_stop` follows it.
        data: training data for ``measures=`` and ``sharpness=``, as :func:`genscope.assess` takes them.
        fresh: replace a run that ``out`` holds.
        chosen: fields of :class:`~genscope.training.monitor_options.WatchOptions` (``every``, ``layers_every``, ``budget``, ``loss``,
            ``normalization``, ``max_examples``, ``measures``, ``sharpness``), ``alarms`` (an :class:`~genscope.training.alarms.Alarms`) and
            ``example`` (a batch of inputs; else the first that passes through the model).

    Returns:
        A :class:`~genscope.training.monitor.Monitor`: ``step(loss=, logits=, targets=)``, ``epoch(train=, validation=)``, ``should_stop``,
        ``state_dict()``; also a context manager, which closes it.

    Raises:
        UsageError: an unknown option or measure, or measures without data.
        StoreError: the folder holds another run or cannot be written.

    Cost: measured so that it stays below ``budget`` (3 %) of the training time; data given to ``epoch`` cost a forward pass each.
    Source: Liao et al. 2018 (normalized loss); Poggio, Banburski & Liao 2019 (ρ, margins); Martin & Mahoney (alpha).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Linear(4, 2)
        >>> x, y = torch.randn(8, 4), torch.arange(8) % 2
        >>> with watch(model, out=False, budget=None) as monitor:
        ...     logits = model(x)
        ...     loss = nn.functional.cross_entropy(logits, y)
        ...     loss.backward()
        ...     record = monitor.step(loss=loss, logits=logits, targets=y)
        >>> sorted(record["train"])[:3]
        ['error', 'loss', 'margin_median']
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedInput(f"watch: a model must be a torch.nn.Module, not {type(model).__name__}.")
    alarms, example = chosen.pop("alarms", None), chosen.pop("example", None)
    options = _options(chosen)
    folder = None if out is False else new_folder() if out is None or out is True else Path(out)
    manifest = {
        "model": type(model).__name__,
        "n_params": sum(p.numel() for p in model.parameters()),
        "options": options.to_dict(),
        "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"genscope": genscope.__version__, "torch": torch.__version__},
    }
    asked = [to] if isinstance(to, str) or not isinstance(to, Sequence) else list(to)

    def sinks(keep_to: int | None) -> list[Sink]:
        own: list[Sink] = [] if folder is None else [RunFolder(folder, manifest, keep_to=keep_to, fresh=fresh)]
        return [*own, *open_sinks(asked, folder)]

    monitor = Monitor(
        model,
        options,
        sinks,
        optimizer=optimizer,
        stop=stop,
        alarms=alarms if isinstance(alarms, Alarms) else Alarms(alarms),
        assessor=_assessor(options, data),
    )
    monitor.folder = folder
    if example is not None:
        monitor.see(example)
    return monitor


def new_folder() -> Path:
    """The next free numbered folder of ``genscope-runs``."""
    home = Path(HOME)
    taken = [int(path.name) for path in home.iterdir() if path.name.isdigit()] if home.is_dir() else []
    return home / f"{max(taken, default=0) + 1:03d}"


def _options(chosen: Mapping[str, Any]) -> WatchOptions:
    unknown = sorted(set(chosen) - set(WatchOptions.__dataclass_fields__))
    if unknown:
        raise UsageError(f"watch: there is no option {unknown[0]!r}; use one of {', '.join(WatchOptions.__dataclass_fields__)}, alarms, example.")
    return WatchOptions(**chosen)


def _assessor(options: WatchOptions, data: Any) -> Any:
    """The catalogue's measures of the model as it stands, or nothing when none were asked for."""
    if not options.asked:
        return None
    known = load_all_measures().nodes
    unknown = [name for name in options.asked if name not in known]
    if unknown:
        from genscope.core.resolver import unknown_name_sentence

        raise UsageError(unknown_name_sentence(unknown[0]))
    if data is None:
        raise UsageError(f"watch: {options.asked[0]} is computed from training data; give data=.")

    def measured(model: nn.Module) -> tuple[dict[str, float], dict[str, str]]:
        try:
            result = assess(model, data, measures=options.asked, budget="fast", loss=options.loss)
        except UnsupportedInput as error:
            return {}, dict.fromkeys(options.asked, str(error))
        whole = [row for row in result.rows if row.get("layer") in (None, "")]
        values = {row["measure"]: float(row["value"]) for row in whole if row["value"] is not None}
        return values, {row["measure"]: str(row["reason"]) for row in whole if row["value"] is None or row["status"] != OK}

    return measured
