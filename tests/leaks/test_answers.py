"""Where one answer moved against another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.leaks.answers import Answer, difference

ROWS = np.arange(400)
GAMES = pd.DataFrame({"PLAYER_ID": ROWS, "GAME_DATE": pd.Timestamp("2024-01-05")})
BIG = 1e8 * (ROWS % 4 + 1.0)
SKEWS = np.random.default_rng(1).normal(size=400)


@pytest.mark.parametrize(
    ("scale", "moved"),
    [
        (1.0, False),  # pandas 2 subtracts the mean of all rows, later ones, too, before it rolls
        (1e-17, True),  # all of a column is as small: that is what it says
    ],
)
def test_noise_is_what_is_nothing_beside_the_rest(scale: float, *, moved: bool) -> None:
    """Some symmetric windows have a skew of 1e-17 in one world, and of 1e-16 in another."""
    before, after = SKEWS * scale, SKEWS * scale
    before[:3], after[:3] = -2.9e-17, -1.2e-16
    answers = [Answer(numbers=numbers[:, np.newaxis], columns=("skew",)) for numbers in (before, after)]
    assert (difference(GAMES, answers[0], ROWS, answers[1], ROWS) is not None) == moved


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (ROWS / 7, ROWS / 7 + 1e-13, False),  # added up in another order
        ((ROWS / 7).astype(np.float32), (ROWS / 7).astype(np.float32) * np.float32(1 + 2e-7), False),  # in float32
        (BIG, BIG + 16.0 * (ROWS % 2), True),
        (BIG + 0.1, BIG + 0.1 + 16.0 * (ROWS % 2), True),
    ],
)
def test_outcomes_do_not_hide_in_the_last_digits(before: Any, after: Any, *, moved: bool) -> None:
    """What is allowed for rounding is what rounding does: only what was computed in float32 is off in its digits."""
    answers = [Answer(numbers=np.asarray(one, np.float64)[:, np.newaxis], columns=("x",)) for one in (before, after)]
    assert (difference(GAMES, answers[0], ROWS, answers[1], ROWS) is not None) == moved


def test_what_features_were_rounded_to_is_no_move() -> None:
    """Folds are given float32; a column like another one but for a bit is not it."""
    numbers = np.column_stack([ROWS / 7, BIG])
    given = Answer(numbers=numbers.astype(np.float32).astype(np.float64), columns=("x", "big"), kept=True)
    assert difference(GAMES, given, ROWS, Answer(numbers=numbers, columns=("x", "big")), ROWS) is None
    numbers[:, 1] += 8.0 * (ROWS % 3 == 1)
    found = difference(GAMES, given, ROWS, Answer(numbers=numbers, columns=("x", "big")), ROWS)
    assert found is not None
    assert found[0] == ("big",)


def test_an_answer_without_numbers_does_not_move() -> None:
    """A column of nothing has no typical size."""
    empty = Answer(numbers=np.full((400, 2), np.nan), columns=("a", "b"))
    assert difference(GAMES, empty, ROWS, empty, ROWS) is None
