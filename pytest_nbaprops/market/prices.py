"""Prices as they are written, and what they say: the bookmaker's margin, chances without it.

Inside the project every price is decimal: what one unit of stake brings back in all, so 1.91 for -110.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from pytest_nbaprops.data.cells import parse_number
from pytest_nbaprops.data.problems import Problem
from pytest_nbaprops.metrics.point import Floats

EVEN: Final = 100.0  # an American price is what 100 wins, or with a minus what wins 100
HIGHEST_PRICE: Final = 1001.0  # decimal; no book takes a bet beyond 1000/1
FRACTION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)", re.ASCII)
EVEN_WORDS: Final = frozenset({"ev", "evs", "even", "evens"})

Notation = Literal["American", "decimal", "fractional"]

_FIX: Final = "convert it to the notation of the file's other prices, or empty the cell"
PROBLEMS: Final[dict[Notation, Problem]] = {
    "American": Problem(expected="an American price such as -110 or +105, as the file's other prices", way_out=_FIX),
    "decimal": Problem(expected="a decimal price such as 1.91, above 1, as the file's other prices", way_out=_FIX),
    "fractional": Problem(expected="a fractional price such as 10/11, as the file's other prices", way_out=_FIX),
}


def from_american(price: npt.ArrayLike) -> Floats:
    """Decimal price: 1 + a/100 for +a, 1 + 100/a for -a; NaN where |a| < 100, which no book offers."""
    american = np.asarray(price, dtype=np.float64)
    with np.errstate(all="ignore"):
        decimal = 1.0 + np.where(american > 0, american / EVEN, EVEN / -american)
    return np.where(np.abs(american) >= EVEN, decimal, np.nan)


def to_american(price: npt.ArrayLike) -> Floats:
    """The American price of a decimal one, to six places; even money is +100; NaN where the price is 1 or less."""
    profit = np.asarray(price, dtype=np.float64) - 1.0
    with np.errstate(all="ignore"):
        american = np.where(profit >= 1.0, EVEN * profit, -EVEN / profit)
    return np.where(profit > 0, american.round(6), np.nan)


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


def notation_of(values: Iterable[Any]) -> Notation:
    """The notation that most of the prices are in; American where as many are in two.

    The three never look alike: American prices are 100 or more in size, decimal ones between 1 and 100, fractional
    ones have a slash. A decimal price of 100 or more is no price of a player prop.
    """
    votes: dict[Notation, int] = {"American": 0, "decimal": 0, "fractional": 0}
    for value in values:
        number = _number(value)
        if number is None:
            votes["fractional"] += from_fractional(str(value)) is not None
        elif abs(number) >= EVEN:
            votes["American"] += 1
        elif number > 1:
            votes["decimal"] += 1
    return max(votes, key=lambda name: votes[name])


def decimal_price(value: Any, notation: Notation) -> float | None:
    """The decimal price of a cell; None where it is no possible price in that notation."""
    number = _number(value)
    if notation == "fractional":
        decimal = from_fractional(str(value)) if number is None else None
    elif number is None:
        decimal = None
    elif notation == "American":
        decimal = float(from_american(number))
    else:
        decimal = number if number < EVEN else None
    return decimal if decimal is not None and bool(is_possible(decimal)) else None


def _number(value: Any) -> float | None:
    """A finite number; American `EVEN` is left to the fractional words, which mean the same price."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return parse_number(str(value).strip().replace("\u2212", "-"))
