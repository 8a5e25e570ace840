"""CSV files that somebody opens in a spreadsheet: names come from data, and none of them may be computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """A value for CSV that no spreadsheet takes for a formula: a text that looks like one gets an apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with all its texts and column names so; numbers and dates stay what they are."""
    texts = [name for name in table.columns if table[name].dtype.kind == "O"]
    return table.assign(**{str(name): table[name].map(cell) for name in texts}).rename(columns=cell)
