"""The fold plan: which dates are tested together, and which fit predicts them. Pure and cheap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.walkforward.windows import GameDate, TestWindow, TrainWindow


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One test of the walk-forward validation: game dates predicted by one fitted model.

    Attributes:
        number: 1, 2, 3 … in the order of the dates; MLflow's `step`.
        dates: the game dates tested, oldest first.
        fitted_at: cutoff of the fit that predicts them; its training rows are older.
        train_start: first date of the training window of that fit.
    """

    number: int
    dates: tuple[date, ...]
    fitted_at: date
    train_start: date

    @property
    def cutoff(self) -> date:
        """First test date: everything used is older."""
        return self.dates[0]

    @property
    def id(self) -> str:
        return self.dates[0].isoformat()

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "dates": [day.isoformat() for day in self.dates],
            "fitted_at": self.fitted_at.isoformat(),
            "train_start": self.train_start.isoformat(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Fold:
        return cls(
            number=plain["number"],
            dates=tuple(date.fromisoformat(day) for day in plain["dates"]),
            fitted_at=date.fromisoformat(plain["fitted_at"]),
            train_start=date.fromisoformat(plain["train_start"]),
        )


def plan(
    dates: Sequence[GameDate], *, test: TestWindow, step: int, refit: int, train_window: TrainWindow
) -> tuple[Fold, ...]:
    """Lay out the folds of one candidate.

    Args:
        dates: every game date of the data, oldest first.
        test: which of them are tested.
        step: game dates per fold, at least 1.
        refit: fit a new model when the last one is this many days old, at least 1; counted from the season's first
            date, so that a window that starts a night later has the same fits but for its first one.
        train_window: the training rows of a fit.

    Raises:
        SettingsError: no date falls in the test window, or a fit would have no training data.
    """
    tested = test.pick(dates)
    if not tested:
        raise SettingsError(f"--nbaprops-test: {test.text!r} holds no game date; the data {_extent(dates)}")
    by_day = {entry.day: entry for entry in dates}
    days = [entry.day for entry in dates]
    due = _due(dates, step=step, refit=refit)
    folds: list[Fold] = []
    fitted_at, train_start = tested[0], _train_start(dates, days, by_day[tested[0]], train_window)
    for first in range(0, len(tested), step):
        chunk = tuple(tested[first : first + step])
        is_due = bisect_right(due, chunk[0]) > bisect_right(due, fitted_at)
        if is_due or (chunk[0] - fitted_at).days >= refit:
            fitted_at, train_start = chunk[0], _train_start(dates, days, by_day[chunk[0]], train_window)
        folds.append(Fold(number=len(folds) + 1, dates=chunk, fitted_at=fitted_at, train_start=train_start))
    return tuple(folds)


def _due(dates: Sequence[GameDate], *, step: int, refit: int) -> list[date]:
    """The days of fits but the first, where each season is tested from its first game date on."""
    due: list[date] = []
    for _, season in groupby(dates, key=lambda entry: entry.season):
        fitted_at, *later = [entry.day for entry in season][::step]
        for day in later:
            if (day - fitted_at).days >= refit:
                fitted_at = day
                due.append(day)
    return due


def _train_start(dates: Sequence[GameDate], days: list[date], fit: GameDate, window: TrainWindow) -> date:
    start = window.start(dates, fit)
    if bisect_left(days, start) >= bisect_left(days, fit.day):
        raise SettingsError(
            f"--nbaprops-test: it starts on {fit.day}, and the train window {window.text!r} holds no game before that; "
            f"the data {_extent(dates)}; {_way_out(dates, days, fit)}"
        )
    return start


def _way_out(dates: Sequence[GameDate], days: list[date], fit: GameDate) -> str:
    """What to change: the start of the test window where nothing is older, else the train window."""
    if bisect_left(days, fit.day) > 0:
        return "widen --nbaprops-train-window, or start --nbaprops-test later"
    later = dates[min(30, len(dates) // 2)].day
    return f"start later, such as --nbaprops-test={later}..{dates[-1].day}, or add older seasons to the data"


def _extent(dates: Sequence[GameDate]) -> str:
    if not dates:
        return "holds no played game"
    seasons = sorted({entry.season for entry in dates})
    named = seasons[0] if len(seasons) == 1 else f"{seasons[0]} to {seasons[-1]}"
    return f"runs from {dates[0].day} to {dates[-1].day} (seasons {named}, {len(dates)} game dates)"
