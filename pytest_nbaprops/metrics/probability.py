"""How good chances and predictive distributions are: proper scores, calibration, coverage.

Sources: Brier 1950; Good 1952 (log loss); Gneiting & Raftery, "Strictly proper scoring rules, prediction, and
estimation", JASA 102 (2007) 359-378 (CRPS and its quantile form); Wilson 1927 is not used: the interval of a share is
the exact binomial one (Clopper & Pearson 1934), from scipy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.metrics.point import Floats

CERTAIN: Final = 1e-12  # a chance of 0 or 1 that comes out wrong would cost an infinite log loss
TENTHS: Final = 10


def brier_scores(chance: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
    """(chance - happened)^2 of each row; 0.25 is what a coin gets."""
    return np.asarray(np.square(np.asarray(chance, dtype=np.float64) - np.asarray(happened, dtype=np.float64)))


def log_losses(chance: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
    """-log of the chance given to what happened, in nats, of each row; 0.693 is what a coin gets."""
    said, came = np.asarray(chance, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    given = np.clip(np.where(came > 0, said, 1.0 - said), CERTAIN, 1.0)
    return np.where(np.isnan(said) | np.isnan(came), np.nan, -np.log(given))


def calibration_table(chance: npt.ArrayLike, happened: npt.ArrayLike, *, bins: int = TENTHS) -> pd.DataFrame:
    """What was said and what came, in bins of as many rows each, by ascending chance.

    Columns n, said (mean chance), came (share that happened), low and high (where the share lies in 95 of 100 cases if
    the mean chance is true: binomial), holds (whether it does).
    """
    from scipy.stats import binom  # noqa: PLC0415 - heavy, and only needed where a table is made

    pairs = np.column_stack([np.asarray(chance, dtype=np.float64), np.asarray(happened, dtype=np.float64)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    parts = [part for part in np.array_split(pairs[np.argsort(pairs[:, 0], kind="stable")], bins) if len(part)]
    table = pd.DataFrame(
        [{"n": len(part), "said": part[:, 0].mean(), "came": part[:, 1].mean()} for part in parts],
        columns=["n", "said", "came"],
    )
    if table.empty:
        return table.assign(low=np.nan, high=np.nan, holds=False)
    low, high = binom.interval(0.95, table["n"], table["said"])
    table = table.assign(low=np.asarray(low) / table["n"], high=np.asarray(high) / table["n"])
    return table.assign(holds=table["came"].between(table["low"], table["high"]))


def calibration_error(table: pd.DataFrame) -> float:
    """Mean |said - came| over the bins of a calibration table, weighted by their rows (ECE)."""
    if table.empty:
        return float("nan")
    return float(np.average((table["said"] - table["came"]).abs(), weights=table["n"]))


def crps_of_quantiles(quantiles: Floats, levels: npt.ArrayLike, actual: npt.ArrayLike) -> Floats:
    """Continuous ranked probability score of each row, in the target's units: as a MAE, and equal to it for a point.

    Twice the mean pinball loss over the quantile levels (Gneiting & Raftery 2007, section 4.2).

    Args:
        quantiles: shape (rows, levels).
        levels: evenly spaced in (0, 1), shape (levels,).
        actual: outcomes, shape (rows,).
    """
    at = np.asarray(levels, dtype=np.float64)
    error = np.asarray(actual, dtype=np.float64)[:, None] - quantiles
    return np.asarray(2.0 * np.where(error >= 0, at * error, (at - 1.0) * error).mean(axis=1))


def covered(low: npt.ArrayLike, high: npt.ArrayLike, actual: npt.ArrayLike) -> Floats:
    """1 where low <= actual <= high, 0 where not, NaN where an end is."""
    below, above, value = (np.asarray(x, dtype=np.float64) for x in (low, high, actual))
    inside = ((below <= value) & (value <= above)).astype(np.float64)
    return np.where(np.isnan(below) | np.isnan(above) | np.isnan(value), np.nan, inside)
