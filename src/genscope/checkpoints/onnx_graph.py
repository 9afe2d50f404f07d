"""The parts of an ONNX model that say what its weights are: tensors by byte position, nodes by operator and attributes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.protobuf_wire import BYTES, VARINT, Field, WireReader
from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded

# Field numbers of onnx.proto (they never change).
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_INTS, ATTRIBUTE_GRAPHS = 1, 3, 5, 6, 8, 11
TENSOR_DIMS, TENSOR_TYPE, TENSOR_SEGMENT, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 3, 8, 9, 13, 14
TENSOR_DATA = (4, 5, 6, 7, 10, 11)
MAX_DEPTH = 16
MAX_INPUTS = 100_000


@dataclass
class OnnxTensor:
    """One stored tensor: dimensions, element type, and the spans of the file that hold its values."""

    name: str
    dims: list[int] = field(default_factory=list)
    data_type: int = 0
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    external: dict[str, str] | None = None
    segmented: bool = False
    sparse: bool = False


@dataclass
class OnnxNode:
    """An operator with its inputs, outputs and integer attributes."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, list[int]]


@dataclass
class OnnxGraph:
    """One graph; ``prefix`` is empty for the main one and names the way to a subgraph."""

    prefix: str
    parent: "OnnxGraph | None"
    tensors: dict[str, OnnxTensor] = field(default_factory=dict)
    nodes: list[OnnxNode] = field(default_factory=list)

    def owner(self, name: str) -> str | None:
        """The full name of the tensor that ``name`` means here, looking outwards as ONNX does."""
        graph: OnnxGraph | None = self
        while graph is not None:
            if name in graph.tensors:
                return graph.prefix + name
            graph = graph.parent
        return None


class GraphParser:
    """Collects all graphs of one model, within the limits."""

    def __init__(self, reader: WireReader, limits: Limits) -> None:
        self.reader = reader
        self.limits = limits
        self.label = reader.file.name
        self.graphs: list[OnnxGraph] = []
        self._prefixes: dict[str, int] = {}
        self._n_tensors = 0

    def parse(self) -> list[OnnxGraph]:
        """All graphs, the main one first.

        Raises:
            CorruptInput, LimitExceeded: not a model, or a damaged one.
        """
        graphs = [found for found in self.reader.fields(0, self.reader.file.size) if found.number == MODEL_GRAPH and found.wire == BYTES]
        if len(graphs) != 1:
            what = "holds no graph" if not graphs else f"holds {len(graphs)} graphs"
            raise CorruptInput(f"{self.label} is not a complete ONNX model (it {what}); was it downloaded completely?")
        self._graph(graphs[0], "", None, 0)
        return self.graphs

    def _graph(self, span: Field, prefix: str, parent: OnnxGraph | None, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"{self.label} nests subgraphs deeper than {MAX_DEPTH}; the file is damaged or hostile.")
        graph = OnnxGraph(prefix, parent)
        self.graphs.append(graph)
        for part in self._messages(span):
            if part.number == GRAPH_INITIALIZER:
                self._add(graph, self._tensor(part))
            elif part.number == GRAPH_NODE:
                self._node(graph, part, depth)
            elif part.number == GRAPH_SPARSE:
                self._sparse(graph, part)

    def _messages(self, span: Field) -> Iterator[Field]:
        if span.wire != BYTES:
            raise CorruptInput(f"{self.label}: byte {span.start} should begin a message; the file is damaged or no ONNX model.")
        return self.reader.fields(span.start, span.end)

    def _add(self, graph: OnnxGraph, tensor: OnnxTensor) -> None:
        if tensor.name in graph.tensors:
            shown = display_name(graph.prefix + tensor.name)
            raise CorruptInput(f"{self.label}: two tensors are called {shown!r}; two readers would see different ones.")
        self._n_tensors += 1
        self.limits.check("n_tensors", self._n_tensors, f"{self.label}: number of tensors")
        graph.tensors[tensor.name] = tensor

    def _node(self, graph: OnnxGraph, span: Field, depth: int) -> None:
        node = OnnxNode("", [], [], {})
        name, attributes = "", []
        for part in self._messages(span):
            if part.number in (NODE_INPUT, NODE_OUTPUT):
                names = node.inputs if part.number == NODE_INPUT else node.outputs
                names.append(self._text(part, "a tensor's name"))
            elif part.number == NODE_NAME:
                name = self._text(part, "a node's name")
            elif part.number == NODE_OPERATOR:
                node.operator = self._text(part, "an operator's name")
            elif part.number == NODE_ATTRIBUTE:
                attributes.append(part)
        graph.nodes.append(node)
        where = f"{graph.prefix}{name or node.operator}"
        for attribute in attributes:
            self._attribute(graph, node, attribute, where, depth)

    def _attribute(self, graph: OnnxGraph, node: OnnxNode, span: Field, where: str, depth: int) -> None:
        parts = list(self._messages(span))
        name = next((self._text(part, "an attribute's name") for part in parts if part.number == ATTRIBUTE_NAME), "")
        for part in parts:
            if part.number == ATTRIBUTE_INT and part.wire == VARINT:
                node.attributes[name] = self.reader.integers(part, 1, "an attribute")
            elif part.number == ATTRIBUTE_INTS:
                known = node.attributes.setdefault(name, [])
                known.extend(self.reader.integers(part, MAX_INPUTS, "an attribute"))
            elif part.number == ATTRIBUTE_TENSOR and node.operator == "Constant" and node.outputs:
                tensor = self._tensor(part)
                tensor.name = node.outputs[0]
                self._add(graph, tensor)
            elif part.number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                self._graph(part, self._prefix(f"{where}.{name}"), graph, depth + 1)

    def _prefix(self, wanted: str) -> str:
        """A prefix no other graph has: nodes may share a name or have none."""
        count = self._prefixes[wanted] = self._prefixes.get(wanted, 0) + 1
        return f"{wanted}/" if count == 1 else f"{wanted}#{count}/"

    def _sparse(self, graph: OnnxGraph, span: Field) -> None:
        values = next((part for part in self._messages(span) if part.number == 1), None)
        tensor = self._tensor(values) if values is not None else OnnxTensor("")
        tensor.sparse = True
        self._add(graph, tensor)

    def _tensor(self, span: Field) -> OnnxTensor:
        tensor = OnnxTensor("")
        pairs: list[Field] = []
        located_outside = False
        for part in self._messages(span):
            if part.number == TENSOR_DIMS:
                tensor.dims.extend(self.reader.integers(part, self.limits.ndim, "a shape"))
            elif part.number == TENSOR_TYPE:
                tensor.data_type = part.value
            elif part.number == TENSOR_NAME:
                tensor.name = self._text(part, "a tensor's name")
            elif part.number == TENSOR_RAW or part.number in TENSOR_DATA:
                tensor.spans.setdefault(part.number, []).append((part.start, part.end))
            elif part.number == TENSOR_SEGMENT:
                tensor.segmented = True
            elif part.number == TENSOR_EXTERNAL:
                pairs.append(part)
            elif part.number == TENSOR_LOCATION:
                located_outside = part.value == 1
        if len(tensor.dims) > self.limits.ndim:
            raise LimitExceeded(f"{self.label}: tensor {display_name(tensor.name)!r} has more than {self.limits.ndim} dimensions.")
        if located_outside or pairs:
            tensor.external = self._external(pairs, tensor.name)
        return tensor

    def _external(self, pairs: list[Field], name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for pair in pairs[:64]:
            texts = {part.number: self._text(part, "external data") for part in self._messages(pair)}
            key = texts.get(1, "")
            if key in found or len(pairs) > 64:
                raise CorruptInput(f"{self.label}: tensor {display_name(name)!r} gives {display_name(key)!r} twice for its external data.")
            found[key] = texts.get(2, "")
        return found

    def _text(self, part: Field, what: str) -> str:
        return self.reader.text(part, self.limits.name_bytes, what)
