"""Pick'em entries: break-even, payouts, slates."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.errors import DataError
from pytest_nbaprops.market.pickem import break_even_per_pick, entries, expected_multiplier, paid, read_multipliers

TABLE = read_multipliers()


@pytest.mark.parametrize(("picks", "percent"), [(2, 57.7), (3, 58.5), (4, 56.2), (5, 54.9), (6, 54.7)])
def test_break_even_of_power_plays(picks: int, percent: float) -> None:
    """As operators' multipliers have it, to the tenth of a percent."""
    assert 100 * break_even_per_pick(TABLE["power", picks], picks) == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize("play", list(TABLE))
def test_the_expected_payout_is_that_of_all_outcomes(play: tuple[str, int]) -> None:
    """Added up over every combination of picks that come true."""
    pays, picks, chance = TABLE[play], play[1], 0.57
    slow = 0.0
    for outcome in product((True, False), repeat=picks):
        likely = chance ** sum(outcome) * (1 - chance) ** (picks - sum(outcome))
        slow += likely * pays.get(sum(outcome), 0.0)
    assert expected_multiplier(pays, picks, chance) == pytest.approx(slow)
    assert expected_multiplier(pays, picks, break_even_per_pick(pays, picks)) == pytest.approx(1)


def test_a_push_makes_the_entry_smaller() -> None:
    """A power play of three with a push pays as one of two; below the smallest entry the stake comes back."""
    assert paid(TABLE, "power", [1, 1, 0]) == 3
    assert paid(TABLE, "power", [1, -1, 0]) == 0
    assert paid(TABLE, "power", [1, 0]) == 1
    assert paid(TABLE, "flex", [1, 1, -1]) == 1.25


def test_a_slate_is_the_dates_best_picks() -> None:
    """By chance; a date with too few makes no entry."""
    picks = pd.DataFrame(
        {
            "GAME_DATE": pd.to_datetime(["2024-01-01"] * 3 + ["2024-01-02"] * 1),
            "GAME_ID": "g",
            "PLAYER_ID": [1, 2, 3, 1],
            "chance": [0.52, 0.58, 0.55, 0.9],
            "result": [-1, 1, 1, 1],
        }
    )
    found = entries(picks, TABLE, "power", 2)
    assert found[["stake", "profit", "won", "decided"]].to_numpy().tolist() == [[1.0, 2.0, 2.0, 2.0]]
    assert entries(picks, TABLE, "power", 3)["profit"].tolist() == [-1.0]


@pytest.mark.parametrize("row", ["power,2,3,3", "power,2,2,0", "power,2,2,3\npower,2,2,4", "power,two,2,3"])
def test_a_table_that_cannot_be_is_refused(tmp_path: Path, row: str) -> None:
    """In one line that names the file."""
    path = tmp_path / "table.csv"
    path.write_text(f"play,picks,correct,multiplier\n{row}\n")
    with pytest.raises(DataError, match=r"table\.csv"):
        read_multipliers(path)
