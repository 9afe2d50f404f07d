"""Published numbers and real files: what the field printed, recomputed."""

import json
from pathlib import Path

import numpy as np
import pytest

import genscope

pytestmark = pytest.mark.data
SERIES = {"resnet20-12fca82f.th": 91.73, "resnet32-d509ac18.th": 92.63, "resnet44-014dd654.th": 93.10, "resnet56-4bfd9763.th": 93.39}


def test_onnx_with_printed_values(real_data: Path) -> None:
    expected = json.loads((real_data / "onnx-tiny" / "expected.json").read_text())["rows"]
    result = genscope.analyze(real_data / "onnx-tiny" / "tempNetwork.onnx", convention="weightwatcher", resamples=0)
    ours = {row["layer"]: row["weightwatcher"] for row in result.rows}
    for row in expected:
        found = ours[row["name"]]
        for name, digits in (("spectral_norm", 6), ("stable_rank", 5), ("sv_max", 6), ("entropy", 5), ("rf", 0)):
            assert round(found[name], digits) == pytest.approx(round(row[name], digits), abs=0.6 * 10**-digits), (row["name"], name)


@pytest.fixture(scope="module")
def series(request: pytest.FixtureRequest) -> list[genscope.Result]:
    folder = request.getfixturevalue("real_data") / "resnet-cifar10-series"
    return [genscope.analyze(folder / name, resamples=0) for name in SERIES]


def test_every_tensor_of_the_residual_series_ends_as_matrices_or_a_reason(series: list[genscope.Result]) -> None:
    for depth, result in zip((20, 32, 44, 56), series, strict=True):
        assert result.summary["n_matrices"] == depth and result.summary["n_fitted"] == depth
        assert all(entry["reason"] for entry in result.tail["skipped"])


def test_norms_equal_a_plain_svd_of_the_weights(series: list[genscope.Result], real_data: Path) -> None:
    torch = pytest.importorskip("torch")
    state = torch.load(real_data / "resnet-cifar10-series" / next(iter(SERIES)), map_location="cpu", weights_only=True)["state_dict"]
    rows = {row["layer"]: row for row in series[0].rows}
    for name, weight in state.items():
        row = rows.get(name.removeprefix("module."))
        if row is None or weight.ndim != 4:
            continue
        slices = weight.double().numpy().transpose(2, 3, 0, 1).reshape(-1, *weight.shape[:2])
        squared = np.linalg.svd(slices, compute_uv=False) ** 2
        assert row["lambda_max"] == pytest.approx(squared.max(), rel=1e-9)
        assert row["log_frobenius_norm"] == pytest.approx(np.log10(squared.sum()), abs=1e-9)


def test_norms_track_accuracy_in_the_residual_series(series: list[genscope.Result]) -> None:
    # deeper nets of this series are better and have smaller layers: four models, so only the order is asked for
    norms = [result.summary["log_frobenius_norm"] for result in series]
    assert norms == sorted(norms, reverse=True)


def test_zero_layers_have_norms_undefined_and_do_not_stop_the_rest(real_data: Path) -> None:
    result = genscope.analyze(real_data / "distiller-resnet20" / "checkpoint_trained_4D_regularized_5Lremoved.safetensors", resamples=0)
    zero = [row for row in result.rows if row["lambda_max"] == 0]
    names = {"layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2", "layer2.2.conv2"}
    assert {row["layer"].removesuffix(".weight") for row in zero} == names
    assert all(row["alpha"] is None and row["status"] == "skipped" and row["reason"] for row in zero)
    assert result.summary["n_fitted"] == result.summary["n_matrices"] - 5


def test_a_class_in_a_pickle_is_not_imported(real_data: Path) -> None:
    folder, name = real_data / "distiller-resnet20", "checkpoint_trained_channel_regularized_resnet20"
    original = genscope.analyze(folder / "original" / f"{name}.pth.tar", resamples=0)
    twin = genscope.analyze(folder / f"{name}.safetensors", resamples=0)
    assert {row["layer"]: row["alpha"] for row in original.rows} == {row["layer"]: row["alpha"] for row in twin.rows}


def test_the_series_ranked_against_its_reported_accuracy(real_data: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("model,accuracy\n" + "\n".join(f"{name},{accuracy}" for name, accuracy in SERIES.items()))
    folder = real_data / "resnet-cifar10-series"
    result = genscope.compare([folder / name for name in SERIES], scores=scores, resamples=0, include=["*conv*", "*linear*"])
    ranking = {row["measure"]: row for row in result.summary["ranking"]}
    # deeper is better here and has smaller layers, so every norm orders the four; alpha-hat with them, and depth alone just as well
    for name in ("log_frobenius_norm", "log_spectral_norm", "alpha_weighted"):
        assert ranking[name]["kendall"] == pytest.approx(-1.0), name
    assert ranking["n_layers"]["kendall"] == pytest.approx(1.0)
    assert all(row["status"] != "ok" for row in ranking.values()), "four models cannot settle anything"
