"""Point metrics of predictions, all of them functions of sums per game date so that a bootstrap can add dates up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WITHIN = (3, 5, 10)
# The order of the moments in the last axis of everything called `sums`.
MOMENTS = ("n", "error", "absolute", "squared", "actual", "actual_squared", *(f"within_{k}" for k in WITHIN))
_AT = {name: position for position, name in enumerate(MOMENTS)}


def point_metrics(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """mae, rmse, r2, bias (mean of predicted - actual), within_k_pct (percent with |error| <= k) and n_predictions.

    In the target's units. NaN where there is nothing to average; r2 is also NaN where `actual` does not vary.
    """
    sums = moments(actual, predicted).sum(axis=0)
    return {name: float(statistic(name, sums)) for name in STATISTICS}


def moments(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Floats:
    """Array (rows, MOMENTS) whose sums over any set of rows give every metric of these rows."""
    truth = np.asarray(actual, dtype=np.float64)
    with np.errstate(all="ignore"):
        error = np.asarray(predicted, dtype=np.float64) - truth
        size = np.abs(error)
        # A NaN error is not within anything, and it is not outside either: keep it NaN.
        within = [np.where(np.isnan(error), np.nan, size <= k) for k in WITHIN]
        return np.stack([np.ones_like(error), error, size, error**2, truth, truth**2, *within], axis=1)


def date_sums(dates: npt.NDArray[np.datetime64], rows: Floats) -> Floats:
    """Array (dates, MOMENTS): the `rows` of each distinct date added up, in the order of the dates."""
    _, position = np.unique(dates, return_inverse=True)
    with np.errstate(all="ignore"):
        columns = [np.bincount(position.ravel(), weights=column) for column in rows.T]
    return np.stack(columns, axis=1)


def statistic(name: str, sums: Floats) -> Floats:
    """The metric `name` of moment sums, over any leading axes; KeyError for a name not in STATISTICS."""
    with np.errstate(all="ignore"):
        return np.asarray(STATISTICS[name](sums), dtype=np.float64)


def _mean(moment: str, scale: float = 1.0) -> Callable[[Floats], Floats]:
    return lambda sums: scale * sums[..., _AT[moment]] / sums[..., _AT["n"]]


def _r2(sums: Floats) -> Floats:
    total = sums[..., _AT["actual_squared"]] - sums[..., _AT["actual"]] ** 2 / sums[..., _AT["n"]]
    # The difference of two large sums leaves a rounding crumb where nothing varies.
    varies = total > 1e-12 * np.abs(sums[..., _AT["actual_squared"]])
    return np.where(varies, 1.0 - sums[..., _AT["squared"]] / np.where(varies, total, 1.0), np.nan)


STATISTICS: dict[str, Callable[[Floats], Floats]] = {
    "mae": _mean("absolute"),
    "rmse": lambda sums: np.sqrt(_mean("squared")(sums)),
    "r2": _r2,
    "bias": _mean("error"),
    **{f"within_{k}_pct": _mean(f"within_{k}", 100.0) for k in WITHIN},
    "n_predictions": lambda sums: sums[..., _AT["n"]],
}
FOLD_METRICS = ("mae", "rmse", "r2", "bias", "n_predictions")
"""What is logged and shown of every fold."""
