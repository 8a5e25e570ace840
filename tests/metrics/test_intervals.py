from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.metrics.intervals import FEWEST_ROWS, ErrorModel, learn_errors, sides_of
from pytest_nbaprops.metrics.point import Floats

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "game_logs" / "2023-24.csv"
TARGET = ("PTS", "REB", "AST")


def league(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Actual and predicted: whole numbers whose spread grows with their level."""
    rng = np.random.default_rng(seed)
    predicted = rng.gamma(3, 6, rows)
    return np.rint(np.maximum(predicted + rng.normal(0, 1, rows) * (2 + 0.25 * predicted), 0)), predicted


def learnt(rows: int = 8000, seed: int = 1) -> ErrorModel:
    errors = learn_errors(*league(rows, seed))
    assert errors is not None
    return errors


def coverage(errors: ErrorModel, actual: np.ndarray, predicted: np.ndarray, level: float) -> np.ndarray:
    ends = errors.interval(predicted, level)
    return np.asarray((actual >= ends["low"]) & (actual <= ends["high"]))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_new_outcomes_fall_inside_as_often_as_said(level: float) -> None:
    """Overall and in every third of the predictions, though the spread differs by a factor of five."""
    actual, predicted = league(20_000, 2)
    inside = coverage(learnt(), actual, predicted, level)
    assert inside.mean() == pytest.approx(level, abs=0.02)
    for third in np.array_split(np.argsort(predicted), 3):
        assert inside[third].mean() == pytest.approx(level, abs=0.03)


def test_intervals_widen_with_the_prediction_and_never_cross() -> None:
    """Both ends rise with the prediction, the high ones are wider, and nothing is below zero."""
    ends = learnt().interval(np.linspace(0, 60, 200))
    assert (np.diff(ends["low"]) >= 0).all()
    assert (np.diff(ends["high"]) >= 0).all()
    assert (ends["low"] >= 0).all()
    width = ends["high"] - ends["low"]
    assert width.iloc[-1] > 2 * width.iloc[0]


def test_beyond_the_known_predictions_the_outer_errors_hold() -> None:
    """A prediction higher than any seen keeps the width of the highest bin."""
    ends = learnt().interval([80.0, 90.0])
    assert ends["high"][1] - ends["high"][0] == pytest.approx(10)


def test_a_target_that_can_be_negative_has_no_floor() -> None:
    """PLUS_MINUS goes below zero."""
    rng = np.random.default_rng(0)
    errors = learn_errors(rng.normal(0, 10, 1000), np.zeros(1000))
    assert errors is not None
    assert errors.interval([0.0])["low"].item() == pytest.approx(-12.8, abs=1)


def chances(predicted: npt.ArrayLike, line: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Of under and over the line."""
    errors = learnt()
    return sides_of(errors.quantiles(predicted), line, whole=errors.whole)


def test_chances_are_what_happens() -> None:
    """Of the lines that are said to be beaten with 0.6 to 0.7, about so many are."""
    actual, predicted = league(20_000, 3)
    line = np.floor(predicted) + 0.5
    under, over = chances(predicted, line)
    for low in (0.3, 0.4, 0.5, 0.6):
        there = (over >= low) & (over < low + 0.1)
        if there.sum() > 500:
            assert (actual > line)[there].mean() == pytest.approx(over[there].mean(), abs=0.03)
    assert 0.3 < np.quantile(over, 0.05) < np.quantile(over, 0.95) < 0.7
    np.testing.assert_allclose(over + under, 1)


def test_a_whole_line_can_be_pushed() -> None:
    """The rest to one is the chance of hitting it exactly; half points leave none."""
    actual, predicted = league(20_000, 4)
    line = np.floor(predicted)
    under, over = chances(predicted, line)
    assert (actual > line).mean() == pytest.approx(over.mean(), abs=0.01)
    assert (actual < line).mean() == pytest.approx(under.mean(), abs=0.01)


def test_a_missing_line_has_no_chances_and_the_tails_end_at_what_is_known() -> None:
    """NaN in, NaN out; never certain."""
    under, over = chances([20.0, 20.0, 20.0], [np.nan, 500.0, 0.5])
    assert np.isnan([under[0], over[0]]).all()
    assert [over[1], under[1]] == pytest.approx([0.005, 0.995])
    assert 0.9 < over[2] <= 0.995


def test_too_few_rows_teach_nothing() -> None:
    """Unusable rows do not count."""
    actual, predicted = league(FEWEST_ROWS, 5)
    assert learn_errors(actual, predicted) is not None
    predicted[0] = np.nan
    assert learn_errors(actual, predicted) is None
    assert learn_errors([], []) is None


def test_equal_predictions_make_one_bin() -> None:
    """A model that says the same of everyone has one distribution."""
    errors = learn_errors(league(3000, 6)[0], np.full(3000, 18.0))
    assert errors is not None
    assert len(errors.centres) == 1
    assert errors.interval([18.0])["low"].item() < 18


@pytest.mark.parametrize("level", [0.0, 1.0, 80.0])
def test_a_level_is_a_probability(level: float) -> None:
    """80 is not 0.8."""
    with pytest.raises(ValueError, match="not between 0 and 1"):
        learnt().interval([10.0], level)


@pytest.mark.skipif(not REAL.exists(), reason="real game logs are not here")
def test_the_second_half_of_a_real_season_is_covered() -> None:
    """Learnt on the last-10 means of its first half: 80% overall, and within sampling error at every level."""
    games = load_games(REAL)
    table = pd.DataFrame({"actual": target_values(games, TARGET), "predicted": baseline_predictions(games, TARGET)})
    half = games["GAME_DATE"].drop_duplicates().iloc[80]
    first, second = table[games["GAME_DATE"] < half], table[games["GAME_DATE"] >= half].reset_index(drop=True)
    errors = learn_errors(first["actual"], first["predicted"])
    assert errors is not None
    inside = coverage(errors, second["actual"].to_numpy(), second["predicted"].to_numpy(), 0.8)
    assert 0.78 < inside.mean() < 0.82
    by_level = pd.Series(inside).groupby(pd.cut(second["predicted"], [5, 12, 20, 30, 60]), observed=True).mean()
    assert by_level.between(0.77, 0.83).all()
