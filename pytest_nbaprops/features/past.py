"""What each row may know of its key: the events on earlier dates, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_nbaprops.features.windows import ranks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pytest_nbaprops.features.windows import Floats, Integers

# Day numbers stay far below this, so key * DAYS + day orders by key, then by date.
DAYS = 1 << 20
FIRST_DAY = np.datetime64("1900-01-01", "D")


def day_numbers(dates: pd.Series[pd.Timestamp]) -> Integers:
    """Days since 1900 (never negative) as int64, whatever the unit of the datetime column."""
    return (dates.to_numpy().astype("datetime64[D]") - FIRST_DAY).astype(np.int64)


class Past:
    """Events sorted by key and date, and for each row the newest event of its key on an earlier date.

    Keys are small integer codes, dates are day numbers. `ties` orders events of one key on one date, so that the
    order in which they were handed over never matters.
    """

    def __init__(
        self, *, row_keys: Integers, row_days: Integers, event_keys: Integers, event_days: Integers, ties: Integers
    ) -> None:
        moments = event_keys * DAYS + event_days
        by_moment = np.lexsort((ties, moments)) if ties.any() else np.argsort(moments, kind="stable")
        # Places are kept in half the room of a number: a session has eight of these.
        self.order: NDArray[np.int32] = by_moment.astype(np.int32)
        self.moments = moments[by_moment]
        self.rank: NDArray[np.int32] = ranks(event_keys[by_moment]).astype(np.int32)
        self.row_moments = row_keys * DAYS + row_days
        first = _places(self.moments, row_keys * DAYS)
        after = _places(self.moments, self.row_moments)
        self.after: NDArray[np.int32] = after.astype(np.int32)
        self.seen: NDArray[np.int32] = (after - first).astype(np.int32)

    def sorted(self, values: Floats) -> Floats:
        """Values of the events, handed over in the events' own order, by key and date."""
        return values[self.order]

    def at(self, values: Floats, lag: int = 1) -> Floats:
        """For each row the value of its `lag`-th last earlier event, NaN where there is none; `values` is sorted."""
        out = np.full((len(self.after), *values.shape[1:]), np.nan)
        known = self.seen >= lag
        out[known] = values[self.after[known] - lag]
        return out

    def days_since(self, lag: int = 1) -> Floats:
        """Days from the `lag`-th last earlier event to the row's date, NaN where there is none."""
        return self.row_moments - self.at(self.moments.astype(np.float64), lag)

    def count_within(self, days: int) -> Floats:
        """How many events there were in the `days` days before the row's date."""
        return (self.after - _places(self.moments, self.row_moments - days)).astype(np.float64)

    def last_days(self) -> Floats:
        """The day number of the last earlier event, NaN where there is none."""
        return self.at(self.moments.astype(np.float64)) % DAYS

    def count_since(self, days: Floats) -> Floats:
        """How many events there were from these day numbers on (one per row, NaN gives NaN) to the row's date."""
        since = np.where(np.isnan(days), 0.0, days).astype(np.int64)
        start = _places(self.moments, self.row_moments // DAYS * DAYS + since)
        return np.where(np.isnan(days), np.nan, self.after - start)


def _places(moments: Integers, wanted: Integers) -> Integers:
    """`np.searchsorted`, looking in order: near places are in the processor's cache."""
    order = np.argsort(wanted, kind="stable")
    places = np.empty(len(wanted), dtype=np.int64)
    places[order] = np.searchsorted(moments, wanted[order])
    return places
