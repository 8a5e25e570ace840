"""CSV files hold no formulas, whatever a player, a bookmaker or a feature is called."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pytest_nbaprops.spreadsheet import cell, without_formulas

PACKAGE = Path(__file__).parents[1] / "pytest_nbaprops"


def test_cells_are_no_formulas() -> None:
    """What a spreadsheet would compute gets an apostrophe; numbers stay numbers."""
    assert [cell(value) for value in ("=1+1", "@x", "a=b", -1.5, "+49")] == ["'=1+1", "'@x", "a=b", -1.5, "'+49"]


def test_texts_and_heads_of_a_table_are_no_formulas() -> None:
    """Also those of categories; dates and numbers are written as ever."""
    table = pd.DataFrame(
        {
            "player": ["=HYPERLINK(1)", None],
            "@book": pd.Categorical(["-1+1", "b"]),
            "date": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "profit": [-1.0, 2.0],
        }
    )
    assert without_formulas(table).to_csv(index=False).splitlines() == [
        "player,'@book,date,profit",
        "'=HYPERLINK(1),'-1+1,2024-01-01,-1.0",
        ",b,2024-01-02,2.0",
    ]


def test_every_file_is_written_so() -> None:
    """No other CSV is written but the sample league, whose names are our own."""
    writing = [
        (path.name, line.strip())
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if ".to_csv(" in line
    ]
    assert [line for name, line in writing if "without_formulas(" not in line and name != "sample.py"] == []
