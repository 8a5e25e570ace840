"""Test windows and training windows: what users write, read into values.

Standard library only, so that a wrong window is refused before anything heavy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pytest_nbaprops.errors import SettingsError

TEST_FORMS = "'last N dates', a season ('2023-24') or 'YYYY-MM-DD..YYYY-MM-DD'"
TRAIN_FORMS = "'expanding', 'N seasons' or 'N days'"


@dataclass(frozen=True, kw_only=True)
class GameDate:
    """One date on which games were played, and its season ('2023-24')."""

    day: date
    season: str


@dataclass(frozen=True, kw_only=True)
class TestWindow:
    """The dates to test; `pick` chooses them from all game dates, in order."""

    __test__ = False  # not a test class, whatever its name

    text: str
    pick: Callable[[Sequence[GameDate]], list[date]]


@dataclass(frozen=True, kw_only=True)
class TrainWindow:
    """The training rows of a fit; `start` gives their first date for a fit at a game date."""

    text: str
    start: Callable[[Sequence[GameDate], GameDate], date]


def parse_test_window(text: str, *, option: str = "--nbaprops-test") -> TestWindow:
    """Read a test window.

    Raises:
        SettingsError: the text has none of the three forms, or its dates run backwards.
    """
    cleaned = " ".join(str(text).split())
    if match := re.fullmatch(r"last (\d+) dates?", cleaned):
        count = int(match[1])
        if count == 0:
            raise SettingsError(f"{option}: {cleaned!r} leaves nothing to test; expected at least 'last 1 dates'")
        return TestWindow(text=cleaned, pick=lambda dates: [d.day for d in dates][-count:])
    if re.fullmatch(r"\d{4}-\d{2}", cleaned) and (int(cleaned[:4]) + 1) % 100 == int(cleaned[5:]):
        return TestWindow(text=cleaned, pick=lambda dates: [d.day for d in dates if d.season == cleaned])
    if match := re.fullmatch(r"(\S+?) ?\.\. ?(\S+)", cleaned):
        return _date_range(cleaned, match[1], match[2], option)
    raise SettingsError(f"{option}: {text!r} is not a test window; expected {TEST_FORMS}")


def parse_train_window(text: str, *, option: str = "--nbaprops-train-window") -> TrainWindow:
    """Read a training window.

    Raises:
        SettingsError: the text has none of the three forms.
    """
    cleaned = " ".join(str(text).split())
    if cleaned == "expanding":
        return TrainWindow(text=cleaned, start=lambda dates, _: dates[0].day)
    match = re.fullmatch(r"(\d+) (season|day)s?", cleaned)
    if not match or (match[2] == "day" and int(match[1]) == 0):
        raise SettingsError(f"{option}: {text!r} is not a training window; expected {TRAIN_FORMS}")
    count = int(match[1])
    if match[2] == "day":
        return TrainWindow(text=cleaned, start=lambda _, fit: fit.day - timedelta(days=count))
    return TrainWindow(text=cleaned, start=lambda dates, fit: _seasons_back(dates, fit, count))


def _date_range(text: str, first: str, last: str, option: str) -> TestWindow:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise SettingsError(f"{option}: {text!r} holds what is no date (2024-01-05); expected {TEST_FORMS}") from None
    if end < start:
        raise SettingsError(f"{option}: {text!r} ends before it starts; swap the two dates")
    return TestWindow(text=text, pick=lambda dates: [d.day for d in dates if start <= d.day <= end])


def _seasons_back(dates: Sequence[GameDate], fit: GameDate, count: int) -> date:
    """The first game date of the season `count` seasons before the fit's own (or the oldest there is)."""
    oldest = int(fit.season[:4]) - count
    return next(d.day for d in dates if int(d.season[:4]) >= oldest)
