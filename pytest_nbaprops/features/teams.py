"""Team games: the box scores of one team on one date, summed over its players, with the opponent's beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pytest_nbaprops.features.windows import Floats, Integers

SUMMED = ("FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB", "REB", "AST", "STL", "BLK", "TOV", "PF", "PTS")


class TeamGames:
    """One event per team and date that has a box score.

    `keys` and `days` say which team and when, `slots` which event each row of the games belongs to (-1 for unplayed
    rows), `frame` the sums of the team, OPP_ its opponent's, and POSS, the team's estimated possessions
    (FGA + 0.44 FTA - OREB + TOV, the usual box-score estimate). `order` sorts the rows by date and player: sums are
    taken in that order, so that the one in which rows were handed over cannot move their last bits.
    """

    def __init__(
        self, games: pd.DataFrame, *, teams: Integers, opponents: Integers, days: Integers, order: Integers
    ) -> None:
        played = games["MIN"].notna().to_numpy()
        moments = _moments(teams, days)
        events, first, slots = np.unique(moments[played], return_index=True, return_inverse=True)
        self.keys = teams[played][first]
        self.days = days[played][first]
        self.seasons = pd.factorize(games["SEASON"])[0][played][first]
        self.slots = np.full(len(games), -1)
        self.slots[played] = slots
        self.order = order[played[order]]
        own = np.column_stack([self.total(games[name].to_numpy(dtype=np.float64)) for name in SUMMED])
        own = np.column_stack([own, _possessions(own)])
        self._opposite = _places(events, _moments(opponents, days)[played][first])
        against = self.opposite(own)
        names = [*SUMMED, "POSS"]
        self.frame = pd.DataFrame(np.hstack([own, against]), columns=[*names, *(f"OPP_{name}" for name in names)])

    def total(self, values: Floats) -> Floats:
        """Sum over the team's players of one value per row of the games; a missing value counts as nothing."""
        mine = self.order[~np.isnan(values[self.order])]
        # astype, since sums of no rows at all would come as integers
        return np.bincount(self.slots[mine], weights=values[mine], minlength=len(self.keys)).astype(np.float64)

    def opposite(self, values: Floats) -> Floats:
        """The opponent's values in the same games, NaN where it has no box score; one row per event."""
        out = np.full_like(values, np.nan)
        known = self._opposite >= 0
        out[known] = values[self._opposite[known]]
        return out

    def following(self, count: int) -> Integers:
        """Per event the next `count` events of the same team and season, -1 where there are none."""
        order = np.lexsort((self.days, self.keys))
        out = np.full((len(order), count), -1)
        for step in range(1, min(count, len(order) - 1) + 1):
            earlier, later = order[:-step], order[step:]
            same = (self.keys[earlier] == self.keys[later]) & (self.seasons[earlier] == self.seasons[later])
            out[earlier[same], step - 1] = later[same]
        return out


def _moments(teams: Integers, days: Integers) -> Integers:
    # Sorted by day first: events of later dates never come between those of earlier ones.
    return days * (1 << 20) + teams


def _possessions(own: Floats) -> Floats:
    fga, fta, oreb, tov = (own[:, SUMMED.index(name)] for name in ("FGA", "FTA", "OREB", "TOV"))
    return fga + 0.44 * fta - oreb + tov


def _places(moments: Integers, wanted: Integers) -> Integers:
    """Where each wanted moment is among the sorted ones, -1 where it is not."""
    if not len(moments):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(moments, wanted), len(moments) - 1)
    return np.where(moments[place] == wanted, place, -1)
