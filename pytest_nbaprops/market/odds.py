"""Player-prop lines: read, checked, and matched to the players of the games they are for.

Sportsbooks write names their own way and date games in UTC, so a line is matched inside its game's two teams only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.cells import Cells, clean_cells, filled_texts, game_dates, numbers
from pytest_nbaprops.data.csvtext import parse_csv
from pytest_nbaprops.data.files import find_files, is_parquet, read_bytes
from pytest_nbaprops.data.problems import Place, Problem, RowsError, file_problem, header_problem, listed, reason
from pytest_nbaprops.errors import DataError

COLUMNS: Final = {
    "player_name": "PLAYER",
    "event_id": "EVENT_ID",
    "event_date": "EVENT_DATE",
    "home_team": "HOME_TEAM",
    "away_team": "AWAY_TEAM",
    "bookmaker": "BOOKMAKER",
    "line": "LINE",
    "timestamp": "TIMESTAMP",
    "over_price": "OVER_PRICE",
    "under_price": "UNDER_PRICE",
}
NEEDED: Final = ("player_name", "event_date", "home_team", "away_team", "line")
OTHER_NAMES: Final = {"player": "player_name", "date": "event_date", "home": "home_team", "away": "away_team"}
HIGHEST_LINE: Final = 200
LOWEST_PRICE: Final = 100
LINE: Final = Problem(expected=f"a line from 0 to {HIGHEST_LINE}", way_out="correct the cell or drop the row")
PRICE: Final = Problem(expected="an American price such as -110 or +105", way_out="convert it, or empty the cell")
STAMP: Final = Problem(expected="a time such as 2024-01-05T23:25:44Z", way_out="correct the cell or drop the column")
EVENT: Final = ["EVENT_ID", "EVENT_DATE", "HOME_TEAM", "AWAY_TEAM", "PLAYER", "BOOKMAKER"]


def read_odds(path: str | Path) -> pd.DataFrame:
    """The lines of a CSV or Parquet file, one row per player, game and bookmaker, the newest where there are several.

    Columns PLAYER, EVENT_ID, EVENT_DATE (datetime64[ns], local or UTC), HOME_TEAM, AWAY_TEAM (as written), BOOKMAKER,
    LINE (the target's units), OVER_PRICE and UNDER_PRICE (American, NaN where missing), TIMESTAMP (UTC, NaT where
    missing). player_name, event_date, home_team, away_team and line must be there.

    Raises:
        DataError: one line with file, row, column, found, expected and the way out; RowsError has one for every
            bad cell.
    """
    files = find_files(path)
    frames = [_checked(*_read(file)) for file in files]
    odds = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    newest = odds.sort_values("TIMESTAMP", kind="stable", na_position="first")
    return newest.drop_duplicates(EVENT, keep="last").sort_index().reset_index(drop=True)


def _read(path: Path) -> tuple[pa.Table, Place]:
    content = read_bytes(path)
    if not is_parquet(path):
        text = parse_csv(str(path), content)
        return text.table(), Place(name=str(path), row_number=text.row_number)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        found = f"Parquet data that cannot be read ({reason(error)})"
        raise file_problem(str(path), found, "a Parquet file", "export it again") from error
    return table, Place(name=str(path), row_number=lambda row: row + 1)


def _checked(table: pa.Table, place: Place) -> pd.DataFrame:
    lower = {name.strip().lower(): name for name in table.column_names}
    theirs = {OTHER_NAMES.get(name, name): original for name, original in reversed(lower.items())}
    for name in NEEDED:
        if name not in theirs:
            found = f"no such column, only {listed(table.column_names)}"
            raise header_problem(place.name, name, found, f"the columns {', '.join(NEEDED)}", f"add or rename {name}")
    if table.num_rows == 0:
        raise file_problem(place.name, "a header without rows", "one row per line", "export the file again")
    try:
        return pd.DataFrame(_values(table, theirs, place))
    except DataError:
        raise RowsError(_all_problems(table, theirs, place)) from None


def _values(table: pa.Table, theirs: Mapping[str, str], place: Place) -> dict[str, Any]:
    return {ours: _column(name, table, theirs.get(name), place) for name, ours in COLUMNS.items()}


def _all_problems(table: pa.Table, theirs: Mapping[str, str], place: Place) -> list[str]:
    """A line for every bad cell: columns are read whole, which stops at the first one, so now row by row."""
    found = []
    for row in range(table.num_rows):
        alone, here = table.slice(row, 1), _only(place, row)
        for name in COLUMNS:
            try:
                _column(name, alone, theirs.get(name), here)
            except DataError as error:
                found.append(str(error))
    return found


def _only(place: Place, row: int) -> Place:
    """The place of a row that was taken out of its file."""
    return Place(name=place.name, row_number=lambda _: place.row_number(row))


def _column(name: str, table: pa.Table, theirs: str | None, place: Place) -> Any:
    if theirs is None:
        empty: dict[str, Any] = {"TIMESTAMP": pd.NaT, "OVER_PRICE": np.nan, "UNDER_PRICE": np.nan}
        kind = "datetime64[ns, UTC]" if name == "timestamp" else None
        return pd.Series([empty.get(COLUMNS[name], "")] * table.num_rows, dtype=kind)
    cells = clean_cells(theirs, table.column(theirs), place)
    match name:
        case "line":
            lines = numbers(cells, LINE)
            cells.require((lines >= 0) & (lines <= HIGHEST_LINE), LINE)
            return lines
        case "over_price" | "under_price":
            prices = numbers(cells, PRICE)
            cells.require(np.isnan(prices) | (np.abs(prices) >= LOWEST_PRICE), PRICE)
            return prices
        case "event_date":
            return game_dates(cells)
        case "timestamp":
            return _stamps(cells)
        case _:
            return filled_texts(cells).to_pandas()


def _stamps(cells: Cells) -> pd.Series[Any]:
    texts = cells.array.to_pandas()
    stamps: pd.Series[Any] = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601").astype(
        "datetime64[ns, UTC]"
    )
    cells.require(stamps.notna().to_numpy() | cells.empty, STAMP)
    return stamps


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Odds with the games they belong to.

    Attributes:
        matched: the odds' rows with GAME_DATE, GAME_ID, PLAYER_ID.
        unmatched: the others, with REASON.
    """

    matched: pd.DataFrame
    unmatched: pd.DataFrame

    def medians(self) -> pd.DataFrame:
        """GAME_DATE, GAME_ID, PLAYER_ID, LINE (median over the bookmakers) and BOOKS, one row per player-game."""
        grouped = self.matched.groupby(["GAME_DATE", "GAME_ID", "PLAYER_ID"], sort=True)["LINE"]
        return grouped.agg(LINE="median", BOOKS="size").reset_index()
