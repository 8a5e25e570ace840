from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import TIERS
from pytest_nbaprops.features.role import availability, standing
from pytest_nbaprops.features.temporal import rest
from tests.features.boxes import box, frame

ISSUE_COLUMNS = {
    "player_pra_lag1",
    "player_pra_mean3",
    "player_pra_mean5",
    "player_pra_mean10",
    "player_pra_mean20",
    "player_pra_std20",
    "player_pra_trend5_20",
    "player_pra_ewm10_per36",
    "player_usage_ewm4",
    "player_min_trend5_20",
    "true_shooting_20",
    "opponent_opp_pts_ewm15",
    "opponent_opp_reb_ewm15",
    "opponent_opp_ast_ewm15",
    "opponent_poss_ewm15",
    "team_poss_ewm15",
    "team_pts_ewm15",
    "back_to_back",
    "team_games_7d",
    "home",
    "season_games",
    "tenure_count",
}


def test_all_tiers_are_there_and_all_known_in_the_morning() -> None:
    """The built-in groups cover every tier and need no lineups."""
    groups = builtin_groups()
    assert {group.tier for group in groups} == set(TIERS)
    assert {group.known_at for group in groups} == {"morning"}
    assert len({group.name for group in groups}) == len(groups)


def test_promised_columns_are_there(league: pd.DataFrame) -> None:
    """Usage, efficiency, lags, windows, volatility, trend, rest, opponent and team are covered."""
    table = build_features(league, builtin_groups())
    assert set(table.frame.columns) >= ISSUE_COLUMNS
    assert len(table.frame.columns) <= 120
    assert set(table.frame.dtypes.astype(str)) == {"float32"}


def test_one_history_for_all_groups_is_that_of_each(league: pd.DataFrame) -> None:
    """Groups that share what is known of the games make what each makes alone, and change nothing in them."""
    before = league.copy(deep=True)
    table = build_features(league, builtin_groups())
    for group in builtin_groups():
        alone = build_features(before.copy(deep=True), [group]).frame
        pd.testing.assert_frame_equal(table.frame[list(alone.columns)], alone)
    pd.testing.assert_frame_equal(league, before)


def test_back_to_back_is_the_teams() -> None:
    """A player who sat out yesterday is on a back-to-back all the same."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30),
        box("2024-01-02", 3, "ATL vs. BOS", 30),
        box("2024-01-03", 1, "ATL vs. BOS", 30),
    )
    last = rest(games).iloc[-1]
    assert (last["back_to_back"], last["player_rest"], last["team_games_7d"]) == (True, 2, 2)


def test_missing_team_mates_are_counted_until_they_return() -> None:
    """The usual minutes of an absent regular are missing from the team's last game, not from the one before."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=8),
        box("2024-01-01", 3, "ATL vs. BOS", 36, PTS=20),
        box("2024-01-03", 1, "ATL vs. BOS", 30),
        box("2024-01-05", 1, "ATL vs. BOS", 30),
        box("2024-01-07", 1, "ATL vs. BOS", 30),
        box("2024-01-05", 3, "ATL vs. BOS", 30),
    )
    found = availability(games)[games["PLAYER_ID"] == 1]
    np.testing.assert_array_equal(found["missing_min"], [np.nan, 0, 36, 0])
    np.testing.assert_array_equal(found["missing_pts"], [np.nan, 0, 20, 0])
    back = availability(games)[games["PLAYER_ID"] == 3].iloc[-1]
    assert (back["games_missed"], back["missing_min"]) == (1, 0)


def test_nobody_is_missing_in_a_new_season() -> None:
    """Players who left over the summer are not missing in autumn."""
    games = frame(
        box("2023-04-01", 1, "ATL vs. BOS", 30),
        box("2023-04-01", 3, "ATL vs. BOS", 30),
        box("2023-11-01", 1, "ATL vs. BOS", 30),
        box("2023-11-03", 1, "ATL vs. BOS", 30),
    )
    assert availability(games)["missing_min"].iloc[-1] == 0


def test_share_of_minutes_is_of_those_who_played_last() -> None:
    """A player with 30 of 40 usual minutes has three quarters; debuts count from the next game on."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30),
        box("2024-01-01", 3, "ATL vs. BOS", 10),
        box("2024-01-03", 1, "ATL vs. BOS", 30),
        box("2024-01-03", 3, "ATL vs. BOS", 10),
        box("2024-01-05", 1, "ATL vs. BOS", 30),
    )
    assert standing(games)["share_of_minutes"].iloc[-1] == pytest.approx(0.75)


def test_real_seasons_are_built_with_few_holes(real_games: pd.DataFrame) -> None:
    """Nine real seasons: only debuts and opening games lack values."""
    table = build_features(real_games, builtin_groups())
    assert len(table.frame) == len(real_games) == 228_207
    assert table.frame.isna().mean().max() < 0.05
