"""What bets came to: results, drawdown, runs, and how many bets it takes to know."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from pytest_nbaprops.metrics.point import Floats

ENOUGH: Final = NormalDist().inv_cdf(0.975)


def bet_profits(stake: npt.ArrayLike, price: npt.ArrayLike, result: npt.ArrayLike) -> Floats:
    """Profit of each bet at a decimal price: stake (price - 1) for result 1, -stake for -1, 0 for a push (0)."""
    put, odds, came = (np.asarray(x, dtype=np.float64) for x in (stake, price, result))
    return np.asarray(np.where(came > 0, put * (odds - 1.0), np.where(came < 0, -put, 0.0)))


def drawdown(profits: npt.ArrayLike) -> float:
    """The deepest fall of the running profit below its highest point so far, from 0 on; 0 where it never falls."""
    running = np.concatenate([[0.0], np.cumsum(np.asarray(profits, dtype=np.float64))])
    return float(np.max(np.maximum.accumulate(running) - running))


def longest_losing_run(results: npt.ArrayLike) -> int:
    """The most losses in a row; a push neither ends nor lengthens a run."""
    longest = run = 0
    for result in np.asarray(results):
        run = run + 1 if result < 0 else 0 if result > 0 else run
        longest = max(longest, run)
    return longest


def break_even(price: npt.ArrayLike, stake: npt.ArrayLike | None = None) -> float:
    """The share of bets that must win at these decimal prices to lose nothing: stake-weighted, total stake / returns.

    With a win rate w, the same at every price, profit is w sum(stake price) - sum(stake).
    """
    odds = np.asarray(price, dtype=np.float64)
    put = np.ones_like(odds) if stake is None else np.asarray(stake, dtype=np.float64)
    return float(put.sum() / (put * odds).sum()) if len(odds) else float("nan")


def bets_to_know(roi: float, spread: float) -> float:
    """How many bets like these it takes until an ROI this far from 0 shows: (1.96 sd / roi)^2, bets independent.

    Args:
        roi: profit per unit staked.
        spread: standard deviation of one bet's return per unit staked.
    """
    return math.inf if roi == 0 else (ENOUGH * spread / roi) ** 2
