"""Lines in CSV and Parquet: a row per line with both prices, or a row per side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.cells import Cells, clean_cells, filled_texts, game_dates, numbers, texts
from pytest_nbaprops.data.problems import Place, Problem, RowsError, file_problem, header_problem, listed, reason
from pytest_nbaprops.data.tables import parse_csv
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.market.prices import PROBLEMS, decimal_price, notation_of

# Ours first, then what others call the same.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "player_name": ("player_name", "player", "participant", "description"),
    "event_id": ("event_id", "event", "game_id", "id"),
    "event_date": ("event_date", "date", "game_date"),
    "commence_time": ("commence_time", "tipoff", "tip_off", "start_time", "game_time"),
    "home_team": ("home_team", "home", "team"),
    "away_team": ("away_team", "away", "opponent"),
    "bookmaker": ("bookmaker", "book", "sportsbook", "bookmaker_title", "bookmaker_key"),
    "market": ("market", "market_key", "market_name", "prop", "stat", "stat_type"),
    "line": ("line", "point", "handicap", "points_line"),
    "timestamp": ("timestamp", "last_update", "market_last_update", "snapshot", "snapshot_time", "updated_at"),
    "over_price": ("over_price", "over", "over_odds", "price_over", "odds_over"),
    "under_price": ("under_price", "under", "under_odds", "price_under", "odds_under"),
    "side": ("side", "outcome", "outcome_name", "label", "name", "bet"),
    "price": ("price", "odds"),
}
NEEDED: Final = ("player_name", "home_team", "away_team", "line")
HIGHEST_LINE: Final = 200
LINE: Final = Problem(expected=f"a line from 0 to {HIGHEST_LINE}", way_out="correct the cell or drop the row")
STAMP: Final = Problem(expected="a time such as 2024-01-05T23:25:44Z", way_out="correct the cell or drop the column")
SIDE: Final = Problem(expected="Over or Under", way_out="correct the cell or drop the row")
SIDES: Final = ("Over", "Under")
SIDE_WORDS: Final = {"over": "Over", "o": "Over", "under": "Under", "u": "Under"}


def read_flat(name: str, content: bytes, *, parquet: bool) -> pd.DataFrame:
    """The lines of a table.

    Raises:
        DataError: a column is missing; RowsError: cells cannot be used.
    """
    table, place = _table(name, content, parquet=parquet)
    if table.num_rows == 0:
        raise file_problem(name, "a header without rows", "one row per line", "export the file again")
    columns = _Columns(table, place)
    found: list[str] = []
    values: dict[str, Any] = {}
    for ours, read in columns.readers().items():
        try:
            values[ours] = read(columns.cells[ours])
        except DataError as error:
            found.append(str(error))
    if found:
        raise RowsError(found)
    return columns.lines(values)


def _table(name: str, content: bytes, *, parquet: bool) -> tuple[pa.Table, Place]:
    if not parquet:
        text = parse_csv(name, content)
        return text.table(), Place(name=name, row_number=text.row_number)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        found = f"Parquet data that cannot be read ({reason(error)})"
        raise file_problem(name, found, "a Parquet file", "export it again") from error
    return table, Place(name=name)


class _Columns:
    """A table's columns by our names, and how their cells are read."""

    def __init__(self, table: pa.Table, place: Place) -> None:
        header = {name.strip().lower().replace(" ", "_"): name for name in reversed(table.column_names)}
        # The first alias that is there.
        theirs = {ours: header[name] for ours, names in ALIASES.items() for name in reversed(names) if name in header}
        _check_header(theirs, table.column_names, place)
        self.rows = table.num_rows
        self.cells = {ours: clean_cells(column, table.column(column), place) for ours, column in theirs.items()}
        priced = [self.cells[name].array for name in ("over_price", "under_price", "price") if name in self.cells]
        self.notation = notation_of(value for array in priced for value in array.drop_null().to_pylist())

    def readers(self) -> dict[str, Callable[[Cells], Any]]:
        every: dict[str, Callable[[Cells], Any]] = {
            "player_name": _filled, "event_id": _texts, "event_date": _dates, "commence_time": _stamps,
            "home_team": _filled, "away_team": _filled, "bookmaker": _texts, "market": _texts, "line": _lines,
            "timestamp": _stamps, "side": _sides,
            **dict.fromkeys(("over_price", "under_price", "price"), self._prices),
        }  # fmt: skip
        return {name: reader for name, reader in every.items() if name in self.cells}

    def lines(self, values: Mapping[str, Any]) -> pd.DataFrame:
        unknown = pd.Series([pd.NaT] * self.rows, dtype="datetime64[ns, UTC]")
        frame = pd.DataFrame(
            {
                "PLAYER": values["player_name"],
                "EVENT_ID": values.get("event_id", ""),
                "TIPOFF": values.get("commence_time", unknown),
                "HOME_TEAM": values["home_team"],
                "AWAY_TEAM": values["away_team"],
                "BOOKMAKER": values.get("bookmaker", ""),
                "MARKET": values.get("market", ""),
                "ALTERNATE": False,
                "LINE": values["line"],
                "TIMESTAMP": values.get("timestamp", unknown),
            }
        )
        frame["EVENT_DATE"] = values["event_date"] if "event_date" in values else _utc_dates(frame["TIPOFF"])
        if "side" in values and "price" in values:
            return paired(frame.assign(SIDE=values["side"], PRICE=values["price"]))
        empty = np.full(self.rows, np.nan)
        return frame.assign(OVER_PRICE=values.get("over_price", empty), UNDER_PRICE=values.get("under_price", empty))

    def _prices(self, cells: Cells) -> npt.NDArray[np.float64]:
        texts_ = cells.array.to_pandas()
        known = {value: decimal_price(value, self.notation) for value in texts_.dropna().unique()}
        prices = np.asarray(texts_.map(known), dtype=np.float64)
        cells.require(np.isfinite(prices) | cells.empty, PROBLEMS[self.notation])
        return prices


def _check_header(theirs: Mapping[str, str], header: list[str], place: Place) -> None:
    needed = [*NEEDED, *([] if "commence_time" in theirs else ["event_date"])]
    for name in needed:
        if name not in theirs:
            found = f"no such column, only {listed(header)}"
            raise header_problem(place.name, name, found, f"the columns {', '.join(needed)}", f"add or rename {name}")
    if ("price" in theirs) != ("side" in theirs) and not {"over_price", "under_price"} & set(theirs):
        missing, there = ("side", "price") if "price" in theirs else ("price", "side")
        raise header_problem(
            place.name, missing, f"no such column, only {there}", "both for a row per side", f"add or rename {missing}"
        )


def _filled(cells: Cells) -> Any:
    return filled_texts(cells).to_pandas().astype(object)


def _texts(cells: Cells) -> Any:
    return texts(cells).fill_null("").to_pandas().astype(object)


def _lines(cells: Cells) -> npt.NDArray[np.float64]:
    lines = numbers(cells, LINE)
    cells.require((lines >= 0) & (lines <= HIGHEST_LINE), LINE)
    return lines


def _sides(cells: Cells) -> Any:
    sides = cells.array.to_pandas().astype(object).map(lambda text: SIDE_WORDS.get(str(text).lower()))
    cells.require(sides.isin(SIDES).to_numpy(), SIDE)
    return sides


def _dates(cells: Cells) -> Any:
    """Dates; times, as some write tip-offs, as their UTC date."""
    try:
        return game_dates(cells)
    except DataError:
        stamps = pd.to_datetime(cells.array.to_pandas(), utc=True, errors="coerce", format="ISO8601")
        if stamps.isna().any():
            raise
        return _utc_dates(pd.Series(stamps))


def _stamps(cells: Cells) -> pd.Series[Any]:
    given = cells.array.to_pandas()
    stamps: pd.Series[Any] = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601").astype(
        "datetime64[ns, UTC]"
    )
    cells.require(stamps.notna().to_numpy() | cells.empty, STAMP)
    return stamps


def _utc_dates(stamps: pd.Series[Any]) -> pd.Series[Any]:
    dates: pd.Series[Any] = stamps.dt.tz_convert("UTC").dt.tz_localize(None).dt.normalize()
    return dates.astype("datetime64[ns]")


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per line from rows with SIDE (`Over`, `Under`) and PRICE.

    Over and under belong together where everything else is the same, the line and the time included. A side without
    the other is kept alone: half a market, or a rung of a ladder. The same side twice makes a second row.
    """
    keys = [name for name in rows.columns if name not in ("SIDE", "PRICE")]
    again = rows.groupby([*keys, "SIDE"], dropna=False, sort=False).cumcount()
    numbered = rows.assign(_again=again)
    joined = [*keys, "_again"]
    first = numbered.drop(columns=["SIDE", "PRICE"]).drop_duplicates(joined)
    for side in SIDES:
        prices = numbered.loc[numbered["SIDE"] == side, [*joined, "PRICE"]]
        first = first.merge(
            prices.rename(columns={"PRICE": f"{side.upper()}_PRICE"}), on=joined, how="left", validate="one_to_one"
        )
    return first.drop(columns="_again").reset_index(drop=True)
