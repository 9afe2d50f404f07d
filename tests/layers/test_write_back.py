"""What is built can be put back, view by view."""

import numpy as np
import pytest

from genscope.core.tensors import TensorSpec
from genscope.errors import UsageError
from genscope.layers.matricize import ViewOptions, build_matrix, plan_matrices
from genscope.layers.write_back import write_back

SPECS = [
    TensorSpec("c.weight", (8, 4, 3, 2), "float32", 0),
    TensorSpec("g.weight", (8, 2, 3, 3), "float32", 0, attributes={"groups": 4}),
    TensorSpec("r.weight_hh_l0", (20, 5), "float32", 0),
    TensorSpec("h.query_key_value.weight", (12, 5), "float32", 0, attributes={"num_heads": 2}),
    TensorSpec("h.0.attn.c_attn.weight", (8, 24), "float32", 0),
    TensorSpec("conv/kernel:0", (3, 3, 2, 5), "float32", 0),
    TensorSpec("m.experts.w1", (3, 4, 6), "float32", 0),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
@pytest.mark.parametrize("options", [ViewOptions(), ViewOptions(pool=False, pool_experts=True), ViewOptions(conv="reshape")])
def test_doubling_every_view_doubles_the_tensor(spec, options):
    tensor = np.random.default_rng(0).standard_normal(spec.shape).astype(np.float32)
    out = tensor
    for view in plan_matrices([spec], options).matrices:
        out = write_back(view, out, 2 * build_matrix(view, {spec.name: tensor}).stack)
    np.testing.assert_array_equal(out, 2 * tensor)
    assert out.dtype == np.float32


def test_misuse():
    operator = plan_matrices(SPECS[:1], ViewOptions(conv="operator", input_size=4)).matrices[0]
    with pytest.raises(UsageError, match="written back"):
        write_back(operator, np.zeros((8, 4, 3, 2)), np.zeros((1, 2, 2)))
    with pytest.raises(UsageError, match="shape"):
        write_back(plan_matrices(SPECS[:1]).matrices[0], np.zeros((8, 4, 3, 2)), np.zeros((1, 8, 4)))
