"""A schedule file or frame as text, row by row; `upcoming` says what its rows mean."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.data.cells import is_missing
from pytest_nbaprops.data.files import find_files
from pytest_nbaprops.data.problems import Place, file_problem, header_problem, listed
from pytest_nbaprops.data.tables import read_table

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "player": ("player", "player_name", "name"),
    "player_id": ("player_id",),
    "team": ("team", "team_abbreviation"),
    "opponent": ("opponent", "opp"),
    "date": ("date", "game_date"),
    "home": ("home", "is_home"),
    "game_id": ("game_id",),
}
NEEDED: Final = ("team", "opponent", "date", "home")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule as written.

    Attributes:
        columns: the name that each of our columns has in the file.
        cells: text of each row by our columns' names.
        others: the cells of columns of the user's own, as text, by their names in the file.
    """

    place: Place
    columns: Mapping[str, str]
    cells: tuple[Mapping[str, str], ...]
    others: Mapping[str, tuple[str, ...]]


def read_schedule(path: str | Path) -> Schedule:
    """A CSV or Parquet file with the columns player (or player_id), team, opponent, date, home and maybe game_id.

    What else is in it is for columns of the user's own that the games have, too.

    Raises:
        DataError: it cannot be read, or a column is missing; one line with file, row, column and the way out.
    """
    files = find_files(path)
    if len(files) != 1:
        raise file_problem(str(path), f"{len(files)} files", "one schedule file", "name the file itself")
    table, place = read_table(files[0])
    return _schedule(table.to_pylist(), table.column_names, place)


def schedule_of(frame: pd.DataFrame) -> Schedule:
    """A DataFrame with the same columns; rows count from 1 in errors."""
    header = [str(column) for column in frame.columns]
    rows: list[dict[str, Any]] = [dict(zip(header, row, strict=True)) for row in frame.itertuples(index=False)]
    return _schedule(rows, header, Place(name="schedule"))


def _schedule(rows: Sequence[Mapping[str, Any]], header: Sequence[str], place: Place) -> Schedule:
    """Every column once, none missing, and rows in them."""
    counted = Counter(name.strip().lower() for name in header)
    if twice := [name for name, times in counted.items() if times > 1 and name]:
        found = f"it {counted[twice[0]]} times"
        raise header_problem(place.name, ", ".join(twice), found, "every column once", "rename or drop one of them")
    theirs = {name.strip().lower(): name for name in header}
    columns = {
        ours: next(theirs[name] for name in names if name in theirs)
        for ours, names in COLUMNS.items()
        if theirs.keys() & set(names)
    }
    wanted = [*NEEDED, *([] if columns.keys() & {"player", "player_id"} else ["player"])]
    if missing := [name for name in wanted if name not in columns]:
        found, expected = f"no such column, only {listed(list(header))}", ", ".join(("player", *NEEDED))
        way_out = f"add the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise header_problem(place.name, ", ".join(missing), found, f"the columns {expected}", way_out)
    if not rows:
        raise file_problem(place.name, "a header without rows", "one row per player and game", "add the players")
    cells = tuple({ours: _text(row[column]) for ours, column in columns.items()} for row in rows)
    more = [name for name in header if name.strip() and name not in columns.values()]
    others = {name: tuple(_text(row[name]) for row in rows) for name in more}
    return Schedule(place=place, columns=columns, cells=cells, others=others)


def _text(value: Any) -> str:
    """A cell as a CSV file would hold it, trimmed."""
    if is_missing(value):
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
