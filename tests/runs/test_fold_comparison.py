"""Two runs' predictions, fold by fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.runs.reproduce import CLOSE, DIFFERENT, IDENTICAL, compare_folds


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Three folds of two player-games each."""
    return pd.DataFrame(
        {
            "fold": [1, 1, 2, 2, 3, 3],
            "GAME_DATE": pd.to_datetime(["2024-01-01"] * 2 + ["2024-01-02"] * 2 + ["2024-01-04"] * 2),
            "GAME_ID": ["1", "1", "2", "2", "3", "3"],
            "PLAYER_ID": [7, 8, 7, 8, 7, 8],
            "actual": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
            "predicted": [11.0, 0.1 + 0.2, 29.0, 41.0, 0.0, 61.0],
            "baseline": [np.nan, 21.0, 31.0, 41.0, 51.0, 61.0],
        }
    )


def test_the_same_bits_are_identical(predictions: pd.DataFrame) -> None:
    """In whatever order the rows are; an empty baseline is equal to an empty one."""
    found = compare_folds(predictions, predictions.iloc[::-1])
    assert [(fold.outcome, fold.difference) for fold in found] == [(IDENTICAL, 0.0)] * 3
    assert [fold.date for fold in found] == ["2024-01-01", "2024-01-02", "2024-01-04"]


@pytest.mark.parametrize(
    ("value", "outcome"), [(0.3, CLOSE), (0.1 + 0.2 + 1e-7, CLOSE), (0.31, DIFFERENT), (np.nan, DIFFERENT)]
)
def test_one_other_bit_is_not_identical(predictions: pd.DataFrame, value: float, outcome: str) -> None:
    """Up to 1e-6 it is equal, beyond it is different; the other folds keep their own outcome."""
    again = predictions.copy()
    again.loc[1, "predicted"] = value
    assert [fold.outcome for fold in compare_folds(predictions, again)] == [outcome, IDENTICAL, IDENTICAL]


def test_another_sign_of_zero_is_another_bit(predictions: pd.DataFrame) -> None:
    """Bit for bit means bit for bit."""
    again = predictions.copy()
    again.loc[4, "predicted"] = -0.0
    assert [fold.outcome for fold in compare_folds(predictions, again)] == [IDENTICAL, IDENTICAL, CLOSE]


def test_another_baseline_counts(predictions: pd.DataFrame) -> None:
    """What is compared with is part of the result."""
    again = predictions.assign(baseline=predictions["baseline"] + 1)
    assert {fold.outcome for fold in compare_folds(predictions, again)} == {DIFFERENT}


def test_other_player_games_are_different_without_a_number(predictions: pd.DataFrame) -> None:
    """A row less in one fold, and another fold that is missing."""
    found = compare_folds(predictions, predictions.iloc[1:4])
    assert [(fold.outcome, fold.difference) for fold in found] == [
        (DIFFERENT, None),
        (IDENTICAL, 0.0),
        (DIFFERENT, None),
    ]
