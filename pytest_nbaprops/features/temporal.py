"""Temporal groups: rest, recent form, volatility, trend and the place in the season."""

from __future__ import annotations

import pandas as pd

from pytest_nbaprops.features.core import with_pra
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.history import History

# Beyond these a longer break says no more.
LONG_BREAK = 30
OFF_SEASON = 400


@feature_group(tier="temporal")
def rest(games: pd.DataFrame) -> pd.DataFrame:
    """Days since the last game of player, team and opponent, back-to-backs, and games in the last 7 and 30 days."""
    history = History(games)
    team_rest = history.schedule.rest()
    return pd.DataFrame(
        {
            "player_rest": history.player.rest().clip(upper=OFF_SEASON),
            "team_rest": team_rest.clip(upper=LONG_BREAK),
            "back_to_back": team_rest == 1,
            "opponent_rest": history.opponent_schedule.rest().clip(upper=LONG_BREAK),
            "team_games_7d": history.schedule.count_within(7),
            "player_games_7d": history.player.count_within(7),
            "player_games_30d": history.player.count_within(30),
        }
    )


@feature_group(tier="temporal")
def form(games: pd.DataFrame) -> pd.DataFrame:
    """Points + rebounds + assists of the last three games, and the median of the last 10 and 20."""
    player = History(games).player
    total = with_pra(player, ())
    return pd.concat([player.lag(total, 1, 2, 3), player.median(total, 10, 20)], axis=1)


@feature_group(tier="temporal")
def volatility(games: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation of production and minutes over the last 20 games."""
    player = History(games).player
    return player.std(with_pra(player, ("MIN",)), 20)


@feature_group(tier="temporal")
def trend(games: pd.DataFrame) -> pd.DataFrame:
    """Last 5 games against last 20."""
    player = History(games).player
    return player.trend(with_pra(player, ("MIN", "FGA")))


@feature_group(tier="temporal")
def season(games: pd.DataFrame) -> pd.DataFrame:
    """Games of the player since the season's start, and the month."""
    history = History(games)
    return pd.DataFrame({"season_games": history.player_season.count(), "month": games["GAME_DATE"].dt.month})
