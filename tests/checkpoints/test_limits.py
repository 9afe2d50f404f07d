import pytest

from genscope.checkpoints.limits import Limits, available_memory, checked_shape, half_of_available_memory
from genscope.errors import CorruptInput, LimitExceeded


def test_defaults_follow_the_written_rules():
    limits = Limits(memory_bytes=1)
    assert (limits.header_bytes, limits.json_bytes, limits.n_tensors, limits.ndim, limits.elements) == (10**8, 64 * 10**6, 10**6, 32, 2**48)
    assert half_of_available_memory() <= max(available_memory(), 2**27)


def test_check_names_the_limit_and_the_value():
    with pytest.raises(LimitExceeded, match=r"w\.bin: 33 is above the limit ndim = 32"):
        Limits().check("ndim", 33, "w.bin")
    Limits().check("ndim", 32, "w.bin")


@pytest.mark.parametrize("shape", [[-1], [1.0], [True], ["4"], [None], [2, [3]]])
def test_shapes_of_other_things_than_sizes_are_refused(shape):
    with pytest.raises(CorruptInput, match="non-negative integer"):
        checked_shape(shape, Limits(), "w")


def test_products_do_not_wrap_around():
    # In 64 bits this product is 4.
    with pytest.raises(LimitExceeded, match="elements"):
        checked_shape([4194305, 4194305, 211106198978564], Limits(), "w")
    assert checked_shape([2**24, 2**24], Limits(), "w") == (2**24, 2**24)
    with pytest.raises(LimitExceeded, match="dimensions"):
        checked_shape([1] * 33, Limits(), "w")
