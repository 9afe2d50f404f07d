"""Whatever names and shapes a checkpoint holds: no exception, no tensor forgotten, no entry used twice, no key repeated."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genscope.core.tensors import TensorSpec
from genscope.layers.matricize import ViewOptions, build_matrix, plan_matrices

WORDS = """
weight bias conv1 attn in_proj_weight qkv c_attn c_fc c_proj query_key_value gate_up_proj down_proj experts lora_A lora_B weight_g weight_v mask h 0
weight_ih_l0 weight_hh_l0 weight_hr_l0 wte pos_embed deconv bilinear depthwise kernel parametrizations original0 original1 \u202e <b>
"""
KINDS = (None, "linear", "conv2d", "lstm", "gru", "attention", "experts", "embedding", "LayerNorm", "conv_transpose1d", "nonsense")
names = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=4).map(".".join)
tensors = st.builds(
    lambda name, shape, dtype, kind, layout, facts: TensorSpec(name, tuple(shape), dtype, 0, kind, layout, facts),
    names,
    st.lists(st.integers(0, 6), max_size=6),
    st.sampled_from(["float32", "bfloat16", "int64", "complex64", "Q4_0"]),
    st.sampled_from(KINDS),
    st.sampled_from(["torch", "torch", "keras"]),
    st.fixed_dictionaries({}, optional={"groups": st.sampled_from([1, 2, 3]), "num_heads": st.sampled_from([1, 2]), "stride": st.just(2)}),
)
views = st.sampled_from(
    [ViewOptions(), ViewOptions(pool=False, pool_experts=True), ViewOptions(conv="reshape", num_heads=2), ViewOptions("operator", input_size=4)]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(tensors, max_size=6, unique_by=lambda t: t.name), views)
def test_any_checkpoint_gets_a_complete_plan(specs, options):
    plan = plan_matrices(specs, options)
    assert {n for m in plan.matrices for n in m.tensors} | {s.layer for s in plan.skips} == {s.name for s in specs}
    assert len({m.key for m in plan.matrices}) == len(plan.matrices)
    assert all(m.n_eigenvalues > 0 for m in plan.matrices)
    arrays = {s.name: np.arange(s.n_elements, dtype=float).reshape(s.shape) for s in specs}
    sizes = {s.name: s.n_elements for s in specs}
    used: dict[str, int] = {}
    for matrix in plan.matrices:
        built = build_matrix(matrix, arrays)
        if built.stack is not None and len(matrix.tensors) == 1:
            used[matrix.layer] = used.get(matrix.layer, 0) + built.stack.size
    assert all(sizes[name] == count for name, count in used.items())


def test_a_hundred_thousand_tensors_are_planned_in_seconds():
    specs = [
        TensorSpec(f"layers.{i}.{word}", (8, 8), "float32", 256)
        for i in range(10000)
        for word in ("q.weight", "k.weight", "lora_A", "lora_B", "n.bias")
    ]
    start = time.process_time()
    plan = plan_matrices(specs)
    assert len(plan.matrices) == 30000 and time.process_time() - start < 10
