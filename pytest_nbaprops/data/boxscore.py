"""The simulated league's box scores: minutes and traits to counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_nbaprops.data.league import TRAITS, Appearances, Floats, League

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_nbaprops.data.schedule import Schedule

HOME_EDGE: Final = 0.014
TIRED_EDGE: Final = -0.03
NIGHT_SPREAD: Final = 0.18


def box_scores(
    league: League, schedule: Schedule, games: Appearances, team_traits: Floats
) -> dict[str, NDArray[np.float64]]:
    """Counts (team-game, slot) by column name, zero for those who do not play.

    ``team_traits`` is (2, teams): pace, and points allowed, both as logarithms around 0.
    """
    rng = league.rng
    traits = dict(zip(TRAITS, league.traits[:, games.player], strict=True))
    inside, outside, line = league.touch[:, games.player]
    tempo = games.minutes / 36 * np.exp(_tempo(schedule, team_traits))
    night = np.exp(rng.normal(0, NIGHT_SPREAD, games.minutes.shape)) * games.form
    load = tempo * night
    # Half a Poisson's variance: teammates share one ball.
    wanted = 2 * load * traits["shots"] * _usage(games, traits["shots"])
    shots = rng.binomial(np.floor(wanted + rng.random(wanted.shape)).astype(np.int64), 0.5)
    defence = np.exp(team_traits[1][np.r_[schedule.away, schedule.home]][:, None])  # what the opponent allows
    threes = rng.binomial(shots, np.clip(traits["threes"], 0, 1))
    threes_made = rng.binomial(threes, np.clip(outside * defence, 0, 1))
    made = threes_made + rng.binomial(shots - threes, np.clip(inside * defence, 0, 1))
    free = rng.poisson(load * traits["free_throws"])
    counts = {"FGM": made, "FGA": shots, "FG3M": threes_made, "FG3A": threes, "FTM": rng.binomial(free, line)}
    counts |= {"FTA": free, "PF": np.minimum(rng.poisson(tempo * traits["pf"]), 6)}
    counts |= {name.upper(): rng.poisson(load * traits[name]) for name in ("oreb", "dreb", "ast", "stl", "blk", "tov")}
    untied = _without_ties({name: values.astype(np.float64) for name, values in counts.items()}, games)
    return untied | {"REB": untied["OREB"] + untied["DREB"], "PTS": points_of(untied)}


def _tempo(schedule: Schedule, team_traits: Floats) -> Floats:
    """Pace of both teams, the home side's edge, and the cost of a second game in two days."""
    pace = team_traits[0]
    both = np.tile(pace[schedule.home] + pace[schedule.away], 2)
    edge = np.repeat([HOME_EDGE, -HOME_EDGE], len(schedule.day))
    return np.asarray((both + edge + TIRED_EDGE * back_to_back(schedule))[:, None])


def back_to_back(schedule: Schedule) -> NDArray[np.bool_]:
    """Per team-game: whether the team also played the day before."""
    team, day = np.r_[schedule.home, schedule.away], np.r_[schedule.day, schedule.day]
    order = np.lexsort((day, team))
    again = np.r_[False, (np.diff(team[order]) == 0) & (np.diff(day[order]) == 1)]
    found = np.empty_like(again)
    found[order] = again
    return np.asarray(found)


def _usage(games: Appearances, shots: Floats) -> Floats:
    """Shots that missing teammates leave go to those who are there."""
    weight = games.minutes.sum(axis=1, keepdims=True)
    there = (games.minutes * shots).sum(axis=1, keepdims=True) / np.maximum(weight, 1)
    return np.asarray(shots[games.plays].mean() * 1.06 / np.maximum(there, 1))


def _without_ties(counts: dict[str, NDArray[np.float64]], games: Appearances) -> dict[str, NDArray[np.float64]]:
    """A made free throw for the home side's busiest player where both sides have as many points."""
    points = points_of(counts).sum(axis=1)
    half = len(points) // 2
    tied = np.flatnonzero(points[:half] == points[half:])
    busiest = games.minutes[tied].argmax(axis=1)
    for name in ("FTM", "FTA"):
        counts[name][tied, busiest] += 1
    return counts


def points_of(counts: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Two for a shot, one more from behind the arc, one for a free throw."""
    return 2 * counts["FGM"] + counts["FG3M"] + counts["FTM"]
