"""Who was missing from a team's game, told by box scores up to that game only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.features.windows import decayed_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_nbaprops.features.history import History
    from pytest_nbaprops.features.windows import Floats, Integers

# After this many games in a row a player counts as gone: the team has found its new order.
LONGEST = 12
USUAL_HALFLIFE = 10
COLUMNS = ("MIN", "PTS", "REB", "AST")


class Absences:
    """Usual minutes, points, rebounds and assists of the players who are missing from each team game.

    A player is missing from the games of his team after his last appearance, up to `LONGEST` games and within the
    season, until he appears again for any team. `of_teams` has a row per team game; `own` has, per row of the games,
    what of it is the player himself (he is back tonight, or there would be no row).
    """

    def __init__(self, history: History) -> None:
        past, teams = history.player.past, history.team_games
        box = history.player.events[list(COLUMNS)].to_numpy(dtype=np.float64)
        usual = decayed_means(past.sorted(box), past.rank, 0.5 ** (1.0 / USUAL_HALFLIFE))
        last_game = teams.slots[history.played][past.order]
        until = _next_day(past.rank, history.days[history.played][past.order])
        following = teams.following(LONGEST)
        self.of_teams = pd.DataFrame(_missing(following, teams.days, last_game, until, usual), columns=list(COLUMNS))
        out = _was_missing(history, following, last_game)
        own = np.where(out[:, None], past.at(usual), 0.0)
        self.own = pd.DataFrame(own, columns=list(COLUMNS), index=history.games.index)


def _was_missing(history: History, following: Integers, last_game: Integers) -> NDArray[np.bool_]:
    """Whether the last game of the row's team is one that the row's player missed."""
    teams = history.team.past
    players_last = history.player.past.at(last_game.astype(np.float64))
    teams_last = teams.at(teams.sorted(np.arange(len(history.team.events), dtype=np.float64)))
    known = ~np.isnan(players_last) & ~np.isnan(teams_last)
    missed = np.zeros(len(known), dtype=bool)
    games = following[players_last[known].astype(np.int64)]
    missed[known] = (games == teams_last[known].astype(np.int64)[:, None]).any(axis=1)
    return missed


def _next_day(rank: Integers, days: Integers) -> Integers:
    """The day of the player's next game, far in the future after his last one."""
    never = np.iinfo(np.int64).max
    following = np.append(days[1:], never)
    return np.where(np.append(rank[1:] > 0, False), following, never)


def _missing(following: Integers, days: Integers, last_game: Integers, until: Integers, usual: Floats) -> Floats:
    total = np.zeros((len(days), usual.shape[1]))
    for step in range(following.shape[1]):
        game = following[last_game, step]
        absent = (game >= 0) & (days[game] < until)
        for column in range(usual.shape[1]):
            total[:, column] += np.bincount(game[absent], weights=usual[absent, column], minlength=len(days))
    return total
