"""Which dates the guard looks at: of every kind first, others than before, until all have been seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

# A date of these is like no other in a season: months, days.
HOLIDAYS = {(12, 25): "Christmas", (12, 31): "New Year's Eve", (1, 1): "New Year", (10, 31): "Halloween"}
MARTIN_LUTHER_KING = (1, 0, range(15, 22))  # month, weekday, days


def kinds_of(dates: Sequence[dt.date], games: pd.DataFrame) -> dict[dt.date, tuple[str, ...]]:
    """For every date what it is one of: weekday, month, both together, holiday, an end of its season or of the counts.

    `games` has GAME_DATE, GAME_ID, SEASON and PLAYER_ID of all player-games.
    """
    days = games["GAME_DATE"].dt.date
    counts = games.groupby(days)["GAME_ID"].nunique()
    ends = games.assign(DAY=days).groupby("SEASON")["DAY"].agg(["min", "max"])
    debuts = set(days[~games["PLAYER_ID"].duplicated()])
    extremes = _extremes(dates, counts)
    return {day: (*_calendar(day), *extremes.get(day, ()), *_landmarks(day, ends, debuts)) for day in dates}


def choose(kinds: dict[dt.date, tuple[str, ...]], seen: Collection[dt.date], count: int) -> tuple[dt.date, ...]:
    """At most `count` dates that were not seen, so that as many kinds as can be are seen then, in ascending order.

    Ties go to the later date, which has more to leak.
    """
    known = {kind for day in seen for kind in kinds.get(day, ())}
    left = [day for day in sorted(kinds, reverse=True) if day not in seen]
    chosen: list[dt.date] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda day: sum(_WEIGHTS.get(kind.split()[0], 1) for kind in set(kinds[day]) - known))
        chosen.append(best)
        left.remove(best)
        known |= set(kinds[best])
    return tuple(sorted(chosen))


_WEIGHTS = {"weekday": 100, "holiday": 30, "month": 20, "end": 10, "most": 10, "fewest": 10}


def _calendar(day: dt.date) -> list[str]:
    weekday, month = f"{day:%A}", f"{day:%B}"
    kinds = [f"weekday {weekday}", f"month {month}", f"{weekday} in {month}"]
    on_the_third_monday = (day.month, day.weekday()) == MARTIN_LUTHER_KING[:2] and day.day in MARTIN_LUTHER_KING[2]
    holiday = HOLIDAYS.get((day.month, day.day)) or ("Martin Luther King" if on_the_third_monday else None)
    return [*kinds, f"holiday {holiday}"] if holiday else kinds


def _extremes(dates: Sequence[dt.date], counts: pd.Series[int]) -> dict[dt.date, tuple[str, ...]]:
    here = counts[counts.index.isin(list(dates))]
    fewest: Any = here.idxmin() if len(here) else None
    most: Any = here.idxmax() if len(here) else None
    return {fewest: ("fewest games",), most: ("most games",)} if len(here) else {}


def _landmarks(day: dt.date, ends: pd.DataFrame, debuts: Collection[dt.date]) -> list[str]:
    named = {"min": "end first", "max": "end last"}
    kinds = [name for column, name in named.items() if day in set(ends[column])]
    return [*kinds, "debut"] if day in debuts else kinds
