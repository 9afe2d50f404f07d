"""A user's own sweep: grids, the built-in training, own training functions, tables and rankings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import genscope
from genscope.errors import PartialResult, UsageError
from genscope.experiments.context import Context
from genscope.experiments.study import Study, family_of, load_study, study
from genscope.experiments.study_mlp import MlpSettings, trained_mlps
from genscope.experiments.trained import Trained

TINY = Study("tiny", {"width": [3, 5, 9], "label_noise": [0.0, 0.5]}, fixed={"epochs": 2, "n_train": 80}, measures=["margin", "l2_dist"])


def test_grids_are_all_combinations_and_lists_stay_as_they_are() -> None:
    assert len(TINY.settings) == 6 and TINY.settings[1] == {"epochs": 2, "n_train": 80, "width": 3, "label_noise": 0.5}
    assert TINY.varied == ["width", "label_noise"]
    assert replace(TINY, grid=[{"width": 3}, {"width": 4}]).settings == [{"epochs": 2, "n_train": 80, "width": w} for w in (3, 4)]
    with pytest.raises(UsageError, match="no network"):
        _ = replace(TINY, grid={"width": []}).settings


def test_the_table_has_settings_errors_and_measures_and_stays_when_resumed(tmp_path: Path) -> None:
    told: list[int] = []
    result = study(TINY, store=tmp_path, progress=lambda done, *_: told.append(done))
    assert told == [1, 2, 3, 4, 5, 6]
    row = result.tail["models"][1]
    assert row["model"] == "width 3, label noise 0.5" and row["n_params"] == 64 * 3 + 3 + 30 + 10 if "depth" in row else True
    assert row["gap"] == pytest.approx(row["test_error"] - row["train_error"])
    assert result.head["target"] == "gap" and result.head["options"]["axes"] == ["width", "label_noise"]
    assert not {"train_error", "test_error", "gap"} & {row["measure"] for row in result.rows}
    again = study(TINY, store=tmp_path, run=False)
    assert again.tail["models"] == result.tail["models"] and again.rows == result.rows
    page = result.to_html(tmp_path / "page.html").read_text()
    assert "l2_dist" in page


def test_other_measures_do_not_train_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(TINY, store=tmp_path)

    def never(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("genscope.experiments.study_mlp._train_stack", never)
    result = study(replace(TINY, measures=["inverse_margin"]), store=tmp_path)
    assert "inverse_margin" in result.tail["models"][0]


def test_networks_of_a_stack_are_those_trained_alone() -> None:
    every = [MlpSettings(width=8, epochs=3, n_train=100, learning_rate=rate, label_noise=noise) for rate in (1e-3, 1e-2) for noise in (0.0, 0.3)]
    together = trained_mlps(every, Context())
    for one, settings in zip(together, every, strict=True):
        alone = trained_mlps([settings], Context())[0]
        for name, tensor in alone.model.state_dict().items():
            torch.testing.assert_close(one.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)
        assert all(torch.equal(one.initial[name], tensor) for name, tensor in alone.initial.items())
    assert (together[0].train[1] != together[1].train[1]).float().mean() > 0.1


def test_own_training_functions_and_their_failures(tmp_path: Path) -> None:
    def train(settings: Mapping[str, Any], context: Context) -> Trained:
        if settings["width"] == 4:
            raise RuntimeError("diverged")
        draw = context.generator("own", settings["width"])
        x = torch.randn(60, 5, generator=draw)
        model = torch.nn.Linear(5, 2)
        with torch.no_grad():
            model.weight.copy_(torch.randn(2, 5, generator=draw))
            model.bias.zero_()
        y = (x[:, 0] > 0).long()
        return Trained(model, (x[:40], y[:40]), (x[40:], y[40:]), numbers={"own": settings["width"] ** 2})

    own = Study("own", {"width": [1, 2, 3, 4, 5]}, train=train, measures=["margin"], target="own")
    result = study(own, store=tmp_path)
    assert result.head["n_models"] == 4 and [row["own"] for row in result.tail["models"]] == [1, 4, 9, 25]
    assert any("width 4 failed: RuntimeError: diverged" in note for note in result.tail["notes"])
    assert any("1 of 5 networks are not finished" in note for note in result.tail["notes"])
    with pytest.raises(UsageError, match="no column 'gpa'"):
        study(replace(own, target="gpa"), store=tmp_path)
    with pytest.raises(PartialResult, match=r"must return a genscope\.Trained"):
        study(replace(own, name="wrong", train=lambda settings, context: None), store=tmp_path)  # type: ignore[arg-type, return-value]


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no measure 'margn'; did you mean margin"):
        study(replace(TINY, measures=["margn"]), store=tmp_path)
    for fixed, sentence in (({"widht": 3}, "no setting 'widht'"), ({"optimizer": "lion"}, "no optimizer 'lion'")):
        with pytest.raises(PartialResult, match=sentence):
            study(Study("wrong", {"seed": [0, 1, 2]}, fixed=fixed, measures=["margin"]), store=tmp_path)
    with pytest.raises(PartialResult, match="no built-in training 'cnn'"):
        study(Study("wrong2", {"seed": [0, 1, 2]}, train="cnn"), store=tmp_path)


@pytest.mark.slow
def test_workers_elsewhere_get_the_functions_of_a_spec_by_value(tmp_path: Path) -> None:
    spec = tmp_path / "sweep.py"
    spec.write_text(
        "import genscope, torch\n"
        "SCALE = 3\n"
        "def train(settings, context):\n"
        "    x = torch.randn(30, 4, generator=context.generator('x', settings['k']))\n"
        "    return genscope.Trained(torch.nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), numbers={'goal': SCALE * settings['k']})\n"
        "STUDY = genscope.Study('spec', {'k': [1, 2, 3, 4]}, train=train, measures=['margin'], target='goal')\n"
    )
    result = genscope.study(spec, store=tmp_path / "store", jobs=2)
    assert [row["goal"] for row in result.tail["models"]] == [3, 6, 9, 12]


def test_the_example_is_the_study_it_says(tmp_path: Path) -> None:
    example = load_study(Path(__file__).parents[2] / "examples" / "study.py")
    assert len(example.settings) == 96 and set(example.varied) == {"width", "depth", "learning_rate", "batch_size", "label_noise"}
    assert all(MlpSettings.of(settings) for settings in example.settings)
    assert len({cell.name for cell in family_of(example).cells("full")}) == 96
