import pytest

from genscope.sources.verdicts import layer_verdict, model_verdict, summarize


def row(alpha: float | None, low: float | None = None, high: float | None = None, status: str = "ok", **more: object) -> dict:
    return {
        "layer": "l",
        "rows": 2,
        "cols": 2,
        "n_matrices": 1,
        "status": status,
        "reason": "because",
        "alpha": alpha,
        "alpha_low": low,
        "alpha_high": high,
        **more,
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (row(3.1, 2.7, 3.8), "alpha 3.1, 95% 2.7–3.8: heavy-tailed, in the range of well-trained layers"),
        (row(7.0, 3.0, 17.0), "alpha 7.0, 95% 3.0–17.0: cannot tell"),
        (row(1.5, 1.3, 1.8), "below the usual range"),
        (row(8.0, 6.5, 9.9), "may have learned little"),
        (row(2.2, 1.8, 2.6), "reaching below"),
        (row(5.5, 4.5, 6.5), "upper border"),
        (row(3.0), "no interval was computed"),
        (row(9.0, 3.0, 30.0, "doubtful"), "not to be believed, because"),
        (row(None, status="skipped"), "no power law: because"),
        (row(None, status="failed"), "failed: because"),
    ],
)
def test_layer_verdict(given: dict, words: str) -> None:
    assert words in layer_verdict(given)


def test_model_verdict_counts_every_row_once() -> None:
    rows = [
        row(3.0, 2.5, 3.5),
        row(1.5, 1.2, 1.9),
        row(8.0, 6.5, 9.0),
        row(5.0, 3.0, 12.0),
        row(9.0, 2.0, 40.0, "doubtful"),
        row(None, status="failed"),
    ]
    words = model_verdict(rows)
    for part in (
        "1 of 6 matrices",
        "1 lies below 2",
        "1 lies above 6",
        "1 cannot be told",
        "1 has a fit that should not be believed",
        "1 could not be fitted",
    ):
        assert part in words
    assert "no interval" in model_verdict([row(3.0)])
    assert "No power law" in model_verdict([row(None, status="skipped")])
    assert "no weight matrix" in model_verdict([]) and "3 tensors were left out" in model_verdict([], 3)


def test_summary_averages_over_one_common_set_and_excludes_failed_fits() -> None:
    numbers = {"alpha_weighted": 1.0, "log_alpha_norm": 1.0, "log_spectral_norm": 2.0, "stable_rank": 3.0}
    rows = [
        row(2.0, **numbers, log_frobenius_norm=1.0),
        row(4.0, **numbers, log_frobenius_norm=3.0),
        row(None, status="failed", log_frobenius_norm=1000.0),
    ]
    summary = summarize(rows, n_skipped=7)
    assert summary["alpha"] == 3.0 and summary["log_frobenius_norm"] == 2.0
    assert (summary["n_matrices"], summary["n_fitted"], summary["n_skipped"], summary["n_failed"], summary["n_unfitted"]) == (3, 2, 7, 1, 1)
    assert summarize([], 0)["alpha"] is None
