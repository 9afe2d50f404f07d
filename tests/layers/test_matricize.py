"""Plans have the documented rows, and the built matrices are the ones that the layers multiply with."""

import numpy as np
import pytest

from genscope.core.tensors import TensorSpec
from genscope.errors import CorruptInput, UsageError
from genscope.layers.matricize import ViewOptions, build_matrix, plan_matrices
from genscope.layers.stream import group_by_tensor


def spec(name, shape, dtype="float32", **more):
    return TensorSpec(name, tuple(shape), dtype, 0, **more)


def rng():
    return np.random.default_rng(0)


def planned(specs, **options):
    """(view, n_matrices, rows, cols) of every row of the plan."""
    plan = plan_matrices(specs if isinstance(specs, list) else [specs], ViewOptions(**options))
    return [(m.view, m.n_matrices, m.rows, m.cols) for m in plan.matrices]


def built(specs, arrays=None, **options):
    """The stacks of a plan by view, with random or given arrays."""
    specs = specs if isinstance(specs, list) else [specs]
    arrays = arrays or {s.name: rng().standard_normal(s.shape) for s in specs}
    plan = plan_matrices(specs, ViewOptions(**options))
    return {m.view: build_matrix(m, arrays).stack for m in plan.matrices}, arrays


CONV = spec("c.weight", (8, 4, 3, 2))
GROUPED = spec("g.weight", (8, 2, 3, 3), attributes={"groups": 4})
DEPTHWISE = spec("d.weight", (6, 1, 3, 3), attributes={"groups": 6})


@pytest.mark.parametrize(
    ("tensor", "options", "rows"),
    [
        (CONV, {}, [("slices", 6, 8, 4)]),
        (CONV, {"conv": "reshape"}, [("reshape", 1, 8, 24)]),
        (CONV, {"conv": "operator", "input_size": (6, 4)}, [("operator", 1, 8 * 24, 4 * 24)]),
        (CONV, {"pool": False}, [(f"slice[{i},{j}]", 1, 8, 4) for i in range(3) for j in range(2)]),
        (GROUPED, {}, [("slices", 36, 2, 2)]),
        (GROUPED, {"conv": "reshape"}, [("reshape", 4, 2, 18)]),
        (GROUPED, {"conv": "operator", "input_size": 5}, [("operator", 1, 200, 200)]),
        (DEPTHWISE, {}, [("slices", 54, 1, 1)]),
        (DEPTHWISE, {"conv": "reshape"}, [("reshape", 6, 1, 9)]),
        (spec("t.weight", (4, 6, 2, 2), kind="conv_transpose2d"), {}, [("slices", 4, 4, 6)]),
        (spec("c1.weight", (8, 4, 5)), {}, [("slices", 5, 8, 4)]),
        (spec("c3.weight", (8, 4, 2, 3, 2)), {}, [("slices", 12, 8, 4)]),
        (spec("one.weight", (8, 4, 1, 1)), {"pool": False}, [("slice[0,0]", 1, 8, 4)]),
        (spec("fc.weight", (1, 500)), {}, [("weight", 1, 1, 500)]),
        (spec("wte.weight", (50257, 768)), {}, [("weight", 1, 50257, 768)]),
        (spec("pos_embed", (1, 197, 64)), {}, [("weight", 1, 197, 64)]),
        (spec("a.in_proj_weight", (24, 8)), {}, [("q", 1, 8, 8), ("k", 1, 8, 8), ("v", 1, 8, 8)]),
        (spec("a.qkv_proj.weight", (48, 32)), {"num_heads": 8, "num_kv_heads": 2}, [("q", 1, 32, 32), ("k", 1, 8, 32), ("v", 1, 8, 32)]),
        (spec("a.qkv_proj.weight", (48, 32)), {}, [("qkv", 1, 48, 32)]),
        (spec("h.0.attn.c_attn.weight", (8, 24)), {}, [("q", 1, 8, 8), ("k", 1, 8, 8), ("v", 1, 8, 8)]),
        (spec("mlp.gate_up_proj.weight", (20, 8)), {}, [("gate", 1, 10, 8), ("up", 1, 10, 8)]),
        (spec("attn.kv.weight", (20, 8)), {}, [("k", 1, 10, 8), ("v", 1, 10, 8)]),
        (spec("m.experts.w1", (3, 10, 8)), {}, [(f"expert[{i}]", 1, 10, 8) for i in range(3)]),
        (spec("m.experts.w1", (3, 10, 8)), {"pool_experts": True}, [("experts", 3, 10, 8)]),
        (spec("bilinear.weight", (5, 3, 4)), {}, [("outputs", 5, 3, 4)]),
        (spec("r.weight_hh_l0", (20, 5)), {}, [(f"gate_{g}", 1, 5, 5) for g in "ifgo"]),
        (spec("r.weight_hh_l0", (15, 5)), {}, [(f"gate_{g}", 1, 5, 5) for g in "rzn"]),
        (spec("r.weight_hh_l0", (5, 5)), {}, [("weight", 1, 5, 5)]),
        (spec("lstm/kernel:0", (7, 20), layout="keras", kind="lstm"), {}, [(f"gate_{g}", 1, 5, 7) for g in "ifgo"]),
    ],
)
def test_rows_of_the_plan(tensor, options, rows):
    assert planned(tensor, **options) == rows
    plan = plan_matrices([tensor], ViewOptions(**options))
    if options.get("conv") != "operator" and tensor.n_elements < 10**6:
        assert sum(m.n_matrices * m.rows * m.cols for m in plan.matrices) == tensor.n_elements  # every entry once
        arrays = {tensor.name: np.arange(tensor.n_elements, dtype=float).reshape(tensor.shape)}
        entries = np.concatenate([build_matrix(m, arrays).stack.ravel() for m in plan.matrices])
        np.testing.assert_array_equal(np.sort(entries), np.arange(tensor.n_elements))


def test_slices_are_kernel_positions_and_their_blocks():
    stacks, arrays = built(CONV)
    w = arrays["c.weight"]
    np.testing.assert_array_equal(stacks["slices"], [w[:, :, i, j] for i in range(3) for j in range(2)])
    single, _ = built(CONV, arrays, pool=False)
    np.testing.assert_array_equal(single["slice[2,1]"][0], w[:, :, 2, 1])
    np.testing.assert_array_equal(built(CONV, arrays, conv="reshape")[0]["reshape"][0], w.reshape(8, -1))
    grouped, arrays = built(GROUPED)
    w = arrays["g.weight"]
    dense = np.zeros((8, 8))  # the map of kernel position (1, 2), block diagonal
    for o in range(8):
        group = o // 2
        dense[o, 2 * group : 2 * group + 2] = w[o, :, 1, 2]
    blocks = grouped["slices"][(1 * 3 + 2) * 4 : (1 * 3 + 2) * 4 + 4]
    pooled = np.sort(np.linalg.svd(blocks, compute_uv=False).ravel())
    np.testing.assert_allclose(pooled, np.sort(np.linalg.svd(dense, compute_uv=False)), atol=1e-12)


def test_operator_view_carries_the_convolution():
    strided = spec("s.weight", (6, 4, 3, 3), attributes={"stride": (2, 2), "groups": 2, "dilation": 2})
    array = rng().standard_normal(strided.shape)
    (planned_spec,) = plan_matrices([strided], ViewOptions(conv="operator", input_size=(7, 8))).matrices
    matrix = build_matrix(planned_spec, {"s.weight": array})
    assert matrix.stack is None and matrix.operator.input_size == (8, 8) and matrix.operator.stride == (2, 2) and matrix.operator.groups == 2
    assert matrix.operator.kernel.shape == (6, 4, 5, 5)
    np.testing.assert_array_equal(matrix.operator.kernel[:, :, ::2, ::2], array)
    assert (matrix.spec.rows, matrix.spec.cols) == (6 * 16, 8 * 64)
    from genscope.numerics.convolution import convolution_singular_values

    assert convolution_singular_values(matrix.operator).values.size == matrix.spec.n_eigenvalues
    own = spec("s.weight", (6, 4, 3, 3), attributes={"input_size": (4, 4)})
    assert planned(own, conv="operator", input_size=32) == [("operator", 1, 96, 64)]


def test_by_head_layouts():
    heads, size, width = 4, 3, 10
    q, k, v = (rng().standard_normal((heads, size, width)) + shift for shift in (0, 10, 20))
    interleaved = np.stack([q, k, v], axis=1).reshape(-1, width)  # GPT-NeoX and Bloom: [heads, 3, size]
    name = "h.query_key_value.weight"
    stacks, _ = built(spec(name, interleaved.shape, attributes={"num_heads": heads}), {name: interleaved})
    for view, part in zip("qkv", (q, k, v), strict=True):
        np.testing.assert_array_equal(stacks[view][0], part.reshape(-1, width))
    multi_query = np.concatenate([q.reshape(-1, width), k[0], v[0]])  # Falcon: queries, one key head, one value head
    stacks, _ = built(spec(name, multi_query.shape), {name: multi_query}, num_heads=heads, num_kv_heads=1)
    np.testing.assert_array_equal(stacks["q"][0], q.reshape(-1, width))
    np.testing.assert_array_equal(stacks["v"][0], v[0])
    groups = np.concatenate([np.stack([q[2 * g], q[2 * g + 1], k[g], v[g]]).reshape(-1, width) for g in range(2)])  # two groups
    stacks, _ = built(spec(name, groups.shape), {name: groups}, num_heads=heads, num_kv_heads=2)
    np.testing.assert_array_equal(stacks["q"][0], q.reshape(-1, width))
    np.testing.assert_array_equal(stacks["k"][0], k[:2].reshape(-1, width))
    plan = plan_matrices([spec(name, groups.shape)])
    assert plan.matrices[0].view == "qkv" and "number of heads is unknown" in plan.notes[0]


def test_gpt2_parts_are_the_columns():
    name = "h.0.attn.c_attn.weight"
    stacks, arrays = built(spec(name, (8, 24)))
    np.testing.assert_array_equal(stacks["k"][0], arrays[name][:, 8:16].T)


@pytest.mark.parametrize(("shape", "down", "biased"), [((2, 12, 5), (2, 5, 6), False), ((2, 5, 12), (2, 6, 5), False), ((2, 5, 12), (2, 6, 5), True)])
def test_fused_expert_projections(shape, down, biased):
    name = "m.experts.gate_up_proj"
    specs = [spec(name, shape), spec("m.experts.down_proj", down), *([spec(name + "_bias", (2, 12))] if biased else [])]
    stacks, arrays = built(specs)
    first = arrays[name][1] if shape[1] == 12 else arrays[name][1].T
    gate, up = (first[::2], first[1::2]) if biased else (first[:6], first[6:])
    np.testing.assert_array_equal(stacks["gate.expert[1]"][0], gate)
    np.testing.assert_array_equal(stacks["up.expert[1]"][0], up)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("m.q.lora_A.weight", "m.q.lora_B.weight"),
        ("m.q.lora_A.default.weight", "m.q.lora_B.default.weight"),
        ("m.q.lora_down.weight", "m.q.lora_up.weight"),
        ("m.q.lora_embedding_A", "m.q.lora_embedding_B"),
        ("m.q.lora_A", "m.q.lora_B"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_lora_pair_is_one_product(a, b, reverse):
    specs = [spec(a, (4, 30)), spec(b, (20, 4))]
    plan = plan_matrices(specs[::-1] if reverse else specs)
    (only,) = plan.matrices
    assert (only.layer, only.view, only.rows, only.cols, only.n_eigenvalues) == ("m.q", "lora_BA", 4, 30, 4)
    arrays = {s.name: rng().standard_normal(s.shape) for s in specs}
    found = np.linalg.svd(build_matrix(only, arrays).stack, compute_uv=False).ravel()
    np.testing.assert_allclose(found, np.linalg.svd(arrays[b] @ arrays[a], compute_uv=False)[:4], rtol=1e-10)
    assert plan.skips == () and "alpha/r" in plan.notes[0]


def test_lora_scaling_convolutions_and_orphans():
    specs = [spec("c.lora_A.weight", (4, 3, 3, 3), attributes={"lora_scaling": 2.0}), spec("c.lora_B.weight", (2, 4, 1, 1))]
    arrays = {s.name: rng().standard_normal(s.shape) for s in specs}
    (only,) = plan_matrices(specs).matrices
    assert (only.rows, only.cols) == (2, 27)  # fewer outputs than the rank
    exact = 2 * arrays["c.lora_B.weight"].reshape(2, 4) @ arrays["c.lora_A.weight"].reshape(4, 27)
    np.testing.assert_allclose(
        np.linalg.svd(build_matrix(only, arrays).stack[0], compute_uv=False), np.linalg.svd(exact, compute_uv=False), rtol=1e-10
    )
    assert planned(spec("c.lora_A.weight", (4, 30))) == [("weight", 1, 4, 30)]


@pytest.mark.parametrize(("g", "v"), [("l.weight_g", "l.weight_v"), ("l.parametrizations.weight.original0", "l.parametrizations.weight.original1")])
def test_weight_normalization_is_undone(g, v):
    specs = [spec(g, (5, 1)), spec(v, (5, 7))]
    arrays = {s.name: rng().standard_normal(s.shape) for s in specs}
    arrays[v][2] = 0
    (only,) = plan_matrices(specs).matrices
    found = build_matrix(only, arrays).stack[0]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.where(np.arange(5) == 2, 0, np.abs(arrays[g][:, 0])))
    assert only.layer == "l.weight"


def test_small_matrices_are_left_out_with_the_rule_named():
    plan = plan_matrices([spec("a.weight", (60, 49)), spec("b.weight", (50, 70)), CONV], ViewOptions(min_rows=50))
    assert [m.layer for m in plan.matrices] == ["b.weight"]
    assert [s.layer for s in plan.skips] == ["a.weight", "c.weight"] and "below 50 (min_rows)" in plan.skips[0].reason
    assert len(plan_matrices([spec("a.weight", (60, 49))]).matrices) == 1


def test_every_tensor_is_accounted_for_and_tied_ones_are_named():
    specs = [spec("e.weight", (9, 4), aliases=("lm_head.weight",)), CONV, spec("b", (3,)), spec("x.lora_A", (2, 5)), spec("x.lora_B", (6, 2))]
    plan = plan_matrices(specs)
    covered = {name for m in plan.matrices for name in m.tensors} | {s.layer for s in plan.skips}
    assert covered == {s.name for s in specs}
    assert any("lm_head.weight: counted once" in note for note in plan.notes)
    assert len({m.key for m in plan.matrices}) == len(plan.matrices)
    assert plan_matrices([]).matrices == ()


def test_misuse_and_lying_headers():
    with pytest.raises(UsageError, match="convolution view"):
        plan_matrices([CONV], ViewOptions(conv="fft"))
    with pytest.raises(UsageError, match="input size"):
        plan_matrices([CONV], ViewOptions(conv="operator"))
    assert "2" in plan_matrices([spec("c1.weight", (8, 4, 5))], ViewOptions(conv="operator", input_size=(3, 3))).skips[0].reason
    only = plan_matrices([CONV]).matrices[0]
    with pytest.raises(CorruptInput, match="missing"):
        build_matrix(only, {})
    with pytest.raises(CorruptInput, match="shape"):
        build_matrix(only, {"c.weight": np.zeros((8, 4, 3))})
    with pytest.raises(CorruptInput, match="inconsistent"):
        build_matrix(plan_matrices([spec("m.w.weight", (4, 6), kind="linear")]).matrices[0], {"m.w.weight": np.zeros((4, 7))[:, :5]})


def test_arrays_are_not_changed_and_not_copied_without_need():
    array = rng().standard_normal((20, 30)).astype(np.float32)
    only = plan_matrices([spec("fc.weight", (20, 30))]).matrices[0]
    stack = build_matrix(only, {"fc.weight": array}).stack
    assert np.shares_memory(stack, array) and stack.dtype == np.float32


def test_reading_order_reads_each_tensor_once():
    specs = [spec("r.weight_hh_l0", (20, 5)), CONV, spec("x.lora_A", (2, 5)), spec("x.lora_B", (6, 2))]
    plan = plan_matrices(specs, ViewOptions(pool=False))
    groups = group_by_tensor(plan.matrices)
    assert [len(g) for g in groups] == [4, 6, 1]
    assert [m for g in groups for m in g] == list(plan.matrices)
    assert group_by_tensor([]) == ()


@pytest.mark.data
def test_a_real_network(real_data):
    """ResNet-20 for CIFAR-10: 19 convolutions and a classifier, and nothing unexplained."""
    from genscope.checkpoints.open import open_checkpoint

    checkpoint = open_checkpoint(real_data / "resnet-cifar10-series" / "resnet20-12fca82f.th")
    plan = plan_matrices(checkpoint.specs)
    views = [m.view for m in plan.matrices]
    assert views.count("slices") == 19 and views.count("weight") == 1
    assert len(plan.matrices) + len(plan.skips) == len(checkpoint.specs)
    for matrix in plan.matrices:
        built_one = build_matrix(matrix, {name: checkpoint.read(name) for name in matrix.tensors})
        assert np.isfinite(built_one.stack).all() and built_one.stack.size == np.prod([matrix.n_matrices, matrix.rows, matrix.cols])
