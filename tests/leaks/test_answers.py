"""Where one answer moved against another one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.leaks.answers import Answer, difference

ROWS = np.arange(400)
GAMES = pd.DataFrame({"PLAYER_ID": ROWS, "GAME_DATE": pd.Timestamp("2024-01-05")})
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


def test_an_answer_without_numbers_does_not_move() -> None:
    """A column of nothing has no typical size."""
    empty = Answer(numbers=np.full((400, 2), np.nan), columns=("a", "b"))
    assert difference(GAMES, empty, ROWS, empty, ROWS) is None
