import base64
import zlib

import numpy as np
import pytest

from genscope.core import strict_json
from genscope.core.grids import pack_grid, unpack_grid
from genscope.errors import CorruptInput


@pytest.mark.parametrize(
    "grid", [np.arange(12).reshape(3, 4), np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4), np.zeros((0, 5), dtype=int)]
)
def test_a_grid_comes_back_through_json(grid):
    import json

    packed = json.loads(strict_json.dumps(pack_grid(grid)))
    np.testing.assert_array_equal(unpack_grid(packed), grid)


def test_numbers_that_fit_no_byte_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        pack_grid(np.array([256]))
    with pytest.raises(ValueError, match="do not fit"):
        pack_grid(np.array([-1]))


GOOD = pack_grid(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        {},
        {**GOOD, "type": "object"},
        {**GOOD, "shape": [3, 5]},
        {**GOOD, "shape": [3, 3]},
        {**GOOD, "shape": [-3, -4]},
        {**GOOD, "shape": [True, 12]},
        {**GOOD, "shape": [2**20, 2**20]},
        {**GOOD, "shape": "12"},
        {**GOOD, "zlib": GOOD["zlib"][:-8]},
        {**GOOD, "zlib": "not base64!"},
        {**GOOD, "zlib": base64.b64encode(zlib.compress(bytes(10**7))).decode()},
    ],
)
def test_damaged_and_hostile_grids_end_in_a_sentence(damage):
    with pytest.raises(CorruptInput, match="grid of the result"):
        unpack_grid(damage)
