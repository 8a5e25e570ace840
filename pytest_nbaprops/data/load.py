"""Game logs from CSV, Parquet, folders, globs or hooks to the one canonical frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.canonical import canonical_table
from pytest_nbaprops.data.cells import arrow_column
from pytest_nbaprops.data.columns import named_table, require_same_columns
from pytest_nbaprops.data.csvtext import parse_csv
from pytest_nbaprops.data.files import find_files, is_parquet, read_bytes
from pytest_nbaprops.data.problems import Place, file_problem, reason
from pytest_nbaprops.data.rows import Part, ordered_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def load_games(
    source: str | Path, *, column_map: Mapping[str, str] | None = None, target_columns: Sequence[str] = ()
) -> pd.DataFrame:
    """The games of a file, folder or glob in canonical form.

    One row per player-game, sorted by (GAME_DATE, GAME_ID, PLAYER_ID) under a RangeIndex; ids int64, GAME_ID ten
    digits, GAME_DATE datetime64[ns], MIN and every stat float64. ``column_map`` is {their name: our name}.
    Raises DataError, one line with file, row, column, found, expected and the way out.
    """
    parts = []
    for path in find_files(source):
        raw, place = _read(path)
        parts.append(_part(raw, place, column_map or {}, target_columns))
    return _frame(parts)


def normalize_games(frame: pd.DataFrame, *, source: str, target_columns: Sequence[str] = ()) -> pd.DataFrame:
    """A frame from anywhere else, checked and brought into the form of `load_games`; the input is left alone.

    ``source`` names it in errors; rows count from 1.
    """
    if not isinstance(frame, pd.DataFrame):
        found = f"a {type(frame).__name__}"
        raise file_problem(source, found, "a pandas DataFrame", "return one row per player-game as a DataFrame")
    names = [str(name) for name in frame.columns]
    arrays = [arrow_column(frame.iloc[:, position]) for position in range(len(names))]
    place = Place(name=source, row_number=_from_one)
    return _frame([_part(pa.Table.from_arrays(arrays, names=names), place, {}, target_columns)])


def _part(raw: pa.Table, place: Place, column_map: Mapping[str, str], target_columns: Sequence[str]) -> Part:
    table, origins = named_table(raw, place.name, column_map, target_columns)
    if table.num_rows == 0:
        way_out = "export the file again or remove it"
        raise file_problem(place.name, "a header without rows", "one row per player-game", way_out)
    here = Place(name=place.name, row_number=lambda row: place.row_number(int(origins[row])))
    return Part(table=canonical_table(table, here, target_columns), place=here)


def _frame(parts: list[Part]) -> pd.DataFrame:
    require_same_columns([(part.place.name, part.table.column_names) for part in parts])
    games: pd.DataFrame = ordered_table(parts).to_pandas()
    return games


def _from_one(row: int) -> int:
    return row + 1


def _read(path: Path) -> tuple[pa.Table, Place]:
    content = read_bytes(path)
    if is_parquet(path):
        return _read_parquet(path, content), Place(name=str(path), row_number=_from_one)
    text = parse_csv(str(path), content)
    return text.table(), Place(name=str(path), row_number=text.row_number)


def _read_parquet(path: Path, content: bytes) -> pa.Table:
    try:
        return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        way_out = "copy or export it again"
        found = f"Parquet data that cannot be read ({reason(error)})"
        raise file_problem(str(path), found, "a complete Parquet file", way_out) from error
