"""The simulated league: its calendar, and its players with their traits, injuries, trades and minutes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

GAMES_PER_TEAM: Final = 82
SEASON_DAYS: Final = 174
BREAK: Final = range(115, 121)
TUESDAY: Final = 1
THURSDAY: Final = 3
# Mondays first; the real league rests on Thursdays, when few games are played.
WEEKDAY_LOAD: Final = np.array([1.05, 0.75, 1.45, 0.5, 1.35, 1.05, 0.95])

DAYS: Final = 180
TRADE_DAY: Final = 106
TURNOVER: Final = 0.10
MOVES: Final = 0.12
TRADED: Final = 0.05
RESTED: Final = 0.025
PLAYING_TIME: Final = 240.0

# Minutes by place in the rotation, and how often that place is used at all.
ROTATION: Final = np.array([35.5, 34.0, 32.0, 30.0, 27.0, 23.0, 19.5, 16.5, 13.5, 10.0, 7.0, 5.0, 4.0, 3.5, 3.0])
USED: Final = np.array([1, 1, 1, 1, 1, 1, 1, 0.96, 0.89, 0.71, 0.5, 0.36, 0.27, 0.22, 0.18])

# Per 36 minutes: guards, wings, bigs. What varies with a player's value is in the third table.
TRAITS: Final = ("shots", "threes", "free_throws", "oreb", "dreb", "ast", "stl", "blk", "tov", "pf")
BY_POSITION: Final = np.array(
    [
        [12.6, 12.3, 10.7],
        [0.47, 0.46, 0.16],
        [2.6, 2.4, 3.4],
        [0.7, 1.1, 2.9],
        [3.3, 4.2, 6.6],
        [5.1, 2.5, 2.2],
        [1.3, 1.15, 0.9],
        [0.35, 0.55, 1.4],
        [2.2, 1.6, 1.9],
        [2.5, 2.8, 4.0],
    ]
)
BY_VALUE: Final = np.array([0.22, 0.0, 0.3, 0.0, 0.09, 0.2, 0.02, 0.02, 0.14, -0.08])
SPREAD: Final = np.array([0.17, 0.25, 0.35, 0.35, 0.2, 0.32, 0.2, 0.4, 0.2, 0.15])


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """One season's games in date order; ``day`` counts from the first date, gaps included."""

    first_date: dt.date
    day: NDArray[np.int64]
    home: NDArray[np.int64]
    away: NDArray[np.int64]

    @property
    def team_games(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Team and day of each team-game: all home teams, then all away teams."""
        return np.r_[self.home, self.away], np.r_[self.day, self.day]


def season_calendar(first_year: int, teams: int, rng: np.random.Generator) -> Calendar:
    """About 82 games a team on about 165 dates, no team more than once a date or on three days running."""
    start = dt.date(first_year, 10, 18)  # the season opens on the first Tuesday from then on
    first_date = start + dt.timedelta(days=(TUESDAY - start.weekday()) % 7)
    home, away = _pairings(teams, rng)
    day = _days(home, away, _playing_days(first_date), teams, rng)
    order = np.flatnonzero(day >= 0)
    order = order[np.argsort(day[order], kind="stable")]
    return Calendar(first_date=first_date, day=day[order], home=home[order], away=away[order])


def _playing_days(first_date: dt.date) -> list[int]:
    """Days of the season with games: none at Thanksgiving, on Christmas Eve and in the all-star break."""
    days = []
    for day in range(SEASON_DAYS):
        date = first_date + dt.timedelta(days=day)
        thanksgiving = date.month == 11 and date.weekday() == THURSDAY and 22 <= date.day <= 28  # noqa: PLR2004 - the calendar's numbers
        if day not in BREAK and not thanksgiving and (date.month, date.day) != (12, 24):
            days.append(day)
    return days


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


@dataclass(kw_only=True)
class League:
    """Players and where they play; changes from season to season."""

    rng: np.random.Generator
    roster: NDArray[np.int64]
    value: Floats
    traits: Floats
    touch: Floats

    @classmethod
    def founded(cls, teams: int, size: int, rng: np.random.Generator) -> League:
        """A league with ``size`` players a team; values are dealt so that teams differ."""
        count = teams * size
        value, traits, touch = new_players(count, rng)
        return cls(rng=rng, roster=np.arange(count).reshape(teams, size), value=value, traits=traits, touch=touch)

    def next_season(self) -> None:
        """Everybody ages, some retire for rookies, some move."""
        rng, roster = self.rng, self.roster.ravel()
        self.value = self.value + rng.normal(0, 0.22, len(self.value))
        self.traits = self.traits * np.exp(rng.normal(0, 0.06, self.traits.shape))
        leaving = np.flatnonzero(rng.random(len(roster)) < TURNOVER * np.exp(-0.5 * self.value[roster]))
        value, traits, touch = new_players(len(leaving), rng)
        roster[leaving] = len(self.value) + np.arange(len(leaving))
        self.value = np.r_[self.value, value - 0.3]
        self.traits = np.concatenate([self.traits, traits], axis=1)
        self.touch = np.concatenate([self.touch, touch], axis=1)
        moving = np.flatnonzero(rng.random(len(roster)) < MOVES)
        roster[moving] = roster[rng.permutation(moving)]
        self.roster = roster.reshape(self.roster.shape)

    def rosters_by_day(self) -> NDArray[np.int64]:
        """(day, team, slot) -> player; trades swap players for good around the deadline."""
        by_day = np.repeat(self.roster[None], DAYS, axis=0)
        teams, size = self.roster.shape
        days = np.clip(self.rng.normal(TRADE_DAY - 8, 14, round(teams * size * TRADED / 2)), 20, TRADE_DAY)
        # In order, since every trade starts from the rosters that the one before it left.
        for day in np.sort(days.astype(np.int64)):
            first, second = self.rng.integers(0, teams, 2)
            slots = self.rng.integers(0, size, 2)
            here, there = by_day[day, first, slots[0]], by_day[day, second, slots[1]]
            by_day[day:, first, slots[0]], by_day[day:, second, slots[1]] = there, here
        self.roster = by_day[-1].copy()
        return by_day

    def available_by_day(self) -> NDArray[np.bool_]:
        """(player, day): injuries of lognormal length and single days of rest."""
        count = len(self.value)
        start = self.rng.random((count, DAYS)) < 0.0085 * np.exp(self.rng.normal(0, 0.5, (count, 1)))
        length = np.ceil(self.rng.lognormal(1.9, 1.0, (count, DAYS))).astype(np.int64)
        back = np.maximum.accumulate(np.where(start, np.arange(DAYS) + length, -1), axis=1)
        return (np.arange(DAYS) >= back) & (self.rng.random((count, DAYS)) > RESTED)

    def value_by_day(self) -> Floats:
        """(player, day): the coach's view, which drifts and sometimes jumps."""
        shape = (len(self.value), DAYS)
        drift = self.rng.normal(0, 0.015, shape)
        jumps = self.rng.normal(0, 0.5, shape) * (self.rng.random(shape) < 0.35 / DAYS)
        return self.value[:, None] + np.cumsum(drift + jumps, axis=1)

    def form_by_day(self) -> Floats:
        """(player, day): a slow multiplier of everything a player does on the floor."""
        shape = (len(self.value), DAYS)
        form = np.cumsum(self.rng.normal(0, 0.004, shape), axis=1)
        return np.asarray(np.exp(form - 0.5 * form.var()))


def new_players(count: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Value (skewed: stars are rare), traits (10, n) per 36 minutes, and shooting touch (3, n)."""
    value = rng.gamma(3.0, 0.55, count) - 1.65
    position = rng.choice(3, count, p=[0.38, 0.34, 0.28])
    spread = np.exp(BY_VALUE[:, None] * value + SPREAD[:, None] * rng.normal(0, 1, (len(TRAITS), count)))
    traits = BY_POSITION[:, position] * spread
    traits[1] = np.clip(traits[1], 0, 0.75)
    inside = np.array([0.52, 0.53, 0.59])[position] + rng.normal(0, 0.03, count)
    outside = np.clip(0.355 + rng.normal(0, 0.025, count), 0.25, 0.45)
    line = np.clip(np.array([0.82, 0.79, 0.71])[position] + rng.normal(0, 0.06, count), 0.4, 0.95)
    return value, traits, np.stack([inside, outside, line])


@dataclass(frozen=True, kw_only=True)
class Appearances:
    """Arrays (team-game, slot) of one season; team-games are all home teams, then all away teams."""

    player: NDArray[np.int64]
    plays: NDArray[np.bool_]
    minutes: Floats
    form: Floats


def appearances(league: League, calendar: Calendar) -> Appearances:
    """Who plays how long in every game of a season."""
    team, day = calendar.team_games
    rosters, available, value = league.rosters_by_day(), league.available_by_day(), league.value_by_day()
    player = rosters[day, team]
    when = day[:, None]
    out = ~available[player, when]
    here = np.where(out, -np.inf, value[player, when])
    rank = np.argsort(np.argsort(-here, axis=1, kind="stable"), axis=1, kind="stable")
    plays = ~out & (league.rng.random(rank.shape) < USED[np.minimum(rank, len(USED) - 1)])
    # 0 to 1 per team-game: how early the game is decided, the same for both sides.
    decided = np.tile(np.clip(league.rng.normal(-0.2, 0.55, len(calendar.day)), 0, 1), 2)[:, None]
    minutes = _minutes(rank, plays, decided, league.rng)
    return Appearances(player=player, plays=plays, minutes=minutes, form=league.form_by_day()[player, when])


def _minutes(rank: NDArray[np.int64], plays: NDArray[np.bool_], decided: Floats, rng: np.random.Generator) -> Floats:
    place = np.minimum(rank, len(ROTATION) - 1)
    share = ROTATION[place] * np.exp(rng.normal(0, 1, rank.shape) * (0.085 + 0.043 * np.minimum(place, 9)))
    share *= 1 + decided * np.where(place < 5, -0.14, np.where(place < 9, 0.08, 0.9))  # noqa: PLR2004 - starters, bench, the rest
    hurt = rng.random(rank.shape) < 0.012  # noqa: PLR2004 - leaves the game early
    share = np.where(plays, share * np.where(hurt, rng.random(rank.shape), 1), 0)
    minutes = share * PLAYING_TIME / np.maximum(share.sum(axis=1, keepdims=True), 1)
    garbage = (place >= 9) & (rng.random(rank.shape) < 0.025)  # noqa: PLR2004 - sent in for the last seconds
    return np.asarray(np.where(garbage, 0, np.clip(np.rint(minutes), 1, 48)) * plays)
