"""Which dates the guard looks at: of every kind first, others than before, until all have been seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

# A date of these is like no other in a season: months, days.
HOLIDAYS = {(12, 25): "Christmas", (12, 31): "New Year's Eve", (1, 1): "New Year", (10, 31): "Halloween"}
WEIGHTS = {"weekday": 100, "holiday": 30, "month": 20, "end": 10, "most": 10, "fewest": 10}


def kinds_of(dates: Sequence[dt.date], games: pd.DataFrame) -> dict[dt.date, tuple[str, ...]]:
    """For every date what it is one of: weekday, month, both together, holiday, an end of its season or of the counts.

    `games` has GAME_DATE, GAME_ID, SEASON and PLAYER_ID of all player-games.
    """
    days = games["GAME_DATE"].dt.date
    ends = days.groupby(games["SEASON"]).agg(["min", "max"])
    counts = games.groupby(days)["GAME_ID"].nunique()
    here = counts[counts.index.isin(list(dates))]
    marked = {
        "end first": set(ends["min"]),
        "end last": set(ends["max"]),
        "debut": set(days[~games["PLAYER_ID"].duplicated()]),
        "fewest games": {here.idxmin()} if len(here) else set(),
        "most games": {here.idxmax()} if len(here) else set(),
    }
    return {day: (*_calendar(day), *(kind for kind, those in marked.items() if day in those)) for day in dates}


def choose(kinds: Mapping[dt.date, tuple[str, ...]], seen: Collection[dt.date], count: int) -> tuple[dt.date, ...]:
    """At most `count` dates that were not seen, so that as many kinds as can be are seen then, the most telling first.

    Ties go to the later date, which has more to leak.
    """
    known = {kind for day in seen for kind in kinds.get(day, ())}
    left = [day for day in sorted(kinds, reverse=True) if day not in seen]
    chosen: list[dt.date] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda day: sum(WEIGHTS.get(kind.split()[0], 1) for kind in set(kinds[day]) - known))
        chosen.append(best)
        left.remove(best)
        known |= set(kinds[best])
    return tuple(chosen)


def _calendar(day: dt.date) -> list[str]:
    weekday, month = f"{day:%A}", f"{day:%B}"
    kinds = [f"weekday {weekday}", f"month {month}", f"{weekday} in {month}"]
    third_monday = day.weekday() == 0 and 15 <= day.day < 22  # noqa: PLR2004 - the third of a month
    holiday = "Martin Luther King" if day.month == 1 and third_monday else HOLIDAYS.get((day.month, day.day))
    return [*kinds, f"holiday {holiday}"] if holiday else kinds
