"""Columns of the games that are not the league's own: what is not surely known before a game counts as its outcome.

A season mean merged into the games before they are handed over was the original project's worst leak, and nothing in a
group's code shows it. So it is for the user to say which of his columns are known (`nbaprops_known_columns`); only what
hangs on the player or on the date alone, as a position or a holiday does, is known without being named.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, NUMBER_COLUMNS, OUTCOME_COLUMNS

# What a player's own box scores explain this well is made of them: his mean, his total, his number of games.
EXPLAINED = 0.9
PER_REGRESSOR = 2  # players for each column that explains, or nothing can be said


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Columns not known before the game: `outcomes` of one's own row, `seasonal` ones only when the season is over."""

    outcomes: tuple[str, ...]
    seasonal: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.outcomes, *self.seasonal)


def unknown_columns(games: pd.DataFrame, known: Collection[str] = ()) -> Unknown:
    """The schema's outcomes, and every extra column that is neither among `known` nor known of its own."""
    own = tuple(name for name in OUTCOME_COLUMNS if name in games)
    extra = [name for name in map(str, games.columns) if name not in CANONICAL_COLUMNS and name not in known]
    left = [name for name in extra if not _known_of_its_own(games, name)]
    seasonal = tuple(name for name in left if _is_seasonal(games, name))
    return Unknown(outcomes=(*own, *(name for name in left if name not in seasonal)), seasonal=seasonal)


def extra_outcomes(games: pd.DataFrame, known: Collection[str] = ()) -> tuple[str, ...]:
    """The columns of the user's own that count as not known before the game."""
    return tuple(name for name in unknown_columns(games, known).all if name not in CANONICAL_COLUMNS)


def _known_of_its_own(games: pd.DataFrame, name: str) -> bool:
    if _depends_on(games, name, ["GAME_DATE"]):
        return True
    return _depends_on(games, name, ["PLAYER_ID"]) and not _made_of_box_scores(games, name)


def _is_seasonal(games: pd.DataFrame, name: str) -> bool:
    """Whether it is one value for each player, or team, of a season."""
    if games["SEASON"].nunique() == len(games):
        return False
    return any(_depends_on(games, name, [who, "SEASON"]) for who in ("PLAYER_ID", "TEAM_ID"))


def _depends_on(games: pd.DataFrame, name: str, keys: list[str]) -> bool:
    """Whether equal keys mean equal values, missing ones aside, on several rows each."""
    values = games[name].astype("string")
    counts = values.groupby([games[key] for key in keys]).nunique()
    return bool((counts <= 1).all()) and len(counts) < len(games)


def _made_of_box_scores(games: pd.DataFrame, name: str) -> bool:
    """Whether a number that goes with the player is explained by his means, totals and number of games."""
    values = pd.to_numeric(games[name], errors="coerce")
    if values.isna().all():
        return False  # text: a name, a position
    players = games["PLAYER_ID"]
    explaining = _career(games, players)
    target = values.groupby(players).first().reindex(explaining.index).to_numpy(dtype=np.float64)
    there = np.isfinite(target)
    if there.sum() < PER_REGRESSOR * explaining.shape[1] or np.ptp(target[there]) == 0:
        return False
    return _explained(target[there], explaining.to_numpy(dtype=np.float64)[there]) >= EXPLAINED


def _career(games: pd.DataFrame, players: pd.Series[int]) -> pd.DataFrame:
    """Row per player: means of the main box score numbers, and games."""
    names = [name for name in ("MIN", "PTS", "REB", "AST", "FGA", "TOV", "STL", "BLK") if name in NUMBER_COLUMNS]
    means = games[names].astype("float64").groupby(players).mean().fillna(0.0)
    return means.assign(games=games.groupby(players).size(), one=1.0)


def _explained(values: npt.NDArray[np.float64], by: npt.NDArray[np.float64]) -> float:
    weights = np.linalg.lstsq(by, values, rcond=None)[0]
    return float(1.0 - (values - by @ weights).var() / values.var())
