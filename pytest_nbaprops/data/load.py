"""Game logs from CSV, Parquet, folders, globs or hooks to the one canonical frame."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data.canonical import canonical_table
from pytest_nbaprops.data.cells import arrow_column, clean_cells, each, read_game_id
from pytest_nbaprops.data.columns import named_table, require_same_columns
from pytest_nbaprops.data.files import find_files, passed_over
from pytest_nbaprops.data.kinds import (
    COUNTED,
    EXHIBITION,
    GAMES_OPTION,
    KINDS,
    LEAGUES,
    OTHER,
    kind_of_game,
    kind_of_season,
)
from pytest_nbaprops.data.problems import Place, file_problem
from pytest_nbaprops.data.remarks import KIND_COUNTS, REMARKS, Oddity, said
from pytest_nbaprops.data.rows import Part, ordered_table
from pytest_nbaprops.data.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def load_games(
    source: str | Path,
    *,
    column_map: Mapping[str, str] | None = None,
    target_columns: Sequence[str] = (),
    kinds: Sequence[str] = COUNTED,
    part_of: Callable[[Path, Callable[[], Part]], Part] = lambda _, read: read(),
) -> pd.DataFrame:
    """The games of a file, folder or glob in canonical form; `remarks_of` them says what was odd.

    One row per player-game, sorted by (GAME_DATE, GAME_ID, PLAYER_ID) under a RangeIndex; ids int64, GAME_ID ten
    digits, GAME_DATE datetime64[ns], MIN and every stat float64. ``column_map`` is {their name: our name}. ``kinds``
    of games count, the others are left out; exhibitions always are. ``part_of`` may know a file's part already.
    Raises DataError, one line with file, row, column, found, expected and the way out.
    """
    odd = [Oddity(what=what, rows=0, example=str(path)) for what, path in passed_over(source)]
    columns = column_map or {}

    def part(path: Path) -> Part:
        return part_of(path, lambda: _part(*read_table(path, coded=True), columns, target_columns, kinds))

    # The parts under no name here, since theirs is the memory that goes while the frame is made.
    return _frame([part(path) for path in find_files(source)], kinds, odd)


def normalize_games(
    frame: pd.DataFrame, *, source: str, target_columns: Sequence[str] = (), kinds: Sequence[str] = COUNTED
) -> pd.DataFrame:
    """A frame from anywhere else, checked and brought into the form of `load_games`; the input is left alone.

    ``source`` names it in errors; rows count from 1.
    """
    if not isinstance(frame, pd.DataFrame):
        found = f"a {type(frame).__name__}"
        raise file_problem(source, found, "a pandas DataFrame", "return one row per player-game as a DataFrame")
    names = [str(name) for name in frame.columns]
    arrays = [arrow_column(frame.iloc[:, position]) for position in range(len(names))]
    raw = pa.Table.from_arrays(arrays, names=names)
    return _frame([_part(raw, Place(name=source), {}, target_columns, kinds)], kinds, ())


def _part(
    raw: pa.Table, place: Place, column_map: Mapping[str, str], target_columns: Sequence[str], kinds: Sequence[str]
) -> Part:
    named = named_table(raw, place, column_map, target_columns)
    if named.table.num_rows == 0:
        way_out = "export the file again or remove it"
        raise file_problem(place.name, "a header without rows", "one row per player-game", way_out)
    found = _kinds(named.table, place)
    games = clean_cells("GAME_ID", named.table["GAME_ID"], place).array
    counts = {}
    for kind, count in Counter(found.tolist()).items():
        ids = pc.unique(games.filter(pa.array(found == kind))).to_pylist()
        counts[kind] = (frozenset(read_game_id(value) or str(value) for value in ids), count)
    named = named.only(np.isin(found, [*kinds, OTHER]))
    rows, row_number = named.rows, place.row_number  # and not the table that they are of, which is large
    here = Place(name=place.name, row_number=lambda row: row_number(int(rows[row])))
    table, oddities = canonical_table(named.table, here, target_columns)
    return Part(table=table, place=here, oddities=(*named.oddities, *oddities), kinds=counts)


def _kinds(table: pa.Table, place: Place) -> NDArray[np.str_]:
    """The kind of game that each row is of, as far as its ids can be read; an exhibition where either id says so."""
    by_id: dict[str, NDArray[np.str_]] = {}
    for name, kind in (
        ("GAME_ID", lambda value: kind_of_game(read_game_id(value) or "")),
        ("SEASON_ID", lambda value: kind_of_season(str(value).removesuffix(".0"))),
    ):
        known = name in table.column_names
        by_id[name] = each(clean_cells(name, table[name], place).array, kind, empty=OTHER) if known else np.array(OTHER)
    by_game, by_season = by_id["GAME_ID"], by_id["SEASON_ID"]
    return np.where((by_game == OTHER) | np.isin(by_season, EXHIBITION), by_season, by_game)


def _frame(parts: list[Part], kinds: Sequence[str], oddities: Sequence[Oddity]) -> pd.DataFrame:
    counts, leagues = {}, Counter[str]()
    for kind in (*KINDS.values(), OTHER):
        if found := [part.kinds[kind] for part in parts if kind in part.kinds]:
            ids = frozenset[str]().union(*(ids for ids, _ in found))  # several files may have rows of a game
            counts[kind] = (len(ids), sum(rows for _, rows in found))
            leagues.update(league for game in ids if (league := game[:2]) in LEAGUES)
    played = [part for part in parts if part.table.num_rows]
    if not played:
        only, way_out = f"only {_listed_kinds(counts)}", f"add such games, or correct {GAMES_OPTION}"
        raise file_problem(parts[0].place.name, only, f"games of the kinds {', '.join(kinds)}", way_out)
    require_same_columns([(part.place.name, part.table.column_names) for part in played])
    table, between = ordered_table(played)
    odd = said([*oddities, *(oddity for part in parts for oddity in part.oddities), *between])
    del parts, played  # from here on each column's memory goes as soon as pandas has it
    games: pd.DataFrame = table.to_pandas(self_destruct=True)
    del table
    games.attrs = {REMARKS: (*_several(leagues), *_left_out(counts, kinds), *odd), KIND_COUNTS: counts}
    return games


def _several(leagues: Mapping[str, int]) -> Iterator[str]:
    if len(leagues) > 1:
        told = ", ".join(f"{games:,} of {LEAGUES[league]}" for league, games in sorted(leagues.items()))
        yield f"games of several leagues by the first two digits of GAME_ID: {told}"


def _left_out(counts: Mapping[str, tuple[int, int]], kinds: Sequence[str]) -> Iterator[str]:
    exhibitions = {kind: counts[kind] for kind in EXHIBITION if kind in counts}
    others = {kind: counts[kind] for kind in COUNTED if kind in counts and kind not in kinds}
    if exhibitions:
        yield f"exhibitions are left out: {_listed_kinds(exhibitions)}"
    if others:
        yield f"{GAMES_OPTION} leaves out {_listed_kinds(others)}"
    if OTHER in counts and len(counts) > 1:
        yield f"of no known kind by their ids, and counted: {_listed_kinds({OTHER: counts[OTHER]})}"


def _listed_kinds(counts: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(
        f"{games:,} {kind} game{'s' * (games > 1)} ({rows:,} row{'s' * (rows > 1)})"
        for kind, (games, rows) in counts.items()
    )
