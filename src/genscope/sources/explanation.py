"""What a measure is: formula, units, direction, source, what it is made of, and the plan that computes it."""

import inspect
from dataclasses import dataclass
from typing import Any

from genscope.core.catalogue import Catalogue, Node, default_catalogue
from genscope.core.resolver import plan, unknown_name_sentence
from genscope.errors import UsageError
from genscope.measures.load import load_all_measures, load_matrix_measures


@dataclass(frozen=True)
class Explanation:
    """One catalogue entry for people (``str``) and programs (``to_dict``)."""

    name: str
    kind: str
    facts: dict[str, Any]
    options: dict[str, Any]
    roots: tuple[str, ...]
    plan: tuple[str, ...]
    text: str

    def to_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return {
            "name": self.name,
            "kind": self.kind,
            **self.facts,
            "options": self.options,
            "roots": list(self.roots),
            "plan": list(self.plan),
            "text": self.text,
        }

    def __str__(self) -> str:
        facts = [f"{name:>9}  {self.facts[name]}" for name in ("symbol", "unit", "expects", "source") if name in self.facts]
        options = [f"{'options':>9}  {', '.join(f'{name}={value!r}' for name, value in self.options.items())}"] if self.options else []
        steps = [f"{'plan':>9}  {' -> '.join(self.plan)}"]
        return "\n".join([f"{self.name}  ({self.kind})", *facts, *options, *steps, "", self.text])


def explain(name: str) -> Explanation:
    """Formula, units, direction, source, plan and cost of a measure or ingredient.

    Raises:
        UsageError: there is no such name; the sentence offers close ones.

    Example:
        >>> explain("stable_rank").facts["unit"]
        '1'
    """
    catalogue = load_matrix_measures()
    if name not in catalogue.nodes:
        catalogue = load_all_measures()
    if name in catalogue.roots:
        return Explanation(name, "root", {}, {}, (name,), (name,), catalogue.roots[name])
    if name not in catalogue.nodes:
        raise UsageError(unknown_name_sentence(name, catalogue))
    return explain_node(catalogue.nodes[name], catalogue)


def explain_node(node: Node, catalogue: Catalogue = default_catalogue) -> Explanation:
    """The explanation of one node of a loaded catalogue."""
    roots = tuple(sorted(catalogue.roots_of(node.name)))
    ordered = plan([node.name], roots, catalogue)
    options = {name: value for step in ordered.order for name, value in step.options.items()}
    steps = (*(root for root in roots if root != "rng"), *(step.name for step in ordered.order))
    return Explanation(node.name, node.kind, dict(node.facts), options, roots, steps, inspect.getdoc(node.function) or "")


def catalogue_table() -> list[Explanation]:
    """Every measure, in order of registration."""
    catalogue = load_all_measures()
    return [explain_node(node, catalogue) for node in catalogue.measures()]
