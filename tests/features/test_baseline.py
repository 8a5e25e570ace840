from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.baseline import baseline_predictions, slice_columns
from tests.features.boxes import box, frame

PRA = ("PTS", "REB", "AST")


def test_mean_of_the_last_ten_games_with_those_of_no_minutes() -> None:
    """Ten games back and no further; a game of 0 minutes is a game."""
    days = [box(f"2024-01-{day:02d}", 1, "ATL vs. BOS", 0 if day == 5 else 30, PTS=day) for day in range(1, 13)]
    found = baseline_predictions(frame(*days), ["PTS"])
    assert found.iloc[10] == pytest.approx(5.5)
    assert found.iloc[11] == pytest.approx(6.5)


def test_debutants_get_the_running_mean_of_earlier_debuts() -> None:
    """Debuts of the same date are not known, those of earlier dates are; the very first date has nothing."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10),
        box("2024-01-01", 2, "BOS @ ATL", 30, PTS=20),
        box("2024-01-02", 3, "ATL vs. BOS", 30, PTS=60),
        box("2024-01-02", 4, "BOS @ ATL", None),
        box("2024-01-03", 5, "ATL vs. BOS", None),
    )
    np.testing.assert_array_equal(baseline_predictions(games, ["PTS"]), [np.nan, np.nan, 15, 15, 30])


def test_slice_columns_are_known_before_the_game() -> None:
    """Expected minutes, starter, rest, home, month and the player's mean."""
    games = frame(box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10), box("2024-01-03", 1, "BOS @ ATL", None))
    found = slice_columns(games, ["PTS"])
    assert found.iloc[0, :5].tolist() == [0.0, False, 30.0, True, 1]
    assert found.iloc[1].tolist() == [30.0, True, 30.0, False, 1, 10.0]


def test_mae_of_the_baseline_on_the_real_season(real_games: pd.DataFrame) -> None:
    """On 2023-24 the mean of the last 10 games is off by 6.19."""
    season = real_games["SEASON"] == "2023-24"
    errors = (baseline_predictions(real_games, PRA) - target_values(real_games, PRA))[season].abs()
    assert len(errors) == 26_401
    assert errors.mean() == pytest.approx(6.1879, abs=5e-4)
