"""Metrics of what a model predicts beside its target, such as minutes, from sums that add up over folds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pytest_nbaprops.metrics.point import moments, statistic

SIDE_STATISTICS = ("mae", "r2")


def side_sums(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> list[float]:
    """What a fold leaves behind of its rows: the sums of `metrics.point.MOMENTS`, exact builtins."""
    return [float(value) for value in moments(actual, predicted).sum(axis=0)]


def side_metrics(folds: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """`mae_minutes`, `r2_minutes` and so on over the rows of all folds together, not as a mean of folds.

    Args:
        folds: for each fold its sums by name; NaN where a fold has none of a name that another one has.
    """
    every = list(folds)
    names = sorted({name for sums in every for name in sums})
    found = {}
    for name in names:
        known = all(name in sums for sums in every)
        total = np.sum([sums[name] for sums in every], axis=0) if known else None
        for kind in SIDE_STATISTICS:
            found[f"{kind}_{name}"] = math.nan if total is None else float(statistic(kind, total))
    return found
