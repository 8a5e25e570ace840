"""Prices and what they say: American, decimal and fractional odds, the bookmaker's margin, chances without it.

Inside the project every price is decimal: what one unit of stake brings back in all, so 1.91 for -110.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EVEN: Final = 100.0  # an American price is what 100 wins, or with a minus what wins 100
HIGHEST_PRICE: Final = 1001.0  # decimal; no book takes a bet beyond 1000/1
FRACTION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)", re.ASCII)
EVEN_WORDS: Final = frozenset({"ev", "evs", "even", "evens"})


def from_american(price: npt.ArrayLike) -> Floats:
    """Decimal price: 1 + a/100 for +a, 1 + 100/a for -a; NaN where |a| < 100, which no book offers."""
    american = np.asarray(price, dtype=np.float64)
    with np.errstate(all="ignore"):
        decimal = 1.0 + np.where(american > 0, american / EVEN, EVEN / -american)
    return np.where(np.abs(american) >= EVEN, decimal, np.nan)


def to_american(price: npt.ArrayLike) -> Floats:
    """The American price of a decimal one; even money is +100; NaN where the price is 1 or less."""
    profit = np.asarray(price, dtype=np.float64) - 1.0
    with np.errstate(all="ignore"):
        american = np.where(profit >= 1.0, EVEN * profit, -EVEN / profit)
    return np.where(profit > 0, american, np.nan)


def from_fractional(text: str) -> float | None:
    """Decimal price of `10/11` or `evens`; None where the text is neither."""
    if text.strip().lower() in EVEN_WORDS:
        return 2.0
    match = FRACTION.fullmatch(text.strip())
    if match is None or float(match[2]) == 0:
        return None
    return 1.0 + float(match[1]) / float(match[2])


def is_possible(price: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether a decimal price is one that a book could offer."""
    decimal = np.asarray(price, dtype=np.float64)
    return np.asarray((decimal > 1.0) & (decimal <= HIGHEST_PRICE))


def margin(over: npt.ArrayLike, under: npt.ArrayLike) -> Floats:
    """The book's margin (vig, overround): 1/over + 1/under - 1; below 0 the two prices are an arbitrage."""
    return np.asarray(1.0 / np.asarray(over, dtype=np.float64) + 1.0 / np.asarray(under, dtype=np.float64) - 1.0)


def fair_over(over: npt.ArrayLike, under: npt.ArrayLike) -> Floats:
    """Chance of over, given no push, that a two-way market implies once its margin is taken out.

    Multiplicative: both inverse prices are scaled to add up to 1. Near even money, where props are, the other methods
    (Shin 1993, power, odds ratio) differ in the fifth digit of a Brier score, so there is no choice to make.
    """
    above, below = 1.0 / np.asarray(over, dtype=np.float64), 1.0 / np.asarray(under, dtype=np.float64)
    return np.asarray(above / (above + below))


def expected_return(win: npt.ArrayLike, lose: npt.ArrayLike, price: npt.ArrayLike) -> Floats:
    """Expected profit of one unit staked at a decimal price: win (price - 1) - lose; what is left is a push."""
    gain = np.asarray(price, dtype=np.float64) - 1.0
    return np.asarray(np.asarray(win, dtype=np.float64) * gain - np.asarray(lose, dtype=np.float64))


def fair_price(win: npt.ArrayLike, lose: npt.ArrayLike) -> Floats:
    """The decimal price at which the bet neither wins nor loses in the long run: 1 + lose/win."""
    with np.errstate(all="ignore"):
        return np.asarray(1.0 + np.asarray(lose, dtype=np.float64) / np.asarray(win, dtype=np.float64))


def kelly_fraction(win: npt.ArrayLike, lose: npt.ArrayLike, price: npt.ArrayLike) -> Floats:
    """Share of the bankroll that makes it grow the fastest; 0 where the bet is not worth taking.

    Kelly 1956 with a push, which leaves the bankroll as it was: (win b - lose) / (b (win + lose)), b = price - 1.
    """
    gain = np.asarray(price, dtype=np.float64) - 1.0
    decided = np.asarray(win, dtype=np.float64) + np.asarray(lose, dtype=np.float64)
    with np.errstate(all="ignore"):
        share = expected_return(win, lose, price) / (gain * decided)
    return np.where(np.isfinite(share), np.clip(share, 0.0, 1.0), 0.0)
