"""Contextual groups: the place, the opponent of the day and the player's own team."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pytest_nbaprops.features.core import pra, with_pra
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.history import History, Track

HALFLIFE = 15
# Shares of rebounds in rebounds + assists that part guards, wings and bigs into thirds; the logs know no positions.
BIG_SHARES = (0.5, 0.72)


@feature_group(tier="contextual")
def venue(games: pd.DataFrame) -> pd.DataFrame:
    """Whether the player's team is at home."""
    return History(games).matchups[["HOME"]].rename(columns={"HOME": "home"})


@feature_group(tier="contextual")
def opponent(games: pd.DataFrame) -> pd.DataFrame:
    """Points, rebounds, assists and threes that the opponent allowed, its pace and its point difference."""
    track = History(games).opponent
    allowed = track.events[["OPP_PTS", "OPP_REB", "OPP_AST", "OPP_FG3M", "POSS"]]
    return track.ewm(allowed.assign(NET=_net(track)), HALFLIFE)


@feature_group(tier="contextual")
def team(games: pd.DataFrame) -> pd.DataFrame:
    """Scoring, pace, points allowed and point difference of the player's own team."""
    track = History(games).team
    made = track.events[["PTS", "POSS", "OPP_PTS"]]
    return track.ewm(made.assign(NET=_net(track)), HALFLIFE)


@feature_group(tier="contextual")
def matchup(games: pd.DataFrame) -> pd.DataFrame:
    """How far players did better than usual against this opponent: all of them, and those of the same kind."""
    history = History(games)
    kind, share = _kinds(history)
    usual = history.player.ewm(with_pra(history.player, ()), 12).iloc[:, 0]
    surplus = (pra(games) - usual).to_numpy()
    allowed = history.opponent.ewm(_allowed_by_kind(history, surplus, kind), 20).to_numpy()
    sums, counts = np.split(allowed, 2, axis=1)
    row = np.arange(len(games))
    return pd.DataFrame(
        {
            "matchup_surplus": _mean(sums.sum(axis=1), counts.sum(axis=1)),
            "matchup_surplus_kind": _mean(sums[row, kind], counts[row, kind]),
            "rebound_share": share,
        },
        index=games.index,
    )


def _net(track: Track) -> pd.Series[float]:
    return track.events["PTS"] - track.events["OPP_PTS"]


def _kinds(history: History) -> tuple[np.ndarray, np.ndarray]:
    """0 guard, 1 wing (or unknown), 2 big, by the share of rebounds in rebounds + assists so far; and that share."""
    rebounds, assists = history.player.ewm(["REB", "AST"], 30).to_numpy().T
    share = _mean(rebounds, rebounds + assists)
    return np.where(np.isnan(share), 1, np.digitize(share, BIG_SHARES)), share


def _allowed_by_kind(history: History, surplus: np.ndarray, kind: np.ndarray) -> pd.DataFrame:
    """Per team game: sums of what the opponent's players of each kind did above usual, then their numbers."""
    teams = history.team_games
    chosen = [np.where(kind == which, surplus, np.nan) for which in range(len(BIG_SHARES) + 1)]
    sums = [teams.total(values) for values in chosen]
    counts = [teams.total(values * 0 + 1) for values in chosen]
    return pd.DataFrame(teams.opposite(np.column_stack(sums + counts)))


def _mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    mean: np.ndarray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
