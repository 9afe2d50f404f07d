"""The catalogue is closed, has no cycles, its annotations agree, and every public entry explains itself."""

import inspect
import re
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from genscope.core.catalogue import Node
from genscope.core.status import Undefined
from genscope.measures.load import load_all_measures
from genscope.sources.explanation import explain, explain_node

CATALOGUE = load_all_measures()
NODES = list(CATALOGUE.nodes.values())
PARTS = ("Formula", "Reading", "Args", "Returns", "Raises", "Invariances", "Cost", "Source", "Example")


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_closed_and_acyclic(node: Node) -> None:
    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"cycle {' <- '.join((*trail, name))}"
        assert name in CATALOGUE.nodes or name in CATALOGUE.roots, f"{trail[-1]} needs {name!r}, which nothing supplies"
        for need in CATALOGUE.nodes[name].needs if name in CATALOGUE.nodes else ():
            visit(need, (*trail, name))

    visit(node.name, ())


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_annotations_of_producer_and_consumer_agree(node: Node) -> None:
    for name, annotation in get_type_hints(node.function).items():
        if name in CATALOGUE.nodes and name in node.needs:
            produced = CATALOGUE.nodes[name].returns
            assert _parts(produced) - {Undefined} == _parts(annotation) - {Undefined}, f"{node.name} takes {name}: {annotation}, but it is {produced}"


def _parts(annotation: Any) -> set[Any]:
    """The members of a union, or the annotation alone; what is undefined never reaches a consumer."""
    return set(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else {annotation}


def test_an_option_has_one_default_everywhere() -> None:
    defaults: dict[str, set[str]] = {}
    for node in NODES:
        for name, value in node.options.items():
            defaults.setdefault(name, set()).add(repr(value))
    assert {name: values for name, values in defaults.items() if len(values) > 1} == {}


@pytest.mark.parametrize("node", [node for node in NODES if node.kind == "measure"], ids=lambda node: node.name)
def test_measures_explain_themselves(node: Node) -> None:
    text = inspect.getdoc(node.function) or ""
    assert text.splitlines()[0].endswith(".")
    missing = [part for part in PARTS if not re.search(rf"^{part}s?:", text, re.MULTILINE)]
    assert not missing, f"{node.name}: the docstring lacks {missing}"
    assert node.facts["symbol"] and node.facts["unit"] and node.facts["source"]
    assert node.facts["expects"] in {"larger gap", "smaller gap", "none"}
    assert explain_node(node, CATALOGUE).plan[-1] == node.name


def test_explain_offers_close_names() -> None:
    from genscope.errors import UsageError

    with pytest.raises(UsageError, match="stable_rank"):
        explain("stable_rnk")
