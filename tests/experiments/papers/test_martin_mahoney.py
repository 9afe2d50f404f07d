"""Martin & Mahoney's figures: the printed pairs and published tables to their last digit, and judges on tables with known answers."""

from pathlib import Path

import numpy as np
import pytest

from genscope.core.seeds import generator_for
from genscope.experiments.context import Context
from genscope.experiments.papers import martin_mahoney_compressed as compressed
from genscope.experiments.papers import martin_mahoney_exponents as exponents
from genscope.experiments.papers import martin_mahoney_planted as planted
from genscope.experiments.papers import martin_mahoney_series as series
from genscope.experiments.papers.martin_mahoney_tables import TABLES, Tables, architecture_of, associate
from genscope.numerics.power_law import fit_power_law
from genscope.numerics.singular_values import singular_values


@pytest.fixture(scope="module")
def tables(real_data: Path) -> Tables:
    outcome = TABLES.run(TABLES.cells("smoke")[0], Context(data={"": str(real_data)}))
    return Tables(dict(outcome.numbers), dict(outcome.arrays))


def synthetic(slope: float, n: int = 60, noise: float = 0.1) -> Tables:
    """ImageNet models whose error rises with the exponent by ``slope``; the size says nothing."""
    rng = generator_for(0, "test", "tables")
    alpha = rng.uniform(2, 6, n)
    error = 20 + slope * alpha + noise * rng.standard_normal(n)
    names = {"zoo_models": [f"net{k}_a" for k in range(n)], "zoo_datasets": ["imagenet1k"] * n, "series": [], "models": []}
    arrays = {"zoo_error": error, "zoo_top1": error, "zoo_alpha": alpha, "zoo_params": rng.uniform(1e6, 1e8, n)}
    arrays |= {f"zoo_{name}": rng.standard_normal(n) for name in ("alpha_weighted", "log_spectral_norm", "log_norm")}
    return Tables(names, arrays)


def test_the_printed_vgg_pairs() -> None:
    hat, accuracy, _ = series.VGG.columns()
    found = associate(hat, accuracy)
    assert found.line.slope == pytest.approx(-5.279, abs=5e-4) and found.line.intercept == pytest.approx(78.71, abs=5e-3)
    assert found.line.r2 == pytest.approx(0.964, abs=5e-4) and found.line.rmse == pytest.approx(0.323, abs=5e-4)
    assert found.kendall == pytest.approx(-0.929, abs=5e-4)
    assert series.judge_series(series.VGG, None).verdict == "HOLDS"


def test_the_printed_resnet_pairs() -> None:
    hat, accuracy, _ = series.RESNET.columns()
    found = associate(hat, accuracy)
    assert len(hat) == 15
    assert found.line.slope == pytest.approx(-5.67, abs=5e-3) and found.line.r2 == pytest.approx(0.692, abs=5e-4)
    assert found.line.rmse == pytest.approx(4.43, abs=6e-3) and found.kendall == pytest.approx(-0.829, abs=5e-4)


@pytest.mark.data
def test_the_later_table_of_vgg(tables: Tables) -> None:
    judged = series.judge_series(series.VGG, tables)
    found = {check.statistic.rpartition("R² of ")[2]: check for check in judged.checks if check.statistic.startswith("later")}
    assert found["log spectral norm"].observed == pytest.approx(0.981, abs=5e-4)
    assert found["α-hat"].observed == pytest.approx(0.915, abs=5e-4) and "τ -0.929" in found["α-hat"].note
    assert "wrong sign" in judged.meaning


@pytest.mark.data
def test_the_published_exponents(tables: Tables) -> None:
    alphas = tables.arrays["matrix_alpha"]
    assert len(tables.names["models"]) == 36 and len(alphas) > 6400
    assert exponents.share_within(alphas) == pytest.approx(0.69, abs=0.005)
    assert exponents.share_within(alphas, 2, 6) == pytest.approx(0.74, abs=0.005)
    assert np.mean(alphas < 2) == pytest.approx(0.20, abs=0.006) and np.median(alphas) == pytest.approx(2.81, abs=0.006)
    assert exponents.judge_histogram(tables, np.array([3.0, 7.0])).verdict == "FAILS"


@pytest.mark.data
def test_classes_of_the_published_table(tables: Tables) -> None:
    assert len(tables.imagenet()) == 177
    shares, n, against = series.signed_shares(tables)
    assert n > 20 and 0.7 < shares["alpha_weighted"] < 1.0 and "cub/resnet" in against
    assert series.judge_weighting(tables).checks[1].passed is True


@pytest.mark.data
def test_the_checkpoints(real_data: Path) -> None:
    context = Context(data={"": str(real_data)})
    found = {cell.settings["checkpoint"]: compressed.CHECKPOINTS.run(cell, context).arrays for cell in compressed.CHECKPOINTS.cells("smoke")}
    spectra = {name: dict(arrays) for name, arrays in found.items()}
    assert all(len(arrays["alpha"]) == 45 for arrays in spectra.values())
    assert compressed.judge_norms(spectra).checks[0].observed == 2
    assert compressed.judge_exponents(spectra).verdict == "HOLDS-BUT-NULL-TOO"
    assert compressed.judge_claim(spectra).verdict == "UNTESTABLE-AS-STATED"


def test_average_exponent_true_null_and_false() -> None:
    true = exponents.judge_average(synthetic(2.0))
    assert true.verdict == "HOLDS"
    assert exponents.judge_average(synthetic(-2.0)).verdict == "FAILS"
    confounded = synthetic(2.0)
    arrays = {**confounded.arrays, "zoo_params": 10 ** (9 - confounded.arrays["zoo_error"] / 20)}
    assert exponents.judge_average(Tables(confounded.names, arrays)).verdict == "HOLDS-BUT-NULL-TOO"


def test_the_limit_of_the_best() -> None:
    assert exponents.judge_limit(synthetic(3.0, n=200)).verdict in {"HOLDS", "INCONCLUSIVE"}
    assert exponents.judge_limit(synthetic(-3.0, n=200)).verdict == "FAILS"


def test_a_covariate_that_explains_everything_leaves_nothing() -> None:
    rng = generator_for(1, "test", "partial")
    size = rng.standard_normal(400)
    x, y = size + 0.3 * rng.standard_normal(400), size + 0.3 * rng.standard_normal(400)
    assert abs(exponents.partial_spearman(x, y, size)) < 0.12
    assert exponents.partial_spearman(x, y, rng.standard_normal(400)) > 0.8


def test_layers_that_grow() -> None:
    layer = np.repeat(np.arange(5), 3)
    before = {"lambda_max": np.ones(15), "layer": layer}
    after = {"lambda_max": np.where(layer < 2, 2.0, 1.05), "layer": layer}
    assert compressed.layers_that_grew(before, after) == 2
    assert compressed.layers_that_grew(after, before) == 0


def test_paired_interval_holds_the_mean() -> None:
    differences = generator_for(2, "test", "pairs").standard_normal(200) + 0.5
    low, high = compressed.paired_interval(differences)
    assert low < differences.mean() < high
    assert high - low == pytest.approx(4 * differences.std() / np.sqrt(200), rel=0.1)


@pytest.mark.parametrize("alpha", [1.5, 2.5])
def test_planted_matrices_have_the_planted_spectrum(alpha: float) -> None:
    rng = generator_for(3, "test", "planted", str(alpha))
    matrix = planted.draw_matrix("planted", alpha, 900, 300, rng)
    fit = fit_power_law(singular_values(matrix).values ** 2 / 900)
    assert fit.alpha is not None and fit.alpha_stderr is not None
    assert abs(fit.alpha - alpha) < 3 * fit.alpha_stderr


@pytest.mark.parametrize(
    ("name", "kind"), [("bn_vgg16b", "vgg"), ("resnetbc26b", "resnet"), ("efficientnet_b7c", "efficientnet"), ("wrn50_2", "wrn")]
)
def test_architectures(name: str, kind: str) -> None:
    assert architecture_of(name) == kind
