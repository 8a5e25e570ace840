"""Intervals for metrics and paired differences: a circular block bootstrap over consecutive game dates.

Resamples are made of whole blocks of dates, wrapped around the season's end (Politis & Romano 1992), and the metric is
recomputed from the resampled per-date sums. A season holds only three to nine such blocks, and with so few the
plain percentile, BCa and studentised intervals are all too short: tests/benchmarks/verdict_simulation.py finds about
15% false promotions at 20 dates where 2.5% are nominal. So the bootstrap's spread is calibrated like Student's t for
few observations. Each side is the wider of the 2.5% tail of the resamples, in normal deviates, and their standard
deviation, times the critical value that the mean over that same standard error has in Gaussian AR(1) series of as many
dates and the same blocks ("fixed-b", Kiefer & Vogelsang 2005, by simulation); their autocorrelation is the one seen in
the data, freed of bias and moved up by most of its standard error.

Block length: Lazarus, Lewis, Stock & Watson 2018 recommend 1.3 sqrt(T) for processes like AR(1); the drift of real
seasons is more persistent, which 1.5 sqrt(T) covers better; longer blocks still miss a 1% change too often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.metrics.point import Floats, statistic

if TYPE_CHECKING:
    from collections.abc import Callable

    Statistic = Callable[[Floats], Floats]
    Critical = Callable[[int, int, float, float, int], float]

LEVEL = 0.95
MIN_DATES = 20
RESAMPLES = 10_000
CALIBRATION_SERIES = 10_000

# Of its standard error, what the seen autocorrelation is moved up by: at 20 dates it is seen too low by 0.2 as often
# as not, and always together with too small a standard error.
CAUTION = 0.75
HIGHEST_AUTOCORRELATION = 0.95
_CHUNK = 2_000  # of the series, so that five seasons of dates need no more memory than one


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided interval, and how it came about: game dates, dates in a block."""

    point: float
    low: float
    high: float
    level: float
    dates: int
    block: int


def paired_interval(  # noqa: PLR0913 - two predictors and how to compare them
    metric: str, candidate: Floats, reference: Floats, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """The interval of metric(candidate) - metric(reference) from their sums (dates, MOMENTS) of the same player-games.

    InconclusiveError with fewer than MIN_DATES dates.
    """
    width = candidate.shape[1]

    def difference(sums: Floats) -> Floats:
        return statistic(metric, sums[..., :width]) - statistic(metric, sums[..., width:])

    both = np.concatenate([candidate, reference], axis=1)
    return interval(difference, both, seed=seed, level=level, resamples=resamples)


def metric_interval(
    metric: str, sums: Floats, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """The interval of one predictor's metric from its sums (dates, MOMENTS); InconclusiveError as `paired_interval`."""
    return interval(lambda total: statistic(metric, total), sums, seed=seed, level=level, resamples=resamples)


def block_length(dates: int) -> int:
    """Dates in a block, 1.5 sqrt(dates): 7 at 20, 9 at 40 and 19 at 160, at most half of them."""
    return max(1, min(round(1.5 * math.sqrt(dates)), dates // 2))


def interval(  # noqa: PLR0913 - what is estimated, and how
    value: Statistic,
    sums: Floats,
    *,
    seed: int,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    critical: Critical | None = None,
) -> Interval:
    """The interval of any statistic of per-date sums (dates, k), which it is given with any leading axes.

    InconclusiveError with fewer than MIN_DATES dates. `critical` stands in for `critical_value`.
    """
    dates = len(sums)
    if dates < MIN_DATES:
        raise InconclusiveError(f"{dates} game dates, an interval needs {MIN_DATES}: test more dates")
    block = block_length(dates)
    with np.errstate(all="ignore"):
        point = float(value(sums.sum(axis=0)))
        drawn = value(resampled_sums(sums, block, resamples, np.random.default_rng(seed))) - point
        rho = cautious_autocorrelation(influence(value, sums))
        factor = (critical or critical_value)(dates, block, rho, level, seed)
        # Always the 2.5% tails: further out there are too few different blocks to know the shape.
        tails = np.abs(np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])) / _normal(LEVEL)
        below, above = factor * np.maximum(tails, drawn.std())
    return Interval(
        point=point, low=point - float(below), high=point + float(above), level=level, dates=dates, block=block
    )


def resampled_sums(sums: Floats, block: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Array (resamples, moments): sums over resampled series of as many dates, the last block cut to fit."""
    dates = len(sums)
    blocks = -(-dates // block)
    starts = rng.integers(0, dates, (resamples, blocks))
    whole = _circular_sums(sums, block)[starts[:, :-1]].sum(axis=1)
    return np.asarray(whole + _circular_sums(sums, dates - (blocks - 1) * block)[starts[:, -1]])


def _circular_sums(sums: Floats, length: int) -> Floats:
    """Array (dates, moments): the sum of `length` dates from each date on, the first following the last."""
    dates = len(sums)
    positions = (np.arange(dates)[:, None] + np.arange(length)) % dates
    return np.asarray(sums[positions].sum(axis=1))


def influence(value: Statistic, sums: Floats) -> Floats:
    """What each date does to the statistic, up to a factor: its jackknife values, (dates,)."""
    total = sums.sum(axis=0)
    return np.asarray(value(total) - value(total - sums))


def cautious_autocorrelation(series: Floats) -> float:
    """Lag-1 autocorrelation freed of its small-sample bias (Kendall 1954), moved up by CAUTION standard errors."""
    dates = len(series)
    around = series - series.mean()
    square = float(around @ around)
    if not square > 0:
        return 0.0
    seen = float(around[1:] @ around[:-1]) / square
    unbiased = min((dates * seen + 1) / (dates - 4), HIGHEST_AUTOCORRELATION)
    moved = unbiased + CAUTION * math.sqrt((1 - max(unbiased, 0.0) ** 2) / dates)
    return min(max(moved, 0.0), HIGHEST_AUTOCORRELATION)


def critical_value(dates: int, block: int, autocorrelation: float, level: float, seed: int) -> float:
    """The two-sided critical value of the mean over its circular block standard error in Gaussian AR(1) series."""
    rng = np.random.default_rng([seed, dates, block])
    sizes = [_CHUNK] * (CALIBRATION_SERIES // _CHUNK)
    ratios = [_studentised(_autoregressive(size, dates, autocorrelation, rng), block) for size in sizes]
    return float(np.quantile(np.abs(np.concatenate(ratios)), level))


def _autoregressive(count: int, dates: int, autocorrelation: float, rng: np.random.Generator) -> Floats:
    """Array (dates, count) of Gaussian series with unit innovations."""
    series = rng.standard_normal((dates, count))
    series[0] /= math.sqrt(1 - autocorrelation**2)  # the stationary law, so that no burn-in is needed
    for date in range(1, dates):
        series[date] += autocorrelation * series[date - 1]
    return series


def _studentised(series: Floats, block: int) -> Floats:
    """The mean of each column over the standard error that the block bootstrap of `resampled_sums` gives it."""
    dates = len(series)
    blocks = -(-dates // block)
    around = series - series.mean(axis=0)
    rest = _block_variance(around, dates - (blocks - 1) * block)
    variance = (blocks - 1) * _block_variance(around, block) + rest
    return np.asarray(series.sum(axis=0) / np.sqrt(variance))


def _block_variance(around: Floats, length: int) -> Floats:
    dates = len(around)
    cumulated = np.concatenate(
        [np.zeros((1, around.shape[1])), np.concatenate([around, around[:length]]).cumsum(axis=0)]
    )
    return np.asarray(np.square(cumulated[length : length + dates] - cumulated[:dates]).mean(axis=0))


def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
