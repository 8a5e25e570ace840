"""Metrics of a hook that are computed on rows picked by their outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

FAR = 100.0
FEWEST_ROWS = 100
DECILES = 10


def picked_metrics(predictions: pd.DataFrame, compute: Callable[[pd.DataFrame], Mapping[str, float]]) -> dict[str, str]:
    """Metrics that do not look at all outcomes, by name, with what is said of them.

    The predictions of the lowest and of the highest tenth of the outcomes are moved far off, and made exact: a metric
    of all rows notices one or the other. Outcomes of 0 do not count, which shares of the outcome leave out.

    Args:
        predictions: with `actual` and `predicted`.
        compute: the hook; it may raise, which says nothing of its metrics.
    """
    actual = predictions["actual"].to_numpy(dtype=np.float64)
    if (actual > 0).sum() < FEWEST_ROWS:
        return {}
    low, high = np.quantile(actual[actual > 0], [1 / DECILES, 1 - 1 / DECILES])
    ends = {f"below {low:g}": (actual > 0) & (actual <= low), f"above {high:g}": actual >= high}
    true = _computed(predictions, compute)
    elsewhere = _computed(predictions.assign(predicted=actual + FAR), compute)
    true = {name: value for name, value in true.items() if not _same(value, elsewhere.get(name, math.nan))}
    found: dict[str, str] = {}
    for end, rows in ends.items():
        moved = [_computed(_with(predictions, rows, values), compute) for values in (actual + FAR, actual)]
        still = {name for name in true if all(_same(true[name], other.get(name, math.nan)) for other in moved)}
        found |= dict.fromkeys(still - set(found), f"does not change with the predictions of games {end}")
    return found


def _with(predictions: pd.DataFrame, rows: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]) -> pd.DataFrame:
    return predictions.assign(predicted=np.where(rows, values, predictions["predicted"].to_numpy()))


def _computed(predictions: pd.DataFrame, compute: Callable[[pd.DataFrame], Mapping[str, float]]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in compute(predictions).items()}
    except Exception:  # noqa: BLE001 - a user's hook; without an answer nothing is known
        return {}


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
