"""One registry of everything that can be computed by name, filled by three decorators.

A function's parameters name what it is made of:

* a parameter **without** a default is an ingredient (or a root), resolved by name;
* a keyword-only parameter **with** a default is an option, recorded with the result;
* ``rng`` is a seeded generator of the node's own.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from genscope.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Node:
    """A named, pure function: what it needs, which options it takes, and what a reader should know of it."""

    name: str
    kind: str
    function: Callable[..., Any]
    needs: tuple[str, ...]
    options: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wants_rng(self) -> bool:
        """Whether the function draws random numbers."""
        return "rng" in self.needs

    @property
    def returns(self) -> Any:
        """The return annotation, or ``None``."""
        return get_type_hints(self.function).get("return")


class Catalogue:
    """Names to nodes. ``default_catalogue`` holds genscope's own; plug-ins add theirs through the same decorators."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.roots: dict[str, str] = {}

    def root(self, name: str, meaning: str) -> None:
        """Declare a name that only a source can supply."""
        self.roots[name] = meaning

    def add(self, function: F, kind: str, facts: Mapping[str, Any]) -> F:
        """Register ``function`` under its own name; two functions cannot share one."""
        name = function.__name__
        if name in self.nodes or name in self.roots:
            held = self.nodes.get(name)
            if held is None or held.function.__module__ != function.__module__:
                raise UsageError(f"The name {name!r} is already in the catalogue; rename the new {kind}.")
        needs, options = _signature(function)
        self.nodes[name] = Node(name, kind, function, needs, options, dict(facts))
        return function

    def measures(self, *, root: str | None = None) -> tuple[Node, ...]:
        """All measures in order of registration, or only those that are made of ``root``."""
        found = [node for node in self.nodes.values() if node.kind == "measure"]
        return tuple(node for node in found if root is None or root in self.roots_of(node.name))

    def roots_of(self, name: str) -> frozenset[str]:
        """The roots a node is ultimately made of."""
        if name in self.roots:
            return frozenset([name])
        node = self.nodes.get(name)
        if node is None:
            return frozenset()
        return frozenset().union(*(self.roots_of(need) for need in node.needs)) if node.needs else frozenset()


def _signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    needs, options = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is inspect.Parameter.empty:
            needs.append(parameter.name)
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            options[parameter.name] = parameter.default
        else:
            raise UsageError(f"{function.__name__}: make the option {parameter.name!r} keyword-only (put it after '*').")
    return tuple(needs), options


default_catalogue = Catalogue()


def ingredient(function: F) -> F:
    """Register a shared intermediate: computed once per source, never shown in a table."""
    return default_catalogue.add(function, "ingredient", {})


def measure(*, symbol: str, unit: str, expects: str, source: str, **facts: Any) -> Callable[[F], F]:
    """Register a measure.

    Args:
        symbol: its Greek or LaTeX form, for plots and ``explain``.
        unit: ``"nats"``, ``"decades"``, ``"1"`` …
        expects: what a larger value goes with (``"larger gap"``, ``"smaller gap"``, ``"none"``).
        source: paper and equation.
        facts: ``invariant_to=("scale", …)`` (tested), ``cost="O(n)"``, ``default=False`` for measures only computed on request.
    """

    def register(function: F) -> F:
        return default_catalogue.add(function, "measure", {"symbol": symbol, "unit": unit, "expects": expects, "source": source, **facts})

    return register


def figure(function: F) -> F:
    """Register a drawing of one value."""
    return default_catalogue.add(function, "figure", {})


default_catalogue.root("rng", "a seeded generator of the node's own, derived from (seed, node, subject)")
