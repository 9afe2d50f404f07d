import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genscope.core.files import write_atomically
from genscope.core.results import Result
from genscope.core.seeds import generator_for
from genscope.core.status import Undefined
from genscope.core.strict_json import dumps
from genscope.core.text import display_name
from genscope.errors import StoreError
from genscope.sources.store import load


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_is_strict_for_any_value(value: object) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    text = dumps(value)
    text.encode("utf-8")
    json.loads(text, parse_constant=refuse)


def test_json_of_what_does_not_exist_is_null() -> None:
    assert (
        dumps([float("nan"), float("inf"), Undefined("no"), np.float64("nan"), np.int64(3), np.array([1.5])]) == "[null, null, null, null, 3, [1.5]]"
    )
    assert json.loads(dumps("a\udc80b")) == "a\\udc80b"
    with pytest.raises(TypeError):
        dumps(object())


@given(st.text(st.characters(), max_size=400))
def test_displayed_names_cannot_steer_a_terminal(name: str) -> None:
    shown = display_name(name)
    assert len(shown) <= 120 and shown.isprintable() and not set(shown) & set("\x1b\u202e\u2066\u200f")


def test_generators_depend_on_seed_and_names_only() -> None:
    draws = {(seed, name): generator_for(seed, "node", name).random() for seed in (0, 1) for name in ("a", "b")}
    assert len(set(draws.values())) == 4
    assert generator_for(0, "node", "a").random() == draws[0, "a"]
    assert generator_for(0, "ab", "c").random() != generator_for(0, "a", "bc").random()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    result = Result(
        "analyze",
        {"source": "m", "summary": {"alpha": 2.5}},
        [{"layer": "fc", "alpha": None}],
        {"skipped": []},
        {"fc::weight": {"ccdf": {"x": [1.0], "y": [1.0]}}},
        {"seed": 0},
        {"seconds": 1.0},
    )
    result.save(tmp_path / "kept")
    again = load(tmp_path / "kept")
    assert again.to_dict() == json.loads(result.to_json()) and again.curves == result.curves
    assert list(result.table.columns) == ["layer", "alpha"]
    assert "fc" in result._repr_html_() and "<script>" not in Result("analyze", {}, [{"layer": "<script>"}])._repr_html_()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"verb": "analyze"}', '{"verb": "analyze", "matrices": [], "schema_version": 999}', "[" * 100_000]
)
def test_damaged_stores_end_in_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(StoreError):
        load(tmp_path)
