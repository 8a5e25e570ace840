from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.gate.slices import MIN_SLICE_ROWS, slice_mask


@pytest.fixture
def columns() -> pd.DataFrame:
    n = 3 * MIN_SLICE_ROWS
    return pd.DataFrame(
        {
            "GAME_DATE": pd.date_range("2024-01-01", periods=n),
            "GAME_ID": [f"{i:010d}" for i in range(n)],
            "minutes": np.arange(n, dtype="float64"),
            "home": np.arange(n) % 2 == 0,
            "actual": 1.0,
            "PTS": 3.0,
        }
    )


@pytest.mark.parametrize(
    ("expression", "python"),
    [
        ("minutes >= 24", lambda f: f.minutes >= 24),
        ("10 < minutes <= 250", lambda f: (f.minutes > 10) & (f.minutes <= 250)),
        ("home", lambda f: f.home),
        ("not home and minutes > -1", lambda f: ~f.home),
        ("home == 1 or minutes < 50", lambda f: f.home | (f.minutes < 50)),
        ("GAME_DATE >= '2024-02-01'", lambda f: pd.Timestamp("2024-02-01") <= f.GAME_DATE),
        ("'2024-02-01' <= GAME_DATE", lambda f: pd.Timestamp("2024-02-01") <= f.GAME_DATE),
        ("GAME_ID != '0000000001'", lambda f: f.GAME_ID != "0000000001"),
        ("1 < 2", lambda f: f.minutes > -1),
    ],
)
def test_it_is_the_plain_expression(columns: pd.DataFrame, expression: str, python: object) -> None:
    """A slice picks the rows that the same expression picks in pandas."""
    assert callable(python)
    assert (slice_mask(expression, columns) == python(columns).to_numpy()).all()


@pytest.mark.parametrize("expression", ["minutes >= 0", "not minutes >= 0", "minutes != 7", "home or minutes < 1e9"])
def test_a_missing_value_is_in_no_slice(columns: pd.DataFrame, expression: str) -> None:
    """What is not known belongs neither to a slice nor to its opposite."""
    more = pd.concat([columns.assign(minutes=np.nan), columns, columns.assign(minutes=-1.0)], ignore_index=True)
    assert not slice_mask(expression, more)[: len(columns)].any()


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("minuts >= 24", "did you mean minutes"),
        ("PTS >= 20", "known only after the game"),
        ("actual >= 20", "known only after the game"),
        ("minutes", "not yes or no"),
        ("minutes >= '24'", "unlike"),
        ("GAME_ID > 3", "unlike"),
        ("GAME_DATE > 'tomorrow'", "not a date"),
        ("minutes > 1e9", "0 player-games, fewer than"),
        ("minutes < 99", "99 player-games, fewer than"),
        ("1 < 'a'", "unlike"),
    ],
)
def test_what_cannot_be_sliced_is_inconclusive(columns: pd.DataFrame, expression: str, why: str) -> None:
    """Unknown, unlike, after the fact or too few: never a mask."""
    with pytest.raises(InconclusiveError, match=why):
        slice_mask(expression, columns)
