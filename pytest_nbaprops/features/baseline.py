"""The reference predictor, and the columns that slices of criteria may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_nbaprops.features.windows import Floats

GAMES = 10
STARTER_MINUTES = 24.0
SLICE_COLUMNS = ("minutes", "starter", "rest", "home", "month", "player_mean")


def baseline_predictions(games: pd.DataFrame, target_columns: Sequence[str]) -> pd.Series[float]:
    """Mean of the target over the player's last 10 games on earlier dates, games of 0 minutes included.

    Debutants get the mean target of all debuts on earlier dates; NaN where there was none.
    """
    history = History(games)
    target = target_values(games, target_columns)
    means = _last_ten(history, target)
    debuts = pd.Series(_mean_of_earlier_debuts(history, target), index=games.index)
    return means.fillna(debuts).rename("baseline")


def slice_columns(games: pd.DataFrame, target_columns: Sequence[str]) -> pd.DataFrame:
    """What slices may ask for, all of it known before the game, on the index of the games.

    `minutes`: mean minutes of the player's last 10 games (0 for debutants); `starter`: whether these are at least 24,
    since the logs do not say who started; `rest`: days since the team's last game, at most 30 (30 before the first);
    `home`; `month`: 1..12; `player_mean`: mean of the target over the player's last 10 games (the baseline).
    """
    history = History(games)
    minutes = history.player.mean("MIN", GAMES).iloc[:, 0].fillna(0.0)
    return pd.DataFrame(
        {
            "minutes": minutes,
            "starter": minutes >= STARTER_MINUTES,
            "rest": history.schedule.rest().fillna(30.0).clip(upper=30.0),
            "home": history.matchups["HOME"],
            "month": games["GAME_DATE"].dt.month,
            "player_mean": baseline_predictions(games, target_columns),
        }
    )


def _last_ten(history: History, target: pd.Series[float]) -> pd.Series[float]:
    events = target.loc[history.played].to_frame("target")
    return history.player.mean(events, GAMES).iloc[:, 0]


def _mean_of_earlier_debuts(history: History, target: pd.Series[float]) -> Floats:
    """For each row the mean target of all debuts on earlier dates."""
    sums, counts = earlier_debuts(history, target)
    mean: Floats = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return mean


def earlier_debuts(history: History, target: pd.Series[float]) -> tuple[Floats, Floats]:
    """For each row the sum of the target over all debuts on earlier dates, and their number."""
    values = target.to_numpy()
    debut = history.played & (history.player.past.seen == 0)
    order = np.lexsort((history.ties, history.games["PLAYER_ID"].to_numpy(), history.days))
    order = order[debut[order]]
    before = np.searchsorted(history.days[order], history.days)
    sums: Floats = np.concatenate([[0.0], np.cumsum(values[order])])
    return sums[before], before.astype(np.float64)
