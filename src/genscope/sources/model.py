"""From a trained model and its data to its table: every measure with its interval, status and seed."""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from genscope.core.catalogue import Catalogue, Node
from genscope.core.estimate import Estimate
from genscope.core.resolver import Plan, execute, plan
from genscope.core.results import Result
from genscope.core.status import FAILED, OK, Undefined
from genscope.errors import UsageError
from genscope.measures.ingredients.roots_model import ROOTS
from genscope.measures.load import load_all_measures
from genscope.sources.model_budget import LEFT_OUT_WHEN_FAST, budget_options
from genscope.sources.model_curves import curves_of
from genscope.sources.model_groups import heading_of
from genscope.sources.model_roots import prepare
from genscope.sources.model_verdict import summarize
from genscope.sources.reproducibility import reproducibility_block

# What a user's own module may raise inside a measure; the other measures still come out.
TOLERATED = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError)

Progress = Callable[[int, int, str, float], None]


@torch.random.fork_rng(devices=[])  # a DataLoader draws from the global generator on every pass; the user's stays where it is
def assess(
    model: Any,
    train: Any,
    test: Any = None,
    initial: Any = None,
    measures: Iterable[str] | None = None,
    budget: str = "default",
    seed: int = 0,
    loss: str = "cross_entropy",
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Result:
    """How a trained model is expected to generalize, by every measure that its training data allow.

    Args:
        model: an ``nn.Module`` (it is not changed; measured in evaluation mode, BatchNorm folded where that is proven exact).
        train: its training data without augmentation: a DataLoader, a Dataset, or a pair ``(X, y)`` of arrays or tensors.
        test: held-out data, for the gap and the normalized test loss.
        initial: the module or ``state_dict`` before training, for distances and for the certificate's prior.
        measures: names to compute; default all that the budget includes.
        budget: ``fast``, ``default`` or ``paper``.
        seed: of every random draw.
        loss: ``cross_entropy``, ``logistic``, ``exponential`` or ``squared``.
        device: where to compute; default where the model is.
        options: values for the measures' own options, over those of the budget.
        progress: called with (done, total, name, share).

    Returns:
        A :class:`genscope.Result`: one row per measure (and layer) with ``value low high status reason options seed``.

    Raises:
        GenscopeError: the model or the data cannot be used at all; the sentence says why. A single measure that fails is a row with a status.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> x = torch.randn(40, 5)
        >>> result = assess(torch.nn.Linear(5, 2), (x, (x[:, 0] > 0).long()), measures=["margin", "train_error"], budget="fast")
        >>> [row["measure"] for row in result.rows]
        ['margin', 'train_error']
    """
    began = time.perf_counter()
    catalogue = load_all_measures()
    settings = {**budget_options(budget), **(options or {})}
    _check_options(options or {}, catalogue)
    prepared = prepare(model, train, test, initial, loss=loss, device=device)
    plan_ = measure_plan(measures, budget, prepared.roots, catalogue)
    seconds: dict[str, float] = {}
    values = _execute(plan_, prepared.roots, settings, seed, seconds, progress)
    rows = [row for name in plan_.wanted for row in _rows(catalogue.nodes[name], values[name], _options_of(name, settings, catalogue), seed)]
    given = {"test": test is not None, "initial": initial is not None}
    shape = {"n_examples": prepared.train.n_examples, "n_classes": prepared.roots["n_classes"], "loss": loss}
    return Result(
        verb="assess",
        head={
            "model": prepared.network.name,
            "data": {**shape, **given},
            "options": {"budget": budget, "seed": seed, **settings},
            "summary": summarize(rows),
        },
        rows=rows,
        tail={"notes": list(prepared.notes)},
        curves=curves_of(values),
        reproducibility=reproducibility_block(seed=seed, device=str(prepared.network.device), packages=("numpy", "scipy", "torch")),
        timing={"seconds": round(time.perf_counter() - began, 3), "per_measure": {name: round(spent, 4) for name, spent in seconds.items()}},
    )


def measure_plan(measures: Iterable[str] | None, budget: str, roots: Mapping[str, Any], catalogue: Catalogue) -> Plan:
    """The order of calls for the asked measures, or for all measures of a model that the budget includes."""
    if measures is not None:
        return plan(list(measures), roots, catalogue)
    return plan(default_measures(budget, catalogue), roots, catalogue)


def default_measures(budget: str, catalogue: Catalogue) -> list[str]:
    """All measures of a model that a budget includes, in the catalogue's order."""
    found = [node for node in catalogue.measures() if catalogue.roots_of(node.name) & set(ROOTS) and node.facts.get("default", True)]
    left_out = LEFT_OUT_WHEN_FAST if budget == "fast" else ()
    return [node.name for node in found if node.name not in left_out]


def _execute(
    plan_: Plan, roots: Mapping[str, Any], settings: Mapping[str, Any], seed: int, seconds: dict[str, float], progress: Progress | None
) -> dict[str, Any]:
    total = len(plan_.order)

    def observe(node: Node, spent: float) -> None:
        seconds[node.name] = spent
        if progress is not None:
            progress(len(seconds), total, node.name, len(seconds) / total)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return execute(plan_, roots, options=settings, seed=seed, tolerate=TOLERATED, observe=observe)


def _rows(node: Node, value: Any, options: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    if isinstance(value, Mapping):
        return [row for layer, item in value.items() for row in [_row(node, layer, item, options, seed)]]
    return [_row(node, None, value, options, seed)]


def _row(node: Node, layer: str | None, value: Any, options: dict[str, Any], seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": node.name, "layer": layer, "value": None, "low": None, "high": None, "status": OK, "reason": ""}
    if isinstance(value, Undefined):
        row |= {"status": value.status, "reason": value.reason}
    elif isinstance(value, Estimate):
        row |= {"value": _number(value.value), "low": _number(value.low), "high": _number(value.high), "status": value.status, "reason": value.reason}
    else:
        row["value"] = _number(value)
    if row["value"] is None and row["status"] in (OK, "doubtful"):
        row |= {"status": FAILED, "low": None, "high": None, "reason": row["reason"] or f"{node.name} is not finite here"}
    about = {"group": heading_of(node), "unit": node.facts["unit"], "expects": node.facts["expects"], "meaning": _first_sentence(node)}
    return {**row, **about, "options": options, "seed": seed}


def _number(value: Any) -> float | int | None:
    import math

    if value is None or isinstance(value, bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def _first_sentence(node: Node) -> str:
    return (node.function.__doc__ or "").strip().split("\n", 1)[0]


def _options_of(name: str, settings: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Every option that the number depends on: the measure's own and those of all it is made of."""
    found: dict[str, Any] = {}
    pending, seen = [name], set()
    while pending:
        node = catalogue.nodes.get(pending.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        found |= {option: settings.get(option, default) for option, default in node.options.items()}
        pending += node.needs
    return dict(sorted(found.items()))


def _check_options(options: Mapping[str, Any], catalogue: Catalogue) -> None:
    known = {option for node in catalogue.nodes.values() for option in node.options}
    for name in options:
        if name not in known:
            raise UsageError(f"No measure has an option {name!r}; `genscope explain MEASURE` lists a measure's options.")
