"""Role groups: how long a player is on the floor, and what the team's last games say about who is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pytest_nbaprops.features.absences import Absences
from pytest_nbaprops.features.core import ratio, with_pra
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.history import History

FULL_SEASON = 82


@feature_group(tier="role")
def minutes(games: pd.DataFrame) -> pd.DataFrame:
    """Recent, windowed, weighted and season minutes, and how often they were few (< 10) or many (>= 30)."""
    history = History(games)
    player = history.player
    played = player.events["MIN"]
    extremes = pd.DataFrame({"FEW_MIN": played < 10, "MANY_MIN": played >= 30})  # noqa: PLR2004 - as said above
    return pd.concat(
        [
            player.lag("MIN", 1, 2, 3),
            player.mean("MIN", 5, 10, 20),
            player.median("MIN", 10),
            player.ewm("MIN", 2, 5, 15),
            player.ewm(extremes, 6),
            history.player_season.running_mean("MIN"),
        ],
        axis=1,
    )


@feature_group(tier="role")
def tenure(games: pd.DataFrame) -> pd.DataFrame:
    """Games ever, games with this team, and the means with this team."""
    history = History(games)
    here = history.player_team
    means = [here.running_mean(with_pra(here, ("MIN",))), here.ewm("MIN", 3)]
    return pd.concat([history.player.count(), here.count(), *means], axis=1)


@feature_group(tier="role")
def standing(games: pd.DataFrame) -> pd.DataFrame:
    """The player's usual minutes and production beside those of the team-mates who played lately."""
    history = History(games)
    player, teams = history.player, history.team_games
    own = pd.concat([player.ewm("MIN", 5), player.ewm(with_pra(player, ()), 8)], axis=1).fillna(0.0).to_numpy()
    usual = pd.DataFrame({"USUAL_MIN": teams.total(own[:, 0]), "USUAL_PRA": teams.total(own[:, 1])})
    usual["PLAYERS"] = teams.total(np.ones(len(games)))
    last = history.team.lag(usual, 1)
    shares = {
        "share_of_minutes": ratio(pd.Series(own[:, 0], index=games.index), last["team_usual_min_lag1"]),
        "share_of_pra": ratio(pd.Series(own[:, 1], index=games.index), last["team_usual_pra_lag1"]),
    }
    return pd.concat([last, history.team.ewm(usual, 5)], axis=1).assign(**shares)


@feature_group(tier="role")
def availability(games: pd.DataFrame) -> pd.DataFrame:
    """Games this player missed, and the team-mates and opponents missing from the last game, by what they usually do.

    `against` columns compare with what was missing in the player's own last games: with more missing now than then
    there is more for him to do.
    """
    history = History(games)
    absences = Absences(history)
    now = history.team.lag(absences.of_teams, 1) - absences.own.to_numpy()
    now.columns = pd.Index([f"missing_{name}".lower() for name in absences.of_teams])
    slots = history.team_games.slots[history.played]
    then = history.player.mean(absences.of_teams[["MIN", "PTS"]].iloc[slots], 5, 20)
    against = {
        f"missing_{name}_against{window}": now[f"missing_{name}"] - then[f"player_{name}_mean{window}"]
        for name, window in (("min", 5), ("pts", 5), ("pts", 20))
    }
    opponent = history.opponent.lag(absences.of_teams[["MIN"]], 1).iloc[:, 0]
    return now.assign(**against, opponent_missing_min=opponent, games_missed=_games_missed(history))


def _games_missed(history: History) -> np.ndarray:
    """Games of the team since the player's last appearance; capped at a season."""
    since = history.team.past.count_since(history.player.past.last_days() + 1)
    return np.minimum(since, FULL_SEASON)
