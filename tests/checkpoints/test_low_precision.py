"""Widening is exact: every code of every narrow type against ``ml_dtypes``."""

import ml_dtypes
import numpy as np
import pytest

from genscope.checkpoints.low_precision import BYTES, widen
from genscope.errors import UnsupportedInput


@pytest.mark.parametrize("dtype", [name for name, size in BYTES.items() if size == 1])
def test_all_codes_of_the_eight_bit_floats(dtype: str):
    raw = bytes(range(256))
    expected = np.frombuffer(raw, dtype=getattr(ml_dtypes, dtype)).astype(np.float32)
    np.testing.assert_array_equal(widen(raw, dtype, (16, 16)), expected.reshape(16, 16))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("dtype", "kind"), [("bfloat16", ml_dtypes.bfloat16), ("float16", np.float16)])
def test_all_codes_of_the_sixteen_bit_floats(dtype: str, kind: type):
    raw = np.arange(2**16, dtype="<u2").tobytes()
    np.testing.assert_array_equal(widen(raw, dtype, (2**16,)), np.frombuffer(raw, dtype=kind).astype(np.float32))


def test_wide_types_stay_and_others_are_refused():
    assert widen(np.ones(2).tobytes(), "float64", (2,)).dtype == np.float64
    assert widen(np.ones(2, "f4").tobytes(), "float32", (1, 2)).shape == (1, 2)
    with pytest.raises(UnsupportedInput, match="int8"):
        widen(b"\0", "int8", (1,))
