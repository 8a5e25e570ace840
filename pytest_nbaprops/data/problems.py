"""One-line data errors: file, row, column, found, expected, way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LONGEST_SHOWN: Final = 60
MORE_NAMES: Final = 8


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rows come from; ``row_number`` turns a 0-based row into the one a user looks for, from 1 if not given."""

    name: str
    row_number: Callable[[int], int] = lambda row: row + 1

    def at(self, row: int) -> str:
        return f"{self.name}, row {self.row_number(row)}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with a cell, and what to do about it."""

    expected: str
    way_out: str

    def error(self, place: Place, column: str, bad: NDArray[np.bool_], found: Callable[[int], object]) -> DataError:
        """The error for the first bad row, with the number of the others."""
        rows = np.flatnonzero(bad)
        first = int(rows[0])
        others = f" (and in {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        return DataError(
            f"{place.at(first)}, column {column}: found {shown(found(first))}{others}, "
            f"expected {self.expected}; {self.way_out}"
        )


class RowsError(DataError):
    """Rows cannot be used: `problems` holds a line for each problem, the error's text the first of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = tuple(problems)


def file_problem(name: str, found: str, expected: str, way_out: str) -> DataError:
    """An error that is about a file as a whole."""
    return DataError(f"{name}: found {found}, expected {expected}; {way_out}")


def header_problem(name: str, column: str, found: str, expected: str, way_out: str) -> DataError:
    """An error that is about a column as a whole, so about the header."""
    return DataError(f"{name}, row 1, column {column}: found {found}, expected {expected}; {way_out}")


def shown(value: object) -> str:
    """A cell's value on one line, cut when it is long."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "an empty cell"
    text = repr(value if isinstance(value, str) else str(value))
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 4] + "...'"


def reason(error: BaseException) -> str:
    """An exception's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def listed(names: list[str], most: int = MORE_NAMES) -> str:
    """A few names, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
