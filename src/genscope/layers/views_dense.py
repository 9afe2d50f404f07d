"""Matrices of a two-dimensional weight: itself, its gates, its query/key/value parts, its gate/up halves."""

from dataclasses import dataclass

from genscope.layers import names
from genscope.layers.classify import Layer, Neighbours, gate_count
from genscope.layers.steps import Steps, reshape, take, transpose

GATES = {
    ("lstm", "torch"): ("i", "f", "g", "o"),
    ("lstm", "keras"): ("i", "f", "g", "o"),
    ("gru", "torch"): ("r", "z", "n"),
    ("gru", "keras"): ("z", "r", "n"),
}


@dataclass(frozen=True)
class Piece:
    """One view of a layer: its name, ``[n_matrices, rows, cols]``, and the steps from the layer's torch layout to it."""

    view: str
    shape: tuple[int, int, int]
    steps: Steps


Pieces = tuple[tuple[Piece, ...], tuple[str, ...]]


def whole(layer: Layer, view: str = "weight") -> Piece:
    """The weight as it is, [1, out, in]."""
    rows, cols = layer.shape
    return Piece(view, (1, rows, cols), (reshape(1, rows, cols),))


def rows_of(layer: Layer, view: str, start: int, stop: int, stride: int = 1) -> Piece:
    """Some rows of the weight, ``start:stop:stride``."""
    cols, rows = layer.shape[1], len(range(start, stop, stride))
    return Piece(view, (1, rows, cols), (take(0, start, stop, stride), reshape(1, rows, cols)))


def dense_pieces(layer: Layer, neighbours: Neighbours) -> Pieces:
    """Views of a 2-D weight by its kind.

    * ``lstm`` [4h, in] → ``gate_i gate_f gate_g gate_o``, ``gru`` [3h, in] → ``gate_r gate_z gate_n``: one h × in matrix per gate.
    * fused attention [3d, in] → ``q k v``, one d × in matrix each; see :func:`attention_pieces` for other head layouts.
    * ``gate_up_proj`` [2h, in] → ``gate up``; ``kv`` [2d, in] → ``k v``.
    * everything else → ``weight``, the matrix itself.
    """
    if layer.kind in {"lstm", "gru"}:
        return _gate_pieces(layer, neighbours)
    if layer.kind == "attention" and names.FUSED_BY_HEAD.search(layer.spec.name):
        return by_head_pieces(layer)
    if layer.kind == "attention" and (names.FUSED_THIRDS.search(layer.spec.name)):
        return attention_pieces(layer)
    for pattern, views in ((names.GATE_UP, ("gate", "up")), (names.FUSED_HALVES, ("k", "v"))):
        if pattern.search(layer.spec.name) and layer.shape[0] % 2 == 0:
            half = layer.shape[0] // 2
            return (rows_of(layer, views[0], 0, half), rows_of(layer, views[1], half, 2 * half)), ()
    return (whole(layer),), ()


def _gate_pieces(layer: Layer, neighbours: Neighbours) -> Pieces:
    gates = GATES[(layer.kind, layer.spec.layout)]
    match = names.RECURRENT.match(layer.spec.name)
    if match is not None and match["side"] == "hr":
        return (whole(layer, "projection"),), ()
    counted = gate_count(layer.spec.name, neighbours)
    if layer.shape[0] % len(gates) or counted not in {None, len(gates)}:
        return (whole(layer),), (f"{layer.spec.name}: {layer.shape[0]} rows are not {len(gates)} gates of equal size, read as one matrix",)
    hidden = layer.shape[0] // len(gates)
    return tuple(rows_of(layer, f"gate_{gate}", i * hidden, (i + 1) * hidden) for i, gate in enumerate(gates)), ()


def _heads(layer: Layer) -> tuple[int | None, int | None]:
    heads = layer.facts.get("num_heads")
    return heads, layer.facts.get("num_kv_heads", heads)


def attention_pieces(layer: Layer) -> Pieces:
    """Query, key and value of a weight that holds them one after the other.

    ``in_proj_weight`` of torch's MultiheadAttention and [3d, in] with d = in are three equal parts. With other row counts the heads
    must be known (``num_heads``, ``num_kv_heads``): rows = (H + 2·H_kv)·d_head, queries first (grouped and multi-query attention).
    Unknown heads: one matrix, with a note.
    """
    rows, cols = layer.shape
    heads, kv_heads = _heads(layer)
    if heads and kv_heads and rows % (heads + 2 * kv_heads) == 0:
        size = rows // (heads + 2 * kv_heads)
        cuts = (0, heads * size, (heads + kv_heads) * size, rows)
    elif rows % 3 == 0 and (rows == 3 * cols or names.ALWAYS_THIRDS.search(layer.spec.name)):
        cuts = (0, rows // 3, 2 * rows // 3, rows)
    else:
        note = f"{layer.spec.name}: {rows} rows of queries, keys and values cannot be split without the number of heads, read as one matrix"
        return (whole(layer, "qkv"),), (note,)
    return tuple(rows_of(layer, view, start, stop) for view, start, stop in zip("qkv", cuts[:-1], cuts[1:], strict=True)), ()


def by_head_pieces(layer: Layer) -> Pieces:
    """Query, key and value of ``query_key_value.weight``, whose rows depend on the family.

    With H heads, H_kv key/value heads and head size d:

    * H_kv = H (GPT-NeoX, Bloom): rows are [H, 3, d] — each head's query, key, value in turn;
    * H_kv = 1 (Falcon multi-query): rows are H·d queries, d keys, d values;
    * else (Falcon grouped): rows are [H_kv, H/H_kv + 2, d] — each group's queries, then its key and its value.

    Unknown ``num_heads``: one matrix, with a note.
    """
    rows, cols = layer.shape
    heads, kv_heads = _heads(layer)
    if not heads or not kv_heads or heads % kv_heads or rows % (heads + 2 * kv_heads):
        note = f"{layer.spec.name}: queries, keys and values are interleaved by head and the number of heads is unknown, read as one matrix"
        return (whole(layer, "qkv"),), (note,)
    if kv_heads == 1:
        return attention_pieces(layer)
    size, queries = rows // (heads + 2 * kv_heads), heads // kv_heads
    grouped = (kv_heads, queries + 2, size, cols)
    spans = (("q", 0, queries), ("k", queries, queries + 1), ("v", queries + 1, queries + 2))
    pieces = []
    for view, start, stop in spans:
        total = kv_heads * (stop - start) * size
        pieces.append(Piece(view, (1, total, cols), (reshape(*grouped), take(1, start, stop), reshape(1, total, cols))))
    return tuple(pieces), ()


def stack_pieces(layer: Layer, neighbours: Neighbours, each: bool) -> Pieces:
    """Matrices of a 3-D stack [k, out, in] (experts, bilinear forms): one row per matrix (``expert[3]``) or all pooled (``experts``).

    A fused ``gate_up_proj`` of experts is cut into ``gate`` and ``up`` when its ``down_proj`` tells which axis is doubled
    ([E, 2h, in] or the transposed [E, in, 2h]); a ``gate_up_proj_bias`` beside it marks the family that interleaves the two.
    """
    count, first, second = layer.shape
    name = "expert" if layer.kind == "experts" else "output" if layer.kind == "bilinear" else "matrix"
    cuts: tuple[tuple[str, Steps], ...] = (("", ()),)
    flip: Steps = ()
    if names.GATE_UP.search(layer.spec.name):
        flip, cuts, (first, second) = _gate_up_cuts(layer, neighbours)
    pieces: list[Piece] = []
    for part, cut in cuts:
        prefix = f"{part}." if part else ""
        if each:
            pieces += [Piece(f"{prefix}{name}[{i}]", (1, first, second), (take(0, i, i + 1), *flip, *cut)) for i in range(count)]
        else:
            pieces.append(Piece(f"{prefix}{name}s", (count, first, second), (*flip, *cut)))
    return tuple(pieces), ()


def _gate_up_cuts(layer: Layer, neighbours: Neighbours) -> tuple[Steps, tuple[tuple[str, Steps], ...], tuple[int, int]]:
    """How to cut [E, …] into gate and up: (steps to [E, 2h, in], cuts of axis 1, shape of one part)."""
    _, first, second = layer.shape
    down_name = layer.spec.name.replace("gate_up_proj", "down_proj")
    down = neighbours.shape(down_name)
    if down is None or len(down) != 3:
        return (), (("", ()),), (first, second)
    if second == 2 * down[1] and first == down[2]:
        flip: Steps = (transpose(0, 2, 1),)
        first, second = second, first
    elif first == 2 * down[2] and second == down[1]:
        flip = ()
    else:
        return (), (("", ()),), (first, second)
    half = first // 2
    if layer.spec.name.removesuffix(".weight") + "_bias" in neighbours.by_name:
        return flip, (("gate", (take(1, 0, first, 2),)), ("up", (take(1, 1, first, 2),))), (half, second)
    return flip, (("gate", (take(1, 0, half),)), ("up", (take(1, half, first),))), (half, second)
