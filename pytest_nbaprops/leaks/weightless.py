"""Training rows without any weight, found by behaviour: move their target, and no prediction moves.

Rows are left out by an outcome in many ways: a mask, a weight of zero, a mean of some. All of them take no notice of
what happens at one end of that outcome. One run tells for most tests that they look everywhere: it moves only rows
that are at the low end of all outcomes at once.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

SHARE_LOW = 0.2
FEWEST_ROWS = 30
FAR = 1000.0

Mask = npt.NDArray[np.bool_]


class Moves(Protocol):
    """Runs the fold with another target of the training rows, in which those of `mixed` have each other's features."""

    def __call__(self, y: pd.Series[float], mixed: pd.Index[Any] | None = None) -> bool:
        """Whether a prediction moved."""


def weightless_rows(games: pd.DataFrame, y: pd.Series[float], moves: Moves) -> str | None:
    """What is said of training rows that no prediction depends on, or None.

    Args:
        games: of the training rows, with MIN and, where there is one, WL.
        y: their target.
        moves: runs the fold on other training rows.

    Rows without minutes and targets of 0 do not count: rates per minute and hurdle models leave them out with reason.
    """
    ends = _ends(games, y)
    corner: Mask = np.logical_and.reduce(list(ends.values()))
    if corner.sum() < FEWEST_ROWS or moves(y.mask(corner, 0.0)) or not moves(y + FAR):
        return None
    found = next((name for name, rows in ends.items() if not moves(_moved(name, rows, y))), None)
    if found is None or (found.startswith(str(y.name)) and not _left_out(ends[found], y, moves)):
        return None
    return f"no training row with {found} has any weight"


def _ends(games: pd.DataFrame, y: pd.Series[float]) -> dict[str, Mask]:
    minutes, target = games["MIN"].to_numpy(dtype=np.float64), y.to_numpy()
    counts = (minutes > 0) & (target > 0)
    if not counts.any():
        return {"": counts}
    few, low = (float(np.quantile(values[counts], SHARE_LOW)) for values in (minutes, target))
    ends = {f"MIN up to {few:g}": counts & (minutes <= few), f"{y.name} up to {low:g}": counts & (target <= low)}
    return ends if "WL" not in games else ends | {"WL L": counts & games["WL"].eq("L").to_numpy(dtype=bool)}


def _moved(name: str, rows: Mask, y: pd.Series[Any]) -> pd.Series[Any]:
    """The low end of the target itself goes down, so that whoever left it out still does."""
    return y.mask(rows, 0.0) if name.startswith(str(y.name)) else y.mask(rows, y + FAR)


def _left_out(low: Mask, y: pd.Series[Any], moves: Moves) -> bool:
    """Whether low targets were left out, and do not only count less than others: a median does not mind them.

    A median minds no other target below it either, but what is fitted for it minds who has which features.
    """
    if moves(y.mask(~low & (y < y.median()) & (y > 0), 0.0)):
        return True
    return not moves(y, y.index[low]) and moves(y, y.index[~low])
