"""Prices as they are written: which notation a file uses, and its cells as decimal prices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, Literal

from pytest_nbaprops.data.cells import parse_number
from pytest_nbaprops.data.problems import Problem
from pytest_nbaprops.market.prices import EVEN, from_american, from_fractional, is_possible

Notation = Literal["American", "decimal", "fractional"]

_FIX: Final = "convert it to the notation of the file's other prices, or empty the cell"
PROBLEMS: Final[dict[Notation, Problem]] = {
    "American": Problem(expected="an American price such as -110 or +105, as the file's other prices", way_out=_FIX),
    "decimal": Problem(expected="a decimal price such as 1.91, above 1, as the file's other prices", way_out=_FIX),
    "fractional": Problem(expected="a fractional price such as 10/11, as the file's other prices", way_out=_FIX),
}


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
