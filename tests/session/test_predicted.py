"""What a version that was walked forward again is held by."""

from __future__ import annotations

import pandas as pd

from pytest_nbaprops.session.predicted import at_its_best


def rows(predicted: list[float], actual: list[float]) -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=len(actual))
    return pd.DataFrame({"GAME_DATE": days, "GAME_ID": "g", "PLAYER_ID": 1, "actual": actual, "predicted": predicted})


def test_who_was_better_before_is_held_by_that() -> None:
    """By the outcomes of now, however many were put right; a date that it had not predicted is this session's."""
    walked = rows([14.0, 16.0, 34.0, 12.0], [10.0, 20.0, 30.0, 10.0])
    for then in ([10.0, 20.0, 31.0], [12.0, 18.0, 37.0]):
        best, said = at_its_best(walked, rows([11.0, 19.0, 31.0], then))
        assert best["predicted"].tolist() == [11.0, 19.0, 31.0, 12.0]
        assert "better (MAE 1.0000, now 4.0000)" in said


def test_who_is_as_good_or_better_now_is_taken_as_it_is() -> None:
    """Nothing is said of predictions that are the same, or worse, or of other games."""
    walked = rows([11.0, 19.0], [10.0, 20.0])
    others = rows([10.0, 20.0], [10.0, 20.0]).assign(GAME_ID="another")
    for stored in (walked, rows([14.0, 16.0], [10.0, 20.0]), others):
        best, said = at_its_best(walked, stored)
        assert best["predicted"].tolist() == [11.0, 19.0]
        assert said == ""
