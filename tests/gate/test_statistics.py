from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.gate.statistics import (
    MIN_DATES,
    block_length,
    cautious_autocorrelation,
    critical_value,
    metric_interval,
    paired_interval,
    resampled_sums,
)
from pytest_nbaprops.metrics.point import STATISTICS, date_sums, moments

if TYPE_CHECKING:
    import numpy.typing as npt


def sums_of(dates: int, spread: float, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Per-date sums of one fixed set of outcomes, predicted with errors of that spread."""
    day = np.arange(dates).astype("datetime64[D]").repeat(40)
    actual = np.random.default_rng(99).poisson(18, len(day)).astype("float64")
    return date_sums(day, moments(actual, actual + np.random.default_rng(seed).normal(0, spread, len(day))))


@pytest.mark.parametrize(("dates", "length"), [(20, 7), (40, 9), (160, 19), (2, 1), (1, 1)])
def test_block_length_is_the_stated_rule(dates: int, length: int) -> None:
    """Blocks have 1.5 sqrt(dates) dates, at most half of them."""
    assert block_length(dates) == length


@pytest.mark.parametrize("metric", sorted(set(STATISTICS) - {"n_predictions"}))
def test_the_interval_holds_its_estimate(metric: str) -> None:
    """Low, point and high are in order for every metric, single and paired."""
    ours, theirs = sums_of(30, 6.0), sums_of(30, 7.0, seed=1)
    for interval in (metric_interval(metric, ours, seed=1), paired_interval(metric, ours, theirs, seed=1)):
        assert interval.low < interval.point < interval.high


def test_the_same_seed_gives_the_same_bits() -> None:
    """An interval is a function of sums and seed."""
    ours, theirs = sums_of(30, 6.0), sums_of(30, 7.0, seed=1)
    first, again, other = (paired_interval("mae", ours, theirs, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_equal_predictions_differ_by_exactly_nothing() -> None:
    """The interval of a predictor against itself is the point 0."""
    interval = paired_interval("mae", sums_of(30, 6.0), sums_of(30, 6.0), seed=1)
    assert (interval.low, interval.point, interval.high) == (0.0, 0.0, 0.0)


def test_a_higher_level_is_wider() -> None:
    """Correcting for several candidates never narrows an interval."""
    ours, theirs = sums_of(30, 6.0), sums_of(30, 7.0, seed=1)
    levels = [paired_interval("mae", ours, theirs, seed=1, level=1 - 0.05 / tries) for tries in (1, 2, 5, 20)]
    assert sorted(levels, key=lambda interval: interval.high) == levels


def test_few_dates_have_no_interval() -> None:
    """One date fewer than the minimum is inconclusive, whoever asks."""
    few = sums_of(MIN_DATES - 1, 6.0)
    with pytest.raises(InconclusiveError, match="19 game dates, an interval needs 20"):
        paired_interval("mae", few, few, seed=1)


def test_resamples_are_made_of_whole_seasons() -> None:
    """Every resample has as many dates as the season, and every date is drawn as often as any other."""
    identity = np.eye(20)
    drawn = resampled_sums(identity, 9, 4000, np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 20).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(20), abs=0.06)


def test_blocks_keep_neighbours_together() -> None:
    """A date is mostly drawn together with the next one, the first with the last."""
    drawn = resampled_sums(np.eye(40), 9, 4000, np.random.default_rng(0))
    together = np.asarray(np.corrcoef(drawn.T))
    assert together[5, 6] > 0.8
    assert together[0, 39] > 0.8
    assert together[5, 25] < 0


def test_autocorrelation_is_seen_with_caution() -> None:
    """Independent dates are taken for slightly dependent ones, dependent ones for more so, none for opposite."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(160)
    slow = np.convolve(rng.standard_normal(169), np.ones(10) / 10, mode="valid")
    assert 0.0 <= cautious_autocorrelation(noise) < 0.25
    assert cautious_autocorrelation(slow) > 0.85
    assert cautious_autocorrelation(np.resize([1.0, -1.0], 40)) == 0.0
    assert cautious_autocorrelation(np.zeros(40)) == 0.0


def test_fewer_dates_and_more_dependence_need_more_evidence() -> None:
    """The critical value grows as dates get fewer or depend more, and is never below the normal one."""
    values = [critical_value(dates, block_length(dates), 0.0, 0.95, 0) for dates in (160, 40, 20)]
    assert 1.96 < values[0] < values[1] < values[2]
    assert critical_value(20, 7, 0.5, 0.95, 0) > values[2]


def test_neighbouring_dates_that_go_together_widen_the_interval() -> None:
    """The same date sums in an order with memory have a wider interval than shuffled."""
    ours, theirs = sums_of(60, 6.0), sums_of(60, 7.0, seed=1)
    difference = ours[:, 2] - theirs[:, 2]
    order = np.argsort(difference)
    widths = [
        interval.high - interval.low
        for interval in (
            paired_interval("mae", ours, theirs, seed=1),
            paired_interval("mae", ours[order], theirs[order], seed=1),
        )
    ]
    assert widths[1] > 2 * widths[0]
