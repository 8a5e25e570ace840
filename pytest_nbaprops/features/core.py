"""Core groups: what a player produces, how much of the ball he gets and how well he uses it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.history import History, Track

MAIN = ("PTS", "REB", "AST")
STATS = (*MAIN, "FG3M", "STL", "BLK", "TOV")


@feature_group(tier="core")
def production(games: pd.DataFrame) -> pd.DataFrame:
    """Weighted, windowed and season means of the box score and of points + rebounds + assists."""
    history = History(games)
    player, season = history.player, history.player_season
    total, main, box = with_pra(player, ()), with_pra(player, MAIN), with_pra(player, STATS)
    return pd.concat(
        [
            player.ewm(total, 2, 5, 20),
            player.ewm(main.drop(columns="PRA"), 3),
            player.ewm(box, 10),
            player.mean(total, 3, 5, 20),
            player.mean(main, 10),
            season.running_mean(with_pra(season, MAIN)),
        ],
        axis=1,
    )


@feature_group(tier="core")
def rates(games: pd.DataFrame) -> pd.DataFrame:
    """Production per 36 minutes, as ratios of weighted sums, so that short games weigh little."""
    player = History(games).player
    long = per_36(player, with_pra(player, (*MAIN, "FG3M", "PF")), 40)
    return pd.concat([per_36(player, with_pra(player, ()), 10), long], axis=1)


@feature_group(tier="core")
def usage(games: pd.DataFrame) -> pd.DataFrame:
    """Shot volume, and the share of the team's possessions that a player finishes (FGA + 0.44 FTA + TOV)."""
    history = History(games)
    player, team = history.player, history.team_games
    used, of_team = finished(player.events), finished(team.frame).to_numpy()[team.slots[history.played]]
    shares = pd.DataFrame({"USAGE": used / np.where(of_team > 0, of_team, np.nan), "FINISHED": used})
    return pd.concat([player.ewm(["FGA", "FG3A", "FTA"], 8), player.ewm(shares, 4, 15)], axis=1)


@feature_group(tier="core")
def efficiency(games: pd.DataFrame) -> pd.DataFrame:
    """True shooting PTS / (2 (FGA + 0.44 FTA)), and how often a shot is a three or leads to the line."""
    player = History(games).player
    box = player.events[["PTS", "FGA", "FG3A", "FTA"]]
    parts = box.assign(TRIES=box["FGA"] + 0.44 * box["FTA"])
    short, long = player.mean(parts, 20), player.ewm(parts, 40)
    short.columns = long.columns = parts.columns
    return pd.DataFrame(
        {
            "true_shooting_20": ratio(short["PTS"], 2 * short["TRIES"]),
            "true_shooting_long": ratio(long["PTS"], 2 * long["TRIES"]),
            "free_throw_rate": ratio(long["FTA"], long["FGA"]),
            "three_point_rate": ratio(long["FG3A"], long["FGA"]),
        }
    )


def pra(box: pd.DataFrame) -> pd.Series[float]:
    """Points + rebounds + assists of each box score."""
    return box["PTS"] + box["REB"] + box["AST"]


def finished(box: pd.DataFrame) -> pd.Series[float]:
    """Possessions that end with the player or team: shots, trips to the line and turnovers."""
    return box["FGA"] + 0.44 * box["FTA"] + box["TOV"]


def with_pra(track: Track, columns: tuple[str, ...]) -> pd.DataFrame:
    """These columns of the events, and PRA."""
    return track.events[list(columns)].assign(PRA=pra(track.events))


def per_36(track: Track, stats: pd.DataFrame, halflife: float) -> pd.DataFrame:
    """36 * weighted sum of each stat / weighted sum of minutes."""
    means = track.ewm(stats.assign(MIN=track.events["MIN"]), halflife)
    minutes = means.pop(means.columns[-1])
    return pd.DataFrame({f"{name}_per36": 36 * ratio(means[name], minutes) for name in means})


def ratio(top: pd.Series[float], bottom: pd.Series[float]) -> pd.Series[float]:
    """Quotient, NaN where the divisor is not above zero."""
    return top / bottom.where(bottom > 0)
