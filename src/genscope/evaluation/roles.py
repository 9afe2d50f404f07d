"""Which column plays which part: target, its direction, measures, baselines. Guessed from usual names, and said."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from genscope.core.text import display_name
from genscope.errors import UnsupportedInput, UsageError
from genscope.evaluation.table import ModelTable

_TARGETS: tuple[tuple[str, ...], ...] = (
    ("test_error", "test_err"),
    ("top1_error", "top1_err", "error", "err", "test_error_pct", "error_rate", "error_pct"),
    ("gap", "generalization_gap", "gen_gap", "error_gap"),
    ("test_accuracy", "test_acc", "test_top1"),
    ("accuracy", "acc", "top1_accuracy", "top1_acc", "top1", "acc1"),
    ("test_loss", "val_error", "val_accuracy", "val_acc"),
)
_OUTCOME = re.compile(
    r"(^|_)(err|error|errors|acc|accuracy|acc\d|top\d|top_\d|gap|f1|bleu|perplexity)(_|$)|^(test|val|valid|validation)_",
    re.IGNORECASE,
)
_NOT_MEASURES = re.compile(r"^(unnamed.*|index|column_\d+|seed|run|epoch|id|.*_id)$", re.IGNORECASE)
_BASELINE = re.compile(
    r"^(depth|width|n?_?layers|n_layers|num_layers|n?_?params|n_params|num_params|params_m|param_count|parameters|n_parameters|num_parameters|size|n_weights|n_elements|n_tensors"
    r"|model_size|flops|gmacs|macs|madds_m|n_matrices|n_slices)$",
    re.IGNORECASE,
)
_HIGHER_IS_BETTER = re.compile(r"(^|_)(acc|accuracy|acc\d|top\d|top_\d|score|auc|f1|bleu|r2)(_|$)", re.IGNORECASE)
_LOWER_IS_BETTER = re.compile(r"(err|error|errors|gap|loss|perplexity|nll|risk)(_|$|\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """The parts the columns play, with sentences on what was guessed."""

    target: str
    higher_is_better: bool
    measures: tuple[str, ...]
    baselines: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def higher_is_better(column: str) -> bool:
    """Whether a column of this name grows with quality (accuracy) rather than with error or gap.

    Example:
        >>> higher_is_better("top1_accuracy"), higher_is_better("top1_error"), higher_is_better("acc_gap")
        (True, False, False)
    """
    return bool(_HIGHER_IS_BETTER.search(column)) and not _LOWER_IS_BETTER.search(column)


def find_column(table: ModelTable, name: str, part: str, *, numeric: bool = True) -> str:
    """The column of that name (letter case forgiven).

    Raises:
        UsageError: there is none (close matches named), or it holds no numbers where numbers are needed.
    """
    pool = table.columns
    found = name if name in pool else next((column for column in pool if column.lower() == name.lower()), None)
    if found is None:
        close = difflib.get_close_matches(name, pool, n=3, cutoff=0.5)
        shown = close or list(pool)[:12]
        hint = "did you mean " + " or ".join(display_name(item, 60) for item in shown) + "?" if close else "it has " + ", ".join(shown) + "."
        raise UsageError(f"{table.source} has no {part} column {display_name(name, 60)!r}; {hint}")
    if numeric and found not in table.numbers:
        raise UsageError(f"{table.source}: the {part} column {display_name(found, 60)!r} does not hold numbers; choose another.")
    return found


def guess_target(table: ModelTable, target: str | None) -> tuple[str, list[str]]:
    """The target column: the one named, or the usual one."""
    if target is not None:
        return find_column(table, target, "target"), []
    lowered = {column.lower(): column for column in table.numbers}
    for tier in _TARGETS:
        found = [lowered[name] for name in tier if name in lowered]
        if len(found) > 1:
            raise UsageError(f"{table.source} has several columns that could be the target ({', '.join(found)}); name one with --target.")
        if found:
            return found[0], [f"target column guessed: {found[0]}"]
    outcomes = [column for column in table.numbers if _OUTCOME.search(column)]
    if len(outcomes) == 1:
        return outcomes[0], [f"target column guessed: {outcomes[0]}"]
    said = f"several columns that could be the target ({', '.join(outcomes[:8])})" if outcomes else "no column that is named error, accuracy or gap"
    raise UsageError(f"{table.source} has {said}; name one with --target.")


def assign_roles(
    table: ModelTable,
    target: str | None,
    measures: Sequence[str] | None,
    *,
    taken: Sequence[str] = (),
    covariates: Sequence[str] | None = None,
    lower_is_better: bool | None = None,
) -> Roles:
    """Decide the parts of all columns; ``taken`` are columns used as group, cluster or axis and so no measures by default."""
    goal, notes = guess_target(table, target)
    direction = higher_is_better(goal) if lower_is_better is None else not lower_is_better
    if direction:
        notes.append(f"{goal} grows with quality: a negative correlation means that larger values of a measure go with worse models")
    baselines = [column for column in table.numbers if _BASELINE.match(column) and column != goal]
    baselines += [column for column in covariates or () if column in table.numbers and column not in baselines]
    if measures is not None:
        chosen = list(dict.fromkeys(find_column(table, name, "measure") for name in measures))
        baselines = [column for column in baselines if column not in chosen]
    else:
        free = [column for column in table.numbers if column != goal and column not in taken and column not in baselines]
        outcomes = [column for column in free if _OUTCOME.search(column)]
        if outcomes:
            shown = ", ".join(outcomes[:8]) + (" …" if len(outcomes) > 8 else "")
            notes.append(f"not used as measures because they look like outcomes: {shown} (name them as measures to use them)")
        chosen = [column for column in free if column not in outcomes and not _NOT_MEASURES.match(column)]
    if goal in chosen:
        raise UsageError(f"The target {goal!r} cannot be its own measure; choose another measure or target.")
    if not chosen and not baselines:
        raise UnsupportedInput(f"{table.source}: besides {goal!r} no column holds a measure; name one with --measure.")
    return Roles(goal, direction, tuple(chosen), tuple(baselines), tuple(notes))
