"""Plan, then execute: names of measures to an order of calls, each ingredient computed once per source."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import Catalogue, Node, default_catalogue
from genscope.core.seeds import generator_for
from genscope.core.status import FAILED, SKIPPED, Undefined
from genscope.errors import GenscopeError, UsageError


@dataclass(frozen=True)
class Plan:
    """``order`` is a list of nodes, ingredients first; ``missing`` names a sentence for each measure that cannot be reached."""

    order: tuple[Node, ...]
    wanted: tuple[str, ...]
    missing: Mapping[str, str]


def plan(names: Iterable[str], roots: Iterable[str], catalogue: Catalogue = default_catalogue) -> Plan:
    """Order the nodes that ``names`` need, given the roots a source can supply.

    Raises:
        UsageError: a name is not in the catalogue (close matches are suggested), or its ingredients form a cycle.
    """
    available = {*roots, "rng"}
    order: dict[str, Node] = {}
    missing: dict[str, str] = {}
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in catalogue.nodes:
            raise UsageError(unknown_name_sentence(name, catalogue))
        chain = _first_missing(name, available, catalogue, ())
        if chain:
            missing[name] = f"needs {chain[0]!r}, which this source does not supply ({' <- '.join(reversed(chain))})"
        else:
            _visit(name, available, catalogue, order)
    return Plan(tuple(order.values()), wanted, missing)


def unknown_name_sentence(name: str, catalogue: Catalogue = default_catalogue) -> str:
    """One sentence for a misspelt measure, with the closest names."""
    import difflib

    close = difflib.get_close_matches(name, [*catalogue.nodes], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`genscope explain` lists all names."
    return f"There is no measure {name!r}; {hint}"


def _first_missing(name: str, available: set[str], catalogue: Catalogue, trail: tuple[str, ...]) -> tuple[str, ...] | None:
    if name in trail:
        raise UsageError(f"The catalogue has a cycle: {' <- '.join((*trail, name))}.")
    if name in available:
        return None
    node = catalogue.nodes.get(name)
    if node is None:
        return (name, *reversed(trail))
    for need in node.needs:
        chain = _first_missing(need, available, catalogue, (*trail, name))
        if chain:
            return chain
    return None


def _visit(name: str, available: set[str], catalogue: Catalogue, order: dict[str, Node]) -> None:
    if name in order or name in available:
        return
    node = catalogue.nodes[name]
    for need in node.needs:
        _visit(need, available, catalogue, order)
    order[name] = node


def execute(
    plan: Plan,
    roots: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    subject: str = "",
    tolerate: tuple[type[Exception], ...] = (),
    observe: Callable[[Node, float], None] | None = None,
) -> dict[str, Any]:
    """Run a plan over the roots of one source and return every node's value by name.

    A node that raises a ``GenscopeError`` (or a linear-algebra failure, or one of ``tolerate``: what a user's own code may raise) becomes
    ``Undefined``, and so does all that is made of it; everything else still comes out. A non-finite number becomes ``Undefined`` too.
    ``observe`` is told each node and its seconds.
    """
    options = options or {}
    values: dict[str, Any] = dict(roots)
    for node in plan.order:
        began = time.perf_counter()
        try:
            values[node.name] = _call(node, values, options, seed, subject)
        except tolerate as error:
            values[node.name] = Undefined(f"{node.name} could not be computed: {' '.join(str(error).split())[:300]}", FAILED)
        if observe is not None:
            observe(node, time.perf_counter() - began)
    for name, sentence in plan.missing.items():
        values[name] = Undefined(sentence, SKIPPED)
    return {name: value for name, value in values.items() if name not in roots}


def _call(node: Node, values: Mapping[str, Any], options: Mapping[str, Any], seed: int, subject: str) -> Any:
    arguments: dict[str, Any] = {}
    for need in node.needs:
        if need == "rng":
            arguments["rng"] = generator_for(seed, node.name, subject)
            continue
        value = values[need]
        if isinstance(value, Undefined):
            return value
        arguments[need] = value
    chosen = {name: options[name] for name in node.options if name in options}
    try:
        result = node.function(**arguments, **chosen)
    except GenscopeError as error:
        return Undefined(str(error), FAILED)
    except (np.linalg.LinAlgError, FloatingPointError, OverflowError, ZeroDivisionError) as error:
        return Undefined(f"{node.name} could not be computed: {error}", FAILED)
    if isinstance(result, float) and not math.isfinite(result):
        return Undefined(f"{node.name} is not finite here", FAILED)
    return result
