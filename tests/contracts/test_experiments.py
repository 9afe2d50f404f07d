"""Every experiment of the registry keeps the contract: it is told well, runs at size smoke, and is judged and drawn from the store alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genscope.core import strict_json
from genscope.experiments.registry import experiments, find_experiment
from genscope.experiments.reproduce import reproduce
from genscope.experiments.store import RunStore
from genscope.experiments.values import COSTS, SIZES, VERDICTS, Experiment, Family
from genscope.figures.theme import THEMES

ALL = experiments()
FAMILIES = {family.name: family for experiment in ALL.values() for family in experiment.families}
SOURCES = ("Martin & Mahoney", "Liao et al.", "Huang et al.", "Poggio et al.", "Neyshabur et al.")
FIELDS = {"id", "claim", "source", "size", "verdict", "checks", "n_runs"}
CHECK_FIELDS = {"statistic", "expected", "observed", "low", "high", "null", "passed"}


@pytest.fixture(scope="session")
def smoke_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all, so that shared families and networks are run once."""
    return tmp_path_factory.mktemp("smoke") / "store"


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path | None:
    try:
        return request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return None


@pytest.mark.parametrize("experiment", ALL.values(), ids=list(ALL))
def test_it_is_told_well(experiment: Experiment) -> None:
    assert re.fullmatch(r"S[0-4]-[FCTA]\d+[a-z]?(,[a-z])*|[A-Z0-9]+-[A-Za-z0-9,-]+", experiment.id)
    assert find_experiment(experiment.id.lower()) is experiment
    assert experiment.source.startswith(SOURCES)
    assert experiment.title and len(experiment.title) <= 90 and len(experiment.claim) >= 30
    assert experiment.families and experiment.cost in COSTS
    assert experiment.draw is None or experiment.caption, "a figure needs a caption: axes, units, number of runs"
    for text in (experiment.claim, experiment.title, experiment.source, experiment.caption, experiment.paper_figure, *experiment.errata):
        assert not re.search(r"\bS[0-4](?!-[FCTAQPXL])\b paper|TODO", text)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_its_cells_can_be_planned_without_running_anything(family: Family, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "none")
    for size in SIZES:
        cells = list(family.cells(size))
        keys = {store.key(family, cell) for cell in cells}
        assert cells and len(keys) == len(cells)
        assert len({cell.name for cell in cells}) == len(cells), "people tell cells apart by their names"
        for cell in cells:
            assert json.loads(strict_json.dumps(dict(cell.settings))) == strict_json.plain(dict(cell.settings))


def test_one_name_is_one_family() -> None:
    for experiment in ALL.values():
        for family in experiment.families:
            assert FAMILIES[family.name] == family


@pytest.mark.parametrize("experiment", [pytest.param(one, id=one.id, marks=[pytest.mark.slow] if one.cost == "T2" else []) for one in ALL.values()])
def test_smoke_runs_and_is_judged_and_drawn_from_the_store_alone(
    experiment: Experiment, smoke_store: Path, data: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reproduce(experiment, size="smoke", store=smoke_store, data=data, figure=False)
    document = first.to_dict()
    assert document.keys() >= FIELDS and document["verdict"] in VERDICTS
    if first.tail["missing_data"]:
        assert document["verdict"] == "INCONCLUSIVE" and "--data-dir" in document["meaning"]
        return
    assert not [note for note in first.tail["notes"] if "failed" in note], first.tail["notes"]
    assert first.tail["n_missing"] == 0 or experiment.partial
    assert document["n_runs"] > 0 and len(document["meaning"]) > 20
    assert document["checks"] or document["verdict"] == "UNTESTABLE-AS-STATED"
    for check in document["checks"]:
        assert check.keys() >= CHECK_FIELDS and check["statistic"] and check["expected"]
        assert check["low"] is None or check["low"] <= check["high"]

    def nothing_runs(*_: object) -> None:
        raise AssertionError("a finished store needs no runs")

    monkeypatch.setattr("genscope.experiments.execute._outcomes", nothing_runs)
    again = reproduce(experiment, size="smoke", store=smoke_store, run=False)
    assert strict_json.dumps(again.rows) == strict_json.dumps(first.rows) and again.head == first.head
    if experiment.draw is not None:
        drawn = again.curves["figure"]
        assert set(drawn) == {"kind", *THEMES} and drawn["light"] != drawn["dark"]


def test_the_list_is_quick_and_loads_no_torch() -> None:
    script = "import sys\nfrom genscope.experiments.registry import experiments\nexperiments()\nsys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, "reading the registry loads torch; import it inside the functions of the experiment's module"
