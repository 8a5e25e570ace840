"""Window statistics over events that are sorted by key and date.

Every value is the statistic of the window that *ends with* its event. Sums run over the window itself, element by
element and newest first, or step by step along the key: never as a difference of longer sums, whose rounding would
depend on other keys and on what came before the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.signedinteger[Any]]


def ranks(keys: Integers) -> Integers:
    """How many events of the same key come before each one; `keys` is sorted."""
    position = np.arange(len(keys))
    new = np.ones(len(keys), dtype=bool)
    new[1:] = keys[1:] != keys[:-1]
    return position - np.maximum.accumulate(np.where(new, position, 0))


def shifted(values: Floats, rank: Integers, lag: int) -> Floats:
    """The values `lag` events earlier in the same key, NaN where there are not that many."""
    out = np.full_like(values, np.nan)
    if lag < len(values):
        known = rank[lag:] >= lag
        out[lag:][known] = values[: len(values) - lag][known]
    return out


def window_means(values: Floats, rank: Integers, windows: Sequence[int]) -> Iterator[tuple[int, Floats]]:
    """Mean of the last `window` values that are not NaN, for each window in ascending order."""
    known = ~np.isnan(values)
    sums = _window_sums(np.where(known, values, 0.0), rank, windows)
    counts = _window_sums(_weights(known), rank, windows)
    for (window, total), (_, count) in zip(sums, counts, strict=True):
        yield window, _ratio(total, count)


def window_std(values: Floats, rank: Integers, window: int) -> Floats:
    """Standard deviation (divisor n - 1) of the last `window` values; NaN for fewer than two."""
    ((_, mean),) = window_means(values, rank, [window])
    total = np.zeros_like(values)
    count = np.zeros_like(values)
    for lag in range(min(window, len(values))):
        off = (values[: len(values) - lag] - mean[lag:]) ** 2
        known = ~np.isnan(off) & (rank[lag:] >= lag)[:, None]
        total[lag:] += np.where(known, off, 0.0)
        count[lag:] += known
    spread: Floats = np.sqrt(_ratio(total, np.where(count > 1, count - 1, 0.0)))
    return spread


def window_median(values: Floats, rank: Integers, window: int) -> Floats:
    """Median of the last `window` values that are not NaN."""
    out = np.empty_like(values)
    for column in range(values.shape[1]):
        last = np.column_stack([shifted(values[:, column], rank, lag) for lag in range(window)])
        out[:, column] = _row_medians(np.sort(last, axis=1))
    return out


def decayed_means(values: Floats, rank: Integers, decay: float) -> Floats:
    """Mean of all values so far, each weighing `decay` times what the next newer one weighs; NaN weighs nothing."""
    known = ~np.isnan(values)
    steps = Steps(rank)
    total = steps.decayed_sums(np.where(known, values, 0.0), decay)
    return _ratio(total, steps.decayed_sums(_weights(known), decay))


class Steps:
    """The events laid out by rank: all first events, all second ones, ..., longer keys before shorter ones.

    The n-th events of all keys are then one contiguous block that continues the head of the block before it, so a
    recursion along the keys takes one vectorised step per rank.
    """

    def __init__(self, rank: Integers) -> None:
        starts = np.flatnonzero(rank == 0)
        lengths = np.diff(np.append(starts, len(rank)))
        longest_first = np.empty_like(starts)
        longest_first[np.argsort(-lengths, kind="stable")] = np.arange(len(starts))
        self.sizes = np.bincount(rank)
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        self.place = self.offsets[rank] + np.repeat(longest_first, lengths)

    def decayed_sums(self, values: Floats, decay: float) -> Floats:
        """Per event: value + decay * the sum of the event before."""
        sums = np.empty_like(values)
        sums[self.place] = values
        for size, before, start in zip(self.sizes[1:], self.offsets, self.offsets[1:], strict=False):
            sums[start : start + size] += decay * sums[before : before + size]
        per_event: Floats = sums[self.place]
        return per_event


def _weights(known: NDArray[np.bool_]) -> Floats:
    """1 for each value that is known, else 0; one column for all where every value is."""
    return np.ones((len(known), 1)) if known.all() else known.astype(np.float64)


def _window_sums(values: Floats, rank: Integers, windows: Sequence[int]) -> Iterator[tuple[int, Floats]]:
    total = values.copy()
    for window in range(1, max(windows) + 1):
        lag = window - 1
        if 0 < lag < len(values):
            earlier = values[: len(values) - lag]
            total[lag:] += np.where((rank[lag:] >= lag)[:, None], earlier, 0.0)
        if window in windows:
            yield window, total.copy()


def _row_medians(ascending: Floats) -> Floats:
    """Medians of rows that are sorted with their NaNs at the end."""
    count = ascending.shape[1] - np.isnan(ascending).sum(axis=1)
    row = np.arange(len(ascending))
    # Rows without a number have a NaN in front, which is the answer.
    last = np.maximum(count - 1, 0)
    middle: Floats = (ascending[row, last // 2] + ascending[row, np.minimum(count // 2, last)]) / 2
    return middle


def _ratio(total: Floats, count: Floats) -> Floats:
    quotient: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return quotient
