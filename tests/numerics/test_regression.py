"""Lines against scikit-learn, leave-one-out against leaving one out, and two published tables."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from genscope.numerics.bootstrap import resampling_weights
from genscope.numerics.rank_correlation import kendall_tau
from genscope.numerics.regression import fit_line, weighted_lines

# Martin & Mahoney, "Universality and capacity metrics": Top-1 accuracy and alpha-hat as printed.
VGG = np.array([[68.97, 1.84], [70.45, 1.60], [69.66, 1.65], [71.51, 1.36], [71.64, 1.41], [73.52, 1.08], [72.08, 1.16], [74.27, 0.81]])
RESNET = np.array(
    [
        [62.54, 1.94],
        [63.82, 0.74],
        [66.83, 1.70],
        [69.10, 1.49],
        [50.50, 1.83],
        [62.96, 1.82],
        [66.39, 0.28],
        [70.48, 1.09],
        [74.34, -0.42],
        [76.21, 0.13],
        [76.95, 0.09],
        [78.10, -0.67],
        [78.55, -0.92],
        [78.74, -1.11],
        [79.26, -1.74],
    ]
)


def test_published_vgg_regression() -> None:
    fit = fit_line(VGG[:, 1], VGG[:, 0])
    assert fit is not None
    assert (round(fit.slope, 3), round(fit.intercept, 2), round(fit.r2, 3), round(fit.rmse, 3)) == (-5.279, 78.71, 0.964, 0.323)
    assert round(kendall_tau(VGG[:, 1], VGG[:, 0]) or 0, 3) == -0.929


def test_published_resnet_regression() -> None:
    fit = fit_line(RESNET[:, 1], RESNET[:, 0])
    assert fit is not None
    assert (round(fit.slope, 2), round(fit.r2, 3), round(fit.rmse, 3)) == (-5.67, 0.692, 4.425)
    assert round(kendall_tau(RESNET[:, 1], RESNET[:, 0]) or 0, 3) == -0.829


@pytest.mark.parametrize("n", [3, 10, 60])
def test_equals_scikit_learn(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(3, 2, n), rng.normal(size=n)
    fit, model = fit_line(x, y), LinearRegression().fit(x[:, None], y)
    assert fit is not None
    assert (fit.slope, fit.intercept) == pytest.approx((model.coef_[0], model.intercept_))
    assert fit.r2 == pytest.approx(model.score(x[:, None], y))
    assert fit.rmse == pytest.approx(np.sqrt(np.mean((y - model.predict(x[:, None])) ** 2)))
    left_out = y - cross_val_predict(LinearRegression(), x[:, None], y, cv=LeaveOneOut())
    assert fit.loo_residuals == pytest.approx(left_out)
    means = y - np.array([np.delete(y, k).mean() for k in range(n)])
    assert fit.loo_r2 == pytest.approx(1 - (left_out**2).sum() / (means**2).sum())


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e12, 1e200])
def test_the_fit_does_not_depend_on_the_unit_of_the_measure(scale: float) -> None:
    base, scaled = fit_line(VGG[:, 1], VGG[:, 0]), fit_line(VGG[:, 1] * scale, VGG[:, 0])
    assert base is not None and scaled is not None
    assert (scaled.r2, scaled.rmse, scaled.loo_rmse, scaled.slope * scale) == pytest.approx((base.r2, base.rmse, base.loo_rmse, base.slope))


def test_one_model_that_decides_the_slope_has_no_leave_one_out_error() -> None:
    fit = fit_line(np.array([0.0, 0.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 9.0]))
    assert fit is not None and fit.r2 > 0.8
    assert fit.loo_rmse is None and fit.loo_r2 is None


def test_degenerate_columns() -> None:
    assert fit_line(np.ones(5), np.arange(5.0)) is None
    assert fit_line(np.arange(2.0), np.arange(2.0)) is None
    flat = fit_line(np.arange(5.0), np.ones(5))
    assert flat is not None and flat.r2 == 0.0 and flat.loo_r2 is None


def test_weighted_lines_are_fits_of_copies() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=12), rng.normal(size=12)
    weights = resampling_weights(12, 8, rng)
    slope, r = weighted_lines(weights, x, y)
    for b in range(8):
        chosen = np.repeat(np.arange(12), weights[b].astype(int))
        fit = fit_line(x[chosen], y[chosen])
        assert fit is not None
        assert (slope[b], r[b] ** 2) == pytest.approx((fit.slope, fit.r2))
    assert np.isnan(weighted_lines(np.eye(12)[:1] * 12, x, y)[0]).all()
