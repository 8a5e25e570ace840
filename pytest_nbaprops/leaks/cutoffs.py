"""The dates on which the leak guard cuts: season landmarks first, then dates in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

DEADLINE = (2, 8)  # the trade deadline is in the first or second week of February


def leak_dates(dates: Sequence[dt.date], seasons: Sequence[str], count: int = 4) -> tuple[dt.date, ...]:
    """Sampled cutoffs from all game dates and the season of each: end, deadline week, middle and start of seasons.

    The end and the deadline of the latest season come first, then the middle and the start of the one before, then
    what is left, latest season first; beyond that, dates evenly in between. In ascending order, `count` at most.
    """
    days = sorted(set(dates))
    calendar = {season: _days_of(season, dates, seasons) for season in sorted(set(seasons), reverse=True)}
    # Something must be left to look ahead at, and something to look back on.
    usable = days[1:-1] or days
    chosen: dict[dt.date, None] = {}
    for day in (*_landmarks(list(calendar.values())), *_in_between(usable, count)):
        if len(chosen) < count and day in usable:
            chosen.setdefault(day)
    return tuple(sorted(chosen))


def _days_of(season: str, dates: Sequence[dt.date], seasons: Sequence[str]) -> list[dt.date]:
    return sorted({day for day, name in zip(dates, seasons, strict=True) if name == season})


def _landmarks(calendar: list[list[dt.date]]) -> Iterator[dt.date]:
    """End and deadline of the newest season, middle and start of the one before (or the same), then all the others."""
    before = calendar[1] if len(calendar) > 1 else calendar[0] if calendar else []
    if not calendar:
        return
    yield from (_end(calendar[0]), _deadline(calendar[0]), _middle(before), _start(before))
    for days in calendar:
        yield from (_middle(days), _start(days), _deadline(days), _end(days))


def _start(days: list[dt.date]) -> dt.date:
    return days[min(3, len(days) // 2)]


def _middle(days: list[dt.date]) -> dt.date:
    return days[len(days) // 2]


def _end(days: list[dt.date]) -> dt.date:
    # A few dates before the last one, so that there is a future to look at.
    return days[max(len(days) - 4, len(days) // 2)]


def _deadline(days: list[dt.date]) -> dt.date:
    return min(
        days, key=lambda day: abs((day - day.replace(year=days[-1].year, month=DEADLINE[0], day=DEADLINE[1])).days)
    )


def _in_between(days: list[dt.date], count: int) -> Iterator[dt.date]:
    for parts in range(1, count + 2) if days else ():
        yield from (days[len(days) * part // (parts + 1)] for part in range(1, parts + 1))
    yield from days
