"""Scores of chances and distributions, against others' implementations and slow recounts."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.metrics.intervals import LEVELS, ends_of, learn_errors, level_below, quantile_at
from pytest_nbaprops.metrics.probability import (
    brier_scores,
    calibration_error,
    calibration_table,
    covered,
    crps_of_quantiles,
    log_losses,
)

pairs = st.lists(st.tuples(st.floats(0.001, 0.999), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40)


@given(pairs)
def test_brier_and_log_loss_are_those_of_scoringrules(rows: list[tuple[float, float]]) -> None:
    """Row by row."""
    said, came = np.array(rows).T
    assert brier_scores(said, came) == pytest.approx(scoringrules.brier_score(came, said))
    assert log_losses(said, came) == pytest.approx(scoringrules.log_score(came, said))


@pytest.mark.parametrize("spread", [0.5, 3.0, 9.0])
def test_crps_is_that_of_scoringrules(spread: float) -> None:
    """From the same quantiles exactly; of a normal distribution as close as 199 quantiles come."""
    rng = np.random.default_rng(1)
    centres, actual = rng.uniform(5, 40, 200), rng.uniform(0, 50, 200)
    draws = np.sort(rng.normal(0, spread, 100_000))
    quantiles = centres[:, None] + np.quantile(draws, LEVELS)[None, :]
    ours = crps_of_quantiles(quantiles, LEVELS, actual)
    assert ours == pytest.approx(scoringrules.crps_quantile(actual, quantiles, np.asarray(LEVELS)))
    assert ours.mean() == pytest.approx(scoringrules.crps_normal(actual, centres, spread).mean(), rel=0.01)


def test_an_error_model_is_the_conformal_distribution_of_crepes() -> None:
    """With one bin: the same 80% interval from the same residuals."""
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(3)
    residuals = rng.normal(0, 6, 399)
    errors = learn_errors(residuals + 50, np.full(399, 50.0))
    assert errors is not None
    system = crepes.ConformalPredictiveSystem().fit(residuals=residuals)
    low, high = system.predict_int(y_hat=np.array([50.0]), confidence=0.8)[0]
    ours = errors.interval([50.0], 0.8)
    assert ours["low"][0] == pytest.approx(low, abs=0.2)
    assert ours["high"][0] == pytest.approx(high, abs=0.2)


@given(st.lists(st.floats(-5, 60), min_size=3, max_size=30), st.floats(0.01, 0.99))
def test_quantiles_and_levels_undo_each_other(values: list[float], level: float) -> None:
    """The level below a quantile is its level, where the distribution has no jump."""
    spaced = np.linspace(min(values), min(values) + 20, len(LEVELS))[None, :]
    assert level_below(spaced, quantile_at(spaced, level))[0] == pytest.approx(level, abs=1e-9)


def test_levels_are_those_of_numpys_interpolation() -> None:
    """Of every row, at points inside, outside and on a quantile."""
    rng = np.random.default_rng(2)
    quantiles = np.sort(rng.normal(20, 8, (50, len(LEVELS))), axis=1)
    at = np.concatenate([rng.uniform(-20, 60, 48), quantiles[48:, 7]])
    slow = [np.interp(value, row, LEVELS) for value, row in zip(at, quantiles, strict=True)]
    assert level_below(quantiles, at) == pytest.approx(slow)


def test_calibration_is_counted_by_hand() -> None:
    """Two bins of two; 0.2 said and half came; whoever is far off does not hold."""
    table = calibration_table([0.1, 0.3, 0.6, 0.8], [0, 1, 1, 1], bins=2)
    assert table[["n", "said", "came"]].to_numpy().tolist() == [[2, 0.2, 0.5], [2, 0.7, 1.0]]
    assert calibration_error(table) == pytest.approx(0.3)
    many = calibration_table(np.full(1000, 0.8), np.arange(1000) % 2, bins=1)
    assert not many["holds"].any()
    assert many["low"][0] == pytest.approx(0.775, abs=0.002)


def test_true_chances_hold_in_their_intervals() -> None:
    """In 95 of 100 tenths."""
    rng = np.random.default_rng(4)
    held = []
    for _ in range(40):
        said = rng.uniform(0.3, 0.7, 1000)
        held.append(calibration_table(said, rng.random(1000) < said)["holds"].mean())
    assert 0.92 < np.mean(held) < 0.98


def test_coverage_is_counted_by_hand() -> None:
    """Ends belong to the interval; what is not known counts neither way."""
    quantiles = np.linspace(0, 198, len(LEVELS))[None, :].repeat(3, axis=0)
    low, high = ends_of(quantiles, 0.8)
    assert (low[0], high[0]) == pytest.approx((19.0, 179.0))
    found = covered(low, high, [19.0, 180.0, np.nan])
    assert found[:2].tolist() == [1.0, 0.0]
    assert np.isnan(found[2])
