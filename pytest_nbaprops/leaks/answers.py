"""A group's answer as numbers, and where it moved against another one."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.leaks.leak import detail_of, moved_value
from pytest_nbaprops.leaks.rows import row_changes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]

Found = tuple[tuple[str, ...], Mapping[str, object]]
# Sums in another order differ in their last bits. How much that is goes by a column's spread, too: seconds since 1970
# can hide a box score in the last bits of what they are, and so can any large number as far as rounding is allowed.
ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of what was computed in float32
EXACT = 2.0**-30  # of all else
# What is nothing beside a column's typical number is the noise of float64: a skew of 1e-17 is none.
NOISE = 2.0**-48
ROWS_ENOUGH = 5_000  # for a median


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a group returned: `numbers` in float64, or in `broken` an example of why it has none.

    `kept`: they went through float32, as features do, and were rounded there.
    """

    numbers: NDArray[np.float64]
    columns: tuple[str, ...] = ()
    broken: Mapping[str, object] | None = None
    kept: bool = False

    @classmethod
    def failed(cls, broken: Mapping[str, object]) -> Answer:
        return cls(numbers=np.empty((0, 0)), broken=broken)

    @classmethod
    def of(cls, raw: Any, games: pd.DataFrame) -> Answer:
        """Read a group's own answer to `games`."""
        changed = row_changes(games, raw)
        if changed is not None:
            return cls.failed(changed)
        try:
            return cls(numbers=raw.to_numpy(np.float64, na_value=np.nan), columns=tuple(map(str, raw.columns)))
        except (TypeError, ValueError, AttributeError) as problem:
            return cls.failed(detail_of(problem))

    @property
    def changed_rows(self) -> bool:
        """Whether it has none because its rows are not those of the games."""
        return self.broken is not None and self.broken["player"] is not None

    @cached_property
    def spread(self) -> NDArray[np.float64]:
        """From the lowest to the highest number of each column; 0 where there is none."""
        given = _given(self.numbers)
        there = np.isfinite(given)
        highest = np.where(there, given, -np.inf).max(axis=0, initial=-np.inf)
        lowest = np.where(there, given, np.inf).min(axis=0, initial=np.inf)
        spread: NDArray[np.float64] = np.maximum(highest - lowest, 0.0)
        return spread

    @cached_property
    def rounding(self) -> NDArray[np.float64]:
        """How far each column may be off, beside its numbers' size: fractions that float32 holds were made in it."""
        in_single = (_given(self.numbers) == self.numbers) | np.isnan(self.numbers)
        with np.errstate(invalid="ignore"):
            has_fractions = (self.numbers % 1 > 0).any(axis=0)
        rounding: NDArray[np.float64] = np.where(in_single.all(axis=0) & has_fractions, ROUNDING, EXACT)
        return rounding

    @cached_property
    def noise(self) -> NDArray[np.float64]:
        """What is nothing in each column: beside the median size of its numbers other than 0, by some of its rows."""
        some = _given(self.numbers[:: max(1, len(self.numbers) // ROWS_ENOUGH)])
        sizes = np.where(np.isfinite(some) & (some != 0), np.abs(some), np.nan)
        with warnings.catch_warnings(action="ignore"):  # of a column without one
            typical: NDArray[np.float64] = np.nan_to_num(np.nanmedian(sizes, axis=0))
        return NOISE * typical


def _given(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """As a model gets them, in float32."""
    with np.errstate(invalid="ignore", over="ignore"):
        return numbers.astype(np.float32).astype(np.float64)


def difference(  # noqa: PLR0913, PLR0917 - two answers, their rows, and whose they are
    games: pd.DataFrame, true: Answer, origin: Positions, answer: Answer, rows: Positions, ignored: Collection[str] = ()
) -> Found | None:
    """The columns, but the ignored ones, in which `rows` of an answer differ from rows `origin` of the true one.

    With the largest move of the first of them. By rounding alone nothing differs, and missing is equal to missing.
    """
    left = tuple(name for name in true.columns if name not in ignored)
    if true.broken is not None or not left:
        return None
    if answer.broken is not None:
        return left, answer.broken
    if answer.columns != true.columns:
        return left, detail_of(f"made columns {', '.join(answer.columns)}")
    was, now = true.numbers[origin], answer.numbers[rows]
    before, after = _given(was), _given(now)
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    if same[:, [name not in ignored for name in true.columns]].all():
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.minimum(np.maximum(np.abs(before), np.abs(after)), true.spread)
        allowed = np.maximum(answer.rounding * size, true.noise)
        if true.kept:  # half a step of float32
            allowed += np.abs(np.spacing(before.astype(np.float32))) / 2
        same |= np.abs(was - now) <= allowed
        move = np.where(same, -1.0, np.nan_to_num(np.abs(after - before), nan=1e-300))
    moves = dict(zip(true.columns, ~same.all(axis=0), strict=True))
    columns = tuple(name for name in left if moves[name])
    if not columns:
        return None
    place = true.columns.index(columns[0])
    worst = int(move[:, place].argmax())
    moved = moved_value(games.iloc[int(origin[worst])], before[worst, place], after[worst, place], column=columns[0])
    return columns, moved
