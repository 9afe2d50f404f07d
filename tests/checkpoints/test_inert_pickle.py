import collections
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genscope.checkpoints.inert_pickle import InertUnpickler
from genscope.checkpoints.inert_values import InertGlobal, InertObject, OpaqueKey
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.checkpoints.torch_rebuild import REBUILDERS, array_of, is_array
from genscope.errors import CorruptInput, GenscopeError

LIMITS = Limits(memory_bytes=10**9)


def load(raw, rebuild=REBUILDERS):
    return InertUnpickler(PickleBytes.of(raw, "x.pkl"), LIMITS, rebuild).load()


keys = st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.binary(), st.tuples(st.integers(), st.text()))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
plain = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.tuples(inner), st.dictionaries(keys, inner)), max_leaves=30
)


@settings(max_examples=150, deadline=None)
@given(plain, st.integers(0, 5))
def test_plain_data_equals_the_library(value, protocol):
    raw = pickle.dumps(value, protocol)
    assert load(raw) == pickle.loads(raw) == value


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_standard_library(protocol):
    value = [{1, 2}, frozenset("a"), collections.OrderedDict(b=1), bytearray(b"xyz"), 10**40, -(2**70), "ü\ud800\n'\"\\", 1.5e300, [None] * 2000]
    read = load(pickle.dumps(value, protocol))
    assert sorted(read[0]) == [1, 2] and list(read[1]) == ["a"] and read[2] == {"b": 1} and read[4:] == value[4:]


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_described_as_data(protocol):
    for array in (np.arange(6.0).reshape(2, 3), np.arange(3, dtype=">i2"), np.array(2.5, dtype="f4"), np.asfortranarray(np.arange(6).reshape(2, 3))):
        value = load(pickle.dumps(array, protocol))
        assert is_array(value)
        np.testing.assert_array_equal(array_of(value), array)


class Local:
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_become_placeholders_with_their_state(protocol):
    value = load(pickle.dumps({"o": Local([1, 2])}, protocol))["o"]
    assert isinstance(value, InertObject) and value.class_name.endswith(".Local") and dict(value.members()) == {"inner": [1, 2]}


def test_names_are_never_imported():
    before = set(sys.modules)
    value = load(b"cthis_module_does_not_exist\nname\n.")
    assert isinstance(value, InertGlobal) and value.full_name == "this_module_does_not_exist.name" and set(sys.modules) == before


def test_odd_keys_stand_for_themselves():
    value = load(b"}(](K\x01eK\x02u.")
    assert isinstance(next(iter(value)), OpaqueKey) and list(value.values()) == [2]


def test_reading_goes_on_where_the_pickle_ended():
    first, second = pickle.dumps([1]), pickle.dumps("two")
    taken = []

    def pread(offset, length):
        taken.append((offset, length))
        return (first + second)[offset : offset + length]

    source = PickleBytes(pread, 0, len(first) + len(second), "x")
    assert InertUnpickler(source, LIMITS).load() == [1] and source.position == len(first)
    assert InertUnpickler(source, LIMITS).load() == "two" and len(taken) == 1
    with pytest.raises(CorruptInput):
        InertUnpickler(source, LIMITS).load()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_every_cut_is_refused(protocol):
    raw = pickle.dumps({"a": [1, 2.5, "x", (3, None)], "b": 10**30}, protocol)
    for end in range(len(raw)):
        with pytest.raises(GenscopeError):
            load(raw[:end])
