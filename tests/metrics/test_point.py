from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pytest_nbaprops.metrics.point import STATISTICS, date_sums, moments, point_metrics, statistic


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    actual = rng.poisson(18, 400).astype("float64")
    return actual, actual + rng.normal(1, 7, 400)


def test_they_are_scikit_learns(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """MAE, RMSE and R2 are those of scikit-learn."""
    metrics = point_metrics(*pair)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(*pair))
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(*pair))
    assert metrics["r2"] == pytest.approx(r2_score(*pair))


def test_bias_is_predicted_minus_actual() -> None:
    """A model that predicts too much has a positive bias."""
    assert point_metrics([10.0, 20.0], [11.0, 23.0])["bias"] == 2.0


def test_within_counts_its_own_edge_in_percent() -> None:
    """within_3_pct is the percentage of errors of at most 3."""
    metrics = point_metrics([0.0] * 4, [3.0, -3.0, 3.5, 11.0])
    assert [metrics[f"within_{k}_pct"] for k in (3, 5, 10)] == [50.0, 75.0, 75.0]


def test_names_and_types_are_the_contracts() -> None:
    """Every metric of the design is there, as an exact float."""
    metrics = point_metrics([1.0, 2.0], [1.0, 3.0])
    assert list(metrics) == [
        "mae",
        "rmse",
        "r2",
        "bias",
        "within_3_pct",
        "within_5_pct",
        "within_10_pct",
        "n_predictions",
    ]
    assert {type(value) for value in metrics.values()} == {float}


def test_r2_is_undefined_where_nothing_varies() -> None:
    """One outcome, however often, has no variance to explain, not even by rounding."""
    assert math.isnan(point_metrics([18.1] * 7, [17.0] * 7)["r2"])


def test_no_rows_have_no_metrics() -> None:
    """Without rows everything but the count is NaN, and nothing is raised."""
    metrics = point_metrics([], [])
    assert metrics.pop("n_predictions") == 0.0
    assert all(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_bad_prediction_shows(bad: float) -> None:
    """A NaN or infinite prediction makes every average of errors NaN or infinite, never a number."""
    metrics = point_metrics([1.0, 2.0, 4.0], [1.0, bad, 4.0])
    assert not any(math.isfinite(metrics[name]) for name in ("mae", "rmse", "r2", "bias"))


def test_a_nan_error_is_not_outside_either() -> None:
    """within_k_pct of a NaN prediction is NaN."""
    assert math.isnan(point_metrics([1.0, 2.0], [1.0, math.nan])["within_3_pct"])


def test_sums_per_date_give_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Sums per date, added up, give what the rows give, for whole stacks of sums at once."""
    dates = np.repeat(np.arange(20).astype("datetime64[D]"), 20)
    sums = date_sums(dates, moments(*pair))
    stacked = np.stack([sums, sums]).sum(axis=1)
    for name in STATISTICS:
        assert statistic(name, stacked) == pytest.approx([point_metrics(*pair)[name]] * 2)


def test_date_sums_are_in_order_of_dates() -> None:
    """Rows in any order become one row of sums per distinct date, in the order of the dates."""
    dates = np.array(["2024-01-03", "2024-01-01", "2024-01-03"], dtype="datetime64[D]")
    assert date_sums(dates, moments([0, 0, 0], [1, 5, 2]))[:, 2].tolist() == [5.0, 3.0]
