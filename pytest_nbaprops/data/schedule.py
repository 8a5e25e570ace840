"""The simulated league's calendar: which teams play on which of a season's dates."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAMES_PER_TEAM: Final = 82
SEASON_DAYS: Final = 174
BREAK: Final = range(115, 121)
TUESDAY: Final = 1
THURSDAY: Final = 3
# Mondays first; the real league rests on Thursdays, when few games are played.
WEEKDAY_LOAD: Final = np.array([1.05, 0.75, 1.45, 0.5, 1.35, 1.05, 0.95])


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One season's games in date order; ``day`` counts from the first date, gaps included."""

    first_date: dt.date
    day: NDArray[np.int64]
    home: NDArray[np.int64]
    away: NDArray[np.int64]


def season_schedule(first_year: int, teams: int, rng: np.random.Generator) -> Schedule:
    """About 82 games a team on about 165 dates, no team more than once a date or on three days running."""
    first_date = opening_night(first_year)
    home, away = _pairings(teams, rng)
    day = _days(home, away, playing_days(first_date), teams, rng)
    order = np.flatnonzero(day >= 0)
    order = order[np.argsort(day[order], kind="stable")]
    return Schedule(first_date=first_date, day=day[order], home=home[order], away=away[order])


def opening_night(first_year: int) -> dt.date:
    """The first Tuesday from 18 October on."""
    start = dt.date(first_year, 10, 18)
    return start + dt.timedelta(days=(TUESDAY - start.weekday()) % 7)


def playing_days(first_date: dt.date) -> list[int]:
    """Days of the season with games: none at Thanksgiving, on Christmas Eve and in the all-star break."""
    dates = [(day, first_date + dt.timedelta(days=day)) for day in range(SEASON_DAYS)]
    return [day for day, date in dates if day not in BREAK and not _holiday(date)]


def _holiday(date: dt.date) -> bool:
    fourth_thursday = date.month == 11 and date.weekday() == THURSDAY and 22 <= date.day <= 28  # noqa: PLR2004 - the calendar's numbers
    return fourth_thursday or (date.month, date.day) == (12, 24)


def _pairings(teams: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """82 rounds in which every team plays once, by the circle method; home advantage alternates."""
    seats = rng.permutation(teams)
    rounds = []
    for number in range(GAMES_PER_TEAM):
        circle = np.r_[seats[0], np.roll(seats[1:], number)]
        pairs = np.stack([circle[: teams // 2], circle[::-1][: teams // 2]])
        swap = (np.arange(teams // 2) + number // max(teams - 1, 1) + number) % 2 == 1
        rounds.append(np.where(swap, pairs[::-1], pairs))
    home, away = np.concatenate(rounds, axis=1)
    return home, away


def _days(
    home: NDArray[np.int64], away: NDArray[np.int64], days: list[int], teams: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The day of each game, -1 for the few that find no room."""
    found = np.full(len(home), -1)
    remaining = np.full(teams, GAMES_PER_TEAM)
    last, before_last = np.full(teams, -9), np.full(teams, -9)
    for position, day in enumerate(days):
        open_games = np.flatnonzero(found < 0)
        wanted = len(open_games) / (len(days) - position) * WEEKDAY_LOAD[(TUESDAY + day) % 7]
        tired = (last == day - 1) & (before_last == day - 2)
        # Teams that are behind the others go first, or their games would be left over.
        urgency = remaining[home[open_games]] + remaining[away[open_games]] + rng.normal(0, 2, len(open_games))
        picked = _pick(open_games[np.argsort(-urgency)], home, away, tired, rng.poisson(0.3) + round(wanted))
        found[picked] = day
        playing = np.r_[home[picked], away[picked]]
        remaining[playing] -= 1
        before_last[playing], last[playing] = last[playing], day
    return found


def _pick(
    games: NDArray[np.int64], home: NDArray[np.int64], away: NDArray[np.int64], busy: NDArray[np.bool_], wanted: int
) -> list[int]:
    """The first games whose teams are both free."""
    picked: list[int] = []
    busy = busy.copy()
    for game, host, guest in zip(games.tolist(), home[games].tolist(), away[games].tolist(), strict=True):
        if len(picked) >= wanted:
            break
        if not busy[host] and not busy[guest]:
            busy[host] = busy[guest] = True
            picked.append(game)
    return picked
