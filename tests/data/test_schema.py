from __future__ import annotations

import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.schema import matchup_parts, parse_target, season_of_date, target_values
from pytest_nbaprops.errors import SettingsError
from tests.data.logs import REAL_LOGS


def test_target_columns() -> None:
    """A target is a sum of stat columns; blanks around the names do not matter."""
    assert parse_target("PTS+REB+AST") == ("PTS", "REB", "AST")
    assert parse_target(" FG3M ") == ("FG3M",)
    assert parse_target("REB + AST") == ("REB", "AST")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "'' is not a stat column"),
        ("PTS+", "'' is not a stat column"),
        ("PTS++AST", "'' is not a stat column"),
        ("PTS+PTS", "PTS is there twice"),
        ("PTS-AST", "'PTS-AST' is not a stat column"),
        ("pts", r"'pts' is not a stat column \(did you mean PTS\?\)"),
        ("PTS+RBE", r"did you mean REB\?"),
        ("PLAYER_ID", "'PLAYER_ID' is not a stat column"),
        ("FG_PCT", "'FG_PCT' is not a stat column"),
    ],
)
def test_unusable_targets(expression: str, problem: str) -> None:
    """A target that is no sum of stat columns is refused by the option's name, in one line."""
    with pytest.raises(SettingsError, match=problem) as caught:
        parse_target(expression)
    message = str(caught.value)
    assert message.startswith(f"--nbaprops-target: found {expression!r}")
    assert "\n" not in message


def test_target_values_are_empty_before_the_game() -> None:
    """The target is the sum, NaN where a part is empty."""
    games = pd.DataFrame({"PTS": [10.0, None], "AST": [3.0, 2.0]}, index=[7, 9])
    values = target_values(games, ("PTS", "AST"))
    assert values.dtype == "float64"
    assert values.index.tolist() == [7, 9]
    assert values[7] == 13.0
    assert values.isna().tolist() == [False, True]


def test_matchup_parts() -> None:
    """The opponent is the other abbreviation, whoever is named first and also at neutral sites."""
    rows = [
        ("ATL", "ATL vs. DET", True, "DET"),
        ("DET", "DET @ ATL", False, "ATL"),
        ("MIA", "MIA @ WAS", False, "WAS"),
        ("WAS", "WAS @ MIA", False, "MIA"),
        ("DET", "ATL vs. DET", False, "ATL"),
        ("ATL", "DET @ ATL", True, "DET"),
    ]
    games = pd.DataFrame(rows, columns=["TEAM_ABBREVIATION", "MATCHUP", "HOME", "OPPONENT"], index=range(5, 11))
    parts = matchup_parts(games)
    assert parts["HOME"].dtype == bool
    assert parts["HOME"].tolist() == games["HOME"].tolist()
    assert parts["OPPONENT"].tolist() == games["OPPONENT"].tolist()
    assert parts.index.equals(games.index)
    assert matchup_parts(games.iloc[:0]).empty


@pytest.mark.parametrize(
    ("date", "season"),
    [
        ("2023-10-24", "2023-24"),
        ("2024-04-14", "2023-24"),
        ("2020-08-14", "2019-20"),
        ("2020-10-11", "2019-20"),
        ("2020-10-20", "2020-21"),
        ("2020-12-22", "2020-21"),
        ("1999-02-05", "1998-99"),
        ("1999-11-02", "1999-00"),
    ],
)
def test_season_of_date(date: str, season: str) -> None:
    """Seasons run from autumn on; 2019-20 ended in October 2020."""
    assert season_of_date(pd.Timestamp(date)) == season


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real game logs are not here")
def test_real_matchups() -> None:
    """In real games each side's opponent is the other side, and one of them is at home."""
    games = load_games(REAL_LOGS / "2023-24.csv")
    parts = matchup_parts(games).assign(GAME_ID=games["GAME_ID"], TEAM=games["TEAM_ABBREVIATION"]).drop_duplicates()
    sides = parts.merge(parts, on="GAME_ID").query("TEAM_x == OPPONENT_y")
    assert len(sides) == len(parts) == 2460
    assert (sides["HOME_x"] != sides["HOME_y"]).all()
