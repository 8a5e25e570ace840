"""The predictions of two runs, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS

IDENTICAL, CLOSE, DIFFERENT = "identical", "equal within 1e-6", "different"
TOLERANCE: Final = 1e-6  # in the target's units


@dataclass(frozen=True, kw_only=True)
class FoldComparison:
    """One fold then and now.

    Attributes:
        difference: largest absolute one of a prediction, in the target's units; None where the rows differ.
    """

    date: str
    rows: int
    outcome: str
    difference: float | None


def compare_folds(recorded: pd.DataFrame, again: pd.DataFrame) -> tuple[FoldComparison, ...]:
    """Compare the predictions of each recorded fold, to the bit, with those of the repetition.

    Args:
        recorded: columns fold, GAME_DATE, GAME_ID, PLAYER_ID, actual, predicted and baseline; a row per player-game.
        again: the same of the repetition.
    """
    by_fold = dict(iter(again.groupby("fold")))
    return tuple(_compared(before, by_fold.get(number)) for number, before in recorded.groupby("fold"))


def _compared(before: pd.DataFrame, after: pd.DataFrame | None) -> FoldComparison:
    keys = list(KEY_COLUMNS)
    before = before.sort_values(keys, ignore_index=True)
    date = str(before["GAME_DATE"].iloc[0].date())
    if after is None or not before[keys].equals(after.sort_values(keys, ignore_index=True)[keys]):
        return FoldComparison(date=date, rows=len(before), outcome=DIFFERENT, difference=None)
    after = after.sort_values(keys, ignore_index=True)
    values = ["actual", "predicted", "baseline"]
    old, new = before[values].to_numpy(np.float64), after[values].to_numpy(np.float64)
    unequal = (old.view(np.int64) != new.view(np.int64)) & ~(np.isnan(old) & np.isnan(new))
    apart = np.abs(old[unequal] - new[unequal])
    largest = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
    close = CLOSE if largest <= TOLERANCE else DIFFERENT
    outcome = close if unequal.any() else IDENTICAL
    return FoldComparison(date=date, rows=len(before), outcome=outcome, difference=largest)
