"""Rows that the games lack by an outcome, on a whole real season and on a simulated one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.leaks.missing_rows import first_picked, gaps_of, incomplete, whole_seasons
from tests.data.logs import REAL_LOGS

Pick = Callable[[pd.DataFrame], Any]


def picked_games(games: pd.DataFrame) -> str | None:
    return first_picked(whole_seasons(games))


def incomplete_sides(games: pd.DataFrame) -> float:
    return incomplete(whole_seasons(games))


def by_player(games: pd.DataFrame) -> Any:
    return games.groupby("PLAYER_ID")["MIN"]


def by_side(games: pd.DataFrame, column: str) -> Any:
    return games.groupby(["GAME_ID", "TEAM_ABBREVIATION"])[column]


def margin(games: pd.DataFrame) -> Any:
    return (2 * by_side(games, "PTS").transform("sum") - games.groupby("GAME_ID")["PTS"].transform("sum")).abs()


def total(games: pd.DataFrame) -> Any:
    return games["PTS"] + games["REB"] + games["AST"]


def surprise(games: pd.DataFrame) -> Any:
    return (total(games) - total(games).groupby(games["PLAYER_ID"]).transform("mean")).abs()


PICKED: dict[str, Pick] = {
    "starters": lambda games: games["MIN"] >= 25,
    "five minutes": lambda games: games["MIN"] >= 5,
    "scorers": lambda games: games["PTS"] > 0,
    "anything at all": lambda games: total(games) > 0,
    "shooters": lambda games: games["FGA"] > 0,
    "no outliers": lambda games: total(games) <= 50,
    "winners": lambda games: games["WL"] == "W",
    "eight men": lambda games: by_side(games, "MIN").rank(ascending=False, method="first") <= 8,
    "near the mean": lambda games: surprise(games) < 12,
    "decisive": lambda games: games["PLUS_MINUS"] != 0,
    "no blowouts": lambda games: margin(games) <= 15,
    "no overtime": lambda games: by_side(games, "MIN").transform("sum") <= 245,
}
WHOLE: dict[str, Pick] = {
    "everything": lambda games: games["MIN"] >= 0,
    "who played": lambda games: games["MIN"] > 0,
    "half a season": lambda games: games["GAME_DATE"] < "2024-01-15",
    "any half of the rows": lambda games: games.index.isin(games.sample(frac=0.5, random_state=1).index),
    "three rows in ten": lambda games: games.index.isin(games.sample(frac=0.3, random_state=1).index),
    "regulars": lambda games: by_player(games).transform("size") >= 20,
    "rotation": lambda games: by_player(games).transform("mean") >= 10,
    "some teams": lambda games: games["TEAM_ABBREVIATION"].isin(["BOS", "DAL", "DEN"]),
}


@pytest.fixture(scope="module")
def season() -> pd.DataFrame:
    if not REAL_LOGS.is_dir():
        pytest.skip("the real game logs are not here")
    return load_games(REAL_LOGS / "2023-24.csv")


@pytest.mark.parametrize("name", PICKED)
def test_rows_picked_by_an_outcome_are_missed(season: pd.DataFrame, name: str) -> None:
    """Whatever the outcome, an end of something that every season has is gone."""
    assert picked_games(season[PICKED[name](season)]) is not None


def test_a_matchup_that_says_who_won_is_no_matchup(season: pd.DataFrame) -> None:
    """In nine real seasons the home side wins 54% to 59% of the games."""
    side, rest = season["TEAM_ABBREVIATION"], season["MATCHUP"].str[-3:]
    winner = season.assign(MATCHUP=side + np.where(season["WL"] == "W", " vs. ", " @ ") + rest)
    assert "MATCHUP says who won" in str(picked_games(winner))


@pytest.mark.parametrize("name", WHOLE)
def test_other_choices_of_rows_are_none_of_the_guards_business(season: pd.DataFrame, name: str) -> None:
    """Dates, teams, whole players, players who sat out, and rows left out by chance."""
    assert picked_games(season[WHOLE[name](season)]) is None


def test_the_season_is_named_with_what_is_missing(season: pd.DataFrame) -> None:
    """One line says what no row has, and how many sides lack players."""
    said = picked_games(season[season["MIN"] >= 5])
    assert said == (
        "2023-24: no row has MIN below 5, and 23% of the sides lack players: rows were left out by their outcome"
    )


def test_sides_that_lack_players_are_counted_whatever_the_reason(season: pd.DataFrame) -> None:
    """None in a whole season, nearly all where half of the rows are gone."""
    assert incomplete_sides(season) < 0.01
    assert incomplete_sides(season.sample(frac=0.5, random_state=1)) > 0.9


def test_a_simulated_league_is_whole() -> None:
    """Its sides play 240 minutes, though nobody's PLUS_MINUS adds up."""
    games = sample_league(seasons=1, players=450)
    assert picked_games(games) is None
    assert incomplete_sides(games) < 0.05
    assert picked_games(games[games["MIN"] >= 12]) is not None


def january(games: pd.DataFrame) -> list[Any]:
    days = games["GAME_DATE"].dt.date
    return sorted(set(days[(games["GAME_DATE"] >= "2024-01-01") & (games["GAME_DATE"] <= "2024-01-14")]))


@pytest.mark.parametrize(
    "lost",
    [
        lambda games: surprise(games) > 12,
        lambda games: (games["MIN"] < 10) & (games["MIN"] > 0),
        lambda games: games["WL"] == "L",
    ],
    ids=["surprises", "early exits", "the whole side that lost"],
)
def test_rows_missing_on_the_tested_dates_only_are_not_known(season: pd.DataFrame, lost: Pick) -> None:
    """Sides that add up less often than before; the user's reason settles it and is shown."""
    dates = january(season)
    games = season[~(season["GAME_DATE"].dt.date.isin(dates) & lost(season))]
    assert "nobody knows by what" in str(gaps_of(games, dates).problem)
    told = gaps_of(games, dates, known="two box scores are lost")
    assert told.problem is None
    assert any("two box scores are lost" in said for said in told.said)


def test_players_left_out_altogether_are_said(season: pd.DataFrame) -> None:
    """The 150 with most minutes: nobody is accused."""
    top = season.groupby("PLAYER_ID")["MIN"].sum().nlargest(150).index
    found = gaps_of(season[season["PLAYER_ID"].isin(top)], january(season))
    assert (found.picked, found.problem) == (None, None)
    assert any("lack players" in said for said in found.said)


def test_games_under_two_dates_are_not_known(season: pd.DataFrame) -> None:
    """Two sources with days and ids of their own, put together: yesterday's row tells tonight's."""
    copies = season[season["GAME_DATE"] >= "2024-01-02"].assign(
        GAME_ID=lambda rows: "9" + rows["GAME_ID"].str[1:],
        GAME_DATE=lambda rows: rows["GAME_DATE"] - pd.Timedelta(days=1),
    )
    some = copies[copies["TEAM_ABBREVIATION"].isin(["BOS", "DEN"])]
    poor = some.assign(**dict.fromkeys(["FGA", "FG3A", "FTA", "TOV", "PF"], 0.0))  # and this one lacks a part of it
    for other in (some, poor):
        both = pd.concat([season, other]).sort_values("GAME_DATE", ignore_index=True)
        assert "are those of an earlier date, too" in str(gaps_of(both, january(season)).problem)


def test_short_lines_are_alike_by_chance(season: pd.DataFrame) -> None:
    """Of a source that fills in what it does not know nothing is said."""
    poor = season.assign(**dict.fromkeys(["STL", "BLK", "TOV", "PF", "OREB", "DREB"], 0.0))
    assert "earlier date" not in str(gaps_of(poor, january(season)).problem)


CHOSEN: dict[str, Callable[[pd.DataFrame], Any]] = {
    "the bench": lambda before: before.index[(before["MIN"] < 18) & (before["GAMES"] > 20)],
    "scorers": lambda before: before.index[before["PTS"] > 20],
    "three hundred": lambda before: (before["MIN"] * before["GAMES"]).nlargest(300).index,
    "ten minutes in twenty games": lambda before: before.index[(before["MIN"] > 10) & (before["GAMES"] >= 20)],
}


@pytest.mark.parametrize("name", CHOSEN)
def test_players_chosen_by_the_season_before_have_ends_of_their_own(name: str) -> None:
    """No bench player has 40 points, no scorer none; and of the year before others are there."""
    if not REAL_LOGS.is_dir():
        pytest.skip("the real game logs are not here")
    games = pd.concat([load_games(REAL_LOGS / f"{season}.csv") for season in ("2021-22", "2022-23", "2023-24")])
    of_player = games[games["SEASON"] == "2022-23"].groupby("PLAYER_ID")
    before = of_player[["MIN", "PTS"]].mean().assign(GAMES=of_player.size())
    chosen = games[games["PLAYER_ID"].isin(CHOSEN[name](before))].reset_index(drop=True)
    days = chosen["GAME_DATE"].dt.date[chosen["SEASON"] == "2023-24"]
    found = gaps_of(chosen, sorted(set(days))[20:])
    assert (found.picked, found.problem) == (None, None)


def test_teams_of_which_only_some_are_there_are_not_who_won_at_home(season: pd.DataFrame) -> None:
    """A side without another one has won nothing."""
    apart = season[season["GAME_ID"].str[-1].astype(int) % 2 == season["MATCHUP"].str.contains("@").astype(int)]
    assert "MATCHUP" not in str(picked_games(apart))


def test_a_whole_season_has_nothing_to_say(season: pd.DataFrame) -> None:
    """Not even on its busiest dates."""
    found = gaps_of(season, january(season))
    assert (found.picked, found.problem, found.said) == (None, None, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda games: games.assign(PTS=games["PTS"].clip(upper=20)), "PTS that are not 2 FGM", id="points"
        ),
        pytest.param(lambda games: games.assign(REB=games["REB"] // 2), "REB that are not OREB + DREB", id="rebounds"),
        pytest.param(
            lambda games: games.assign(PLAYER_ID=10 * games["PLAYER_ID"] + games["GAME_DATE"].dt.day % 2),
            "several PLAYER_IDs",
            id="players",
        ),
    ],
)
def test_box_scores_that_were_changed_are_not_known(season: pd.DataFrame, change: Pick, said: str) -> None:
    """Outliers that were cut make any model better; the user's reason settles it."""
    games, dates = change(season), january(season)
    assert said in str(gaps_of(games, dates).problem)
    assert gaps_of(games, dates, known="our league rounds them").problem is None
