"""The planned shape is the shape of what is built."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genscope.layers.steps import apply_steps, reshape, shape_after, take, transpose


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.data())
def test_shape_after_predicts_apply_steps(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    start = data.draw(st.integers(0, 4))
    steps = (transpose(*axes), take(0, start, data.draw(st.integers(start, 5)), data.draw(st.integers(1, 3))))
    array = np.arange(np.prod(shape)).reshape(shape)
    size = min(array.shape[axes[0]], 5)
    steps = (steps[0], take(0, 0, size, steps[1][4]))
    found = apply_steps(array, steps)
    assert found.shape == shape_after(tuple(shape), steps)
    flat = (*steps, reshape(found.size))
    assert apply_steps(array, flat).shape == shape_after(tuple(shape), flat) == (found.size,)
