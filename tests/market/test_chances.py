"""Chances against lines: only earlier dates teach, and what they teach is what an independent fit finds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.market.chances import FEWEST_LINES, Recalibration, log_odds, moved, recalibrated, walked_quantiles
from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.metrics.intervals import LEVELS, learn_errors, sides_of
from tests.market.frames import market_of, season


def slow_logistic(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Newton's method, in plain numbers."""
    a = b = 0.0
    for _ in range(50):
        gradient, curve = np.zeros(2), np.zeros((2, 2))
        for xi, yi in zip(x, y, strict=True):
            p = 1 / (1 + math.exp(-(a + b * xi)))
            gradient += (yi - p) * np.array([1, xi])
            curve += p * (1 - p) * np.array([[1, xi], [xi, xi * xi]])
        a, b = np.array([a, b]) + np.linalg.solve(curve, gradient)
    return float(a), float(b)


def drawn(slope: float, *, rows: int = 800, seed: int = 1) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Chances said, and what came when the truth's log odds are `slope` times theirs."""
    rng = np.random.default_rng(seed)
    said = rng.uniform(0.05, 0.95, rows)
    return said, (rng.random(rows) < 1 / (1 + np.exp(-slope * log_odds(said)))).astype(float)


def test_a_recalibration_is_a_logistic_regression() -> None:
    """The same intercept and slope as Newton's method finds by hand."""
    said, came = drawn(0.5)
    learnt = Recalibration.learn(said, came)
    assert learnt is not None
    assert (learnt.intercept, learnt.slope) == pytest.approx(slow_logistic(log_odds(said), came), abs=1e-4)
    assert learnt.lines == 800
    low, high = learnt.interval([0.7])
    assert low[0] < learnt.apply([0.7])[0] < high[0]


@pytest.mark.parametrize(("truth", "slope"), [(-0.8, 0.0), (3.0, 1.0)])
def test_earlier_lines_make_chances_more_cautious_only(truth: float, slope: float) -> None:
    """A model that is wrong says nothing rather than the opposite; bolder than its errors it never gets."""
    learnt = Recalibration.learn(*drawn(truth))
    assert learnt is not None
    assert learnt.slope == slope
    said, came = drawn(truth)
    assert learnt.apply(said).mean() == pytest.approx(came.mean(), abs=1e-6)


def test_too_few_lines_teach_nothing() -> None:
    """Pushes and unknown chances do not count."""
    said, came = drawn(0.5, rows=FEWEST_LINES)
    assert Recalibration.learn(said, came) is not None
    came[0] = np.nan
    assert Recalibration.learn(said, came) is None


def test_a_dates_chances_come_from_earlier_dates_only() -> None:
    """Other outcomes on the date itself or later change none of its numbers."""
    said, came = drawn(0.5, rows=1000)
    dates = np.datetime64("2024-01-01") + np.repeat(np.arange(20), 50)
    chances, _ = recalibrated(dates, said, came)
    later = dates >= dates[600]
    other = np.where(later, 1 - came, came)
    again, _ = recalibrated(dates, said, other)
    until = dates <= dates[600]
    assert np.isnan(chances[:FEWEST_LINES]).all()
    assert np.isfinite(chances[until][FEWEST_LINES:]).any()
    assert np.array_equal(chances[until], again[until], equal_nan=True)
    assert not np.array_equal(chances[~until], again[~until])


def test_distributions_come_from_earlier_dates_only() -> None:
    """As a plain loop over dates learns them, relearnt a week after the last time."""
    predictions, _ = season(dates=30)
    wanted = np.ones(len(predictions), dtype=bool)
    found = walked_quantiles(predictions, wanted, "predicted")
    errors, learnt_on = None, pd.Timestamp.min
    for date in sorted(predictions["GAME_DATE"].unique()):
        before = predictions[predictions["GAME_DATE"] < date]
        here = (predictions["GAME_DATE"] == date).to_numpy()
        if errors is None or date - learnt_on >= pd.Timedelta(days=7):
            errors, learnt_on = learn_errors(before["actual"], before["predicted"]), date
        if errors is None:
            assert np.isnan(found[here]).all()
        else:
            assert found[here] == pytest.approx(errors.quantiles(predictions.loc[here, "predicted"]))


@given(st.floats(0.02, 0.98), st.integers(5, 40))
def test_a_moved_distribution_gives_the_chance_that_was_asked_for(chance: float, whole: int) -> None:
    """At its line; at a higher line the chance of over is lower, at a lower one higher."""
    quantiles = np.linspace(0, 60, len(LEVELS))[None, :]
    line = whole + 0.5
    shifted = moved(quantiles, [line], [chance])
    over = {at: sides_of(shifted, [line + at], whole=True)[1][0] for at in (-1, 0, 1)}
    assert over[0] == pytest.approx(chance, abs=1e-9)
    assert over[-1] >= over[0] >= over[1]


def test_which_chances_these_are_is_said() -> None:
    """The errors alone until there are enough lines, recalibrated from then on; nothing is bet before."""
    predictions, matched = season(dates=60)
    report = judge(predictions, market_of(matched))
    kinds = report.rows.groupby("GAME_DATE")["kind"].first()
    assert kinds.iloc[0] == ""
    assert list(dict.fromkeys(kinds)) == ["", "errors", "recalibrated"]
    first = report.rows.loc[report.rows["kind"] == "recalibrated", "GAME_DATE"].min()
    assert report.bets["GAME_DATE"].min() >= first
    assert "recalibrated on earlier lines for" in report.chances_text
    few = judge(predictions[predictions["GAME_DATE"] < first], market_of(matched))
    assert few.bets.empty
    assert "too few" in few.chances_text
