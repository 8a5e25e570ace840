"""Rows picked for a fit by something that is known only after the game."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import OUTCOME_COLUMNS
from pytest_nbaprops.leaks.leak import NO_EXAMPLE
from pytest_nbaprops.walkforward.dataset import Rows

OWN_FOLDER = str(Path(__file__).parents[2])
MOST_FITS = 64
# Below this a subset may lack the end of a distribution by chance: 0.9 ** 400 is 5e-19.
FEWEST_ROWS = 400
SHARE_MISSING = 0.1
SHARE_EXPLAINED = 0.9
# Trimming the target at its outer hundredths is no way to a better score.
SHARE_TRIMMED = 0.03


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The rows that one call of an estimator's `fit` was given; `index` None where they came as a plain array."""

    count: int
    index: pd.Index[Any] | None
    target: npt.NDArray[Any] | None


@dataclass(kw_only=True)
class Fits:
    """All calls of `fit` in a block, but those of this package."""

    rows: list[Fit] = field(default_factory=list)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Listen to the calls of the block."""
        before = sys.getprofile()
        sys.setprofile(self._heard)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _heard(self, frame: FrameType, event: str, argument: Any) -> None:
        del argument
        if event != "call" or frame.f_code.co_name != "fit" or frame.f_code.co_filename.startswith(OWN_FOLDER):
            return
        names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
        given = [frame.f_locals.get(name) for name in names[:2]]
        if given and len(self.rows) < MOST_FITS and (count := _length(given[0])):
            features, target = given[0], given[1] if len(given) > 1 else None
            labelled = next((part for part in (features, target) if isinstance(part, pd.DataFrame | pd.Series)), None)
            index = labelled.index if labelled is not None and len(labelled) == count else None
            values = np.asarray(target) if target is not None and _length(target) == count else None
            self.rows.append(Fit(count=count, index=index, target=values))

    def left_out(self, trained: int) -> str | None:
        """What to say of the fit with the most rows, if these are not all of the `trained` ones."""
        most = max((fit.count for fit in self.rows), default=trained)
        return None if most >= trained else f"fits on {most:,} of {trained:,} training rows"


def _length(values: Any) -> int:
    shape = getattr(values, "shape", None)
    return int(shape[0]) if shape else 0


def picked_rows(games: pd.DataFrame, train: Rows, fits: Fits) -> dict[str, object] | None:
    """The first fit whose rows were picked by an outcome, as a leak's example; None where there is none.

    Rows are picked by an outcome if an end of its distribution is missing from those that are left, as it would not
    be by chance, or if the rows left out are those of that end.
    """
    outcomes = games.loc[train.X.index, [name for name in OUTCOME_COLUMNS if name in games]]
    for fit in fits.rows:
        if not FEWEST_ROWS <= fit.count < (1 - SHARE_TRIMMED) * len(train) or _leaves_out_nothing(games, train, fit):
            continue
        said = _by_index(outcomes, train, fit) or _by_target(train, fit)
        if said is not None:
            detail = f"fits on {fit.count:,} of {len(train):,} training rows, {said}"
            return {**NO_EXAMPLE, "detail": detail}
    return None


def _leaves_out_nothing(games: pd.DataFrame, train: Rows, fit: Fit) -> bool:
    """Whether only rows without minutes, or with a target of 0, are left out: rates per minute, hurdle models."""
    if fit.index is None:
        empty = int((train.y <= 0).sum())
        return fit.target is not None and empty > 0 and fit.count == len(train) - empty and bool((fit.target > 0).all())
    left_out = ~train.X.index.isin(fit.index)
    minutes = games.loc[train.X.index, "MIN"].to_numpy(dtype=np.float64)
    return bool((train.y.to_numpy()[left_out] <= 0).all() or (minutes[left_out] <= 0).all())


def _by_index(outcomes: pd.DataFrame, train: Rows, fit: Fit) -> str | None:
    if fit.index is None or not fit.index.isin(train.X.index).all() or fit.index.has_duplicates:
        return None
    if fit.target is not None and not _same_target(train, fit):
        return None  # numbered anew: its labels are not those of the games
    kept = train.X.index.isin(fit.index)
    return next((said for name in outcomes if (said := _missing_end(outcomes[name], kept, str(name)))), None)


def _same_target(train: Rows, fit: Fit) -> bool:
    actual = train.y[train.y.index.isin(fit.index)] if fit.index is not None else train.y
    try:
        return bool(np.allclose(np.sort(np.asarray(fit.target, dtype=np.float64)), np.sort(actual.to_numpy())))
    except (TypeError, ValueError):
        return True  # a target of its own making: the labels have to do


def _missing_end(values: pd.Series[Any], kept: npt.NDArray[np.bool_], name: str) -> str | None:
    if not pd.api.types.is_numeric_dtype(values):
        return _missing_value(values, kept, name)
    numbers = values.to_numpy(dtype=np.float64)
    known, there = numbers[~np.isnan(numbers)], numbers[kept]
    if np.isnan(there).all():
        return None
    low, high = np.nanmin(there), np.nanmax(there)
    if _gone(known < low, numbers[~kept] < low):
        return f"none with {name} below {low:g}"
    return f"none with {name} above {high:g}" if _gone(known > high, numbers[~kept] > high) else None


def _missing_value(values: pd.Series[Any], kept: npt.NDArray[np.bool_], name: str) -> str | None:
    shares = values.value_counts(normalize=True)
    there = set(values[kept].dropna())
    gone = [str(value) for value, share in shares.items() if share >= SHARE_MISSING and value not in there]
    return f"none with {name} {gone[0]}" if gone else None


def _gone(beyond: npt.NDArray[np.bool_], left_out: npt.NDArray[np.bool_]) -> bool:
    """Whether what lies beyond the end of the kept rows is much of all rows, or most of those left out."""
    return bool(beyond.any()) and bool(beyond.mean() >= SHARE_MISSING or left_out.mean() >= SHARE_EXPLAINED)


def _by_target(train: Rows, fit: Fit) -> str | None:
    """Without labels the target itself has to tell."""
    if fit.index is not None or fit.target is None or fit.target.ndim != 1:
        return None
    actual = train.y.to_numpy()
    if not np.issubdtype(fit.target.dtype, np.number) or not np.isin(fit.target, actual).all():
        return None
    low, high = fit.target.min(), fit.target.max()
    for side, beyond, end in (("below", actual < low, low), ("above", actual > high, high)):
        missing = int(beyond.sum())
        if missing >= SHARE_MISSING * len(actual) or missing >= SHARE_EXPLAINED * (len(actual) - fit.count) > 0:
            return f"none with {train.y.name} {side} {end:g}"
    return None
