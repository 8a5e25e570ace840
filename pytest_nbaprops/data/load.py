"""Game logs from CSV, Parquet, folders, globs or hooks to the one canonical frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data.canonical import canonical_table
from pytest_nbaprops.data.cells import Cells, arrow_column, clean_cells, read_game_id
from pytest_nbaprops.data.columns import Named, named_table, require_same_columns
from pytest_nbaprops.data.files import find_files, passed_over
from pytest_nbaprops.data.kinds import COUNTED, EXHIBITION, GAMES_OPTION, KINDS, OTHER, kind_of_game, kind_of_season
from pytest_nbaprops.data.problems import Place, file_problem, from_one
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
) -> pd.DataFrame:
    """The games of a file, folder or glob in canonical form; `remarks_of` them says what was odd.

    One row per player-game, sorted by (GAME_DATE, GAME_ID, PLAYER_ID) under a RangeIndex; ids int64, GAME_ID ten
    digits, GAME_DATE datetime64[ns], MIN and every stat float64. ``column_map`` is {their name: our name}. ``kinds``
    of games count, the others are left out; exhibitions always are.
    Raises DataError, one line with file, row, column, found, expected and the way out.
    """
    asked = _Asked(column_map=column_map or {}, target_columns=target_columns, kinds=kinds)
    odd = [
        Oddity(what="a folder called like a data file is left out", rows=0, example=str(folder))
        for folder in passed_over(source)
    ]
    return _frame([_part(*read_table(path, coded=True), asked) for path in find_files(source)], asked, odd)


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
    asked = _Asked(column_map={}, target_columns=target_columns, kinds=kinds)
    place = Place(name=source, row_number=from_one)
    return _frame([_part(pa.Table.from_arrays(arrays, names=names), place, asked)], asked, ())


@dataclass(frozen=True, kw_only=True)
class _Asked:
    column_map: Mapping[str, str]
    target_columns: Sequence[str]
    kinds: Sequence[str]


def _part(raw: pa.Table, place: Place, asked: _Asked) -> Part:
    named = named_table(raw, place, asked.column_map, asked.target_columns)
    if named.table.num_rows == 0:
        way_out = "export the file again or remove it"
        raise file_problem(place.name, "a header without rows", "one row per player-game", way_out)
    kinds = _kinds(named, place)
    counts = _counts(kinds, named.table)
    named = named.only(np.isin(kinds, [*asked.kinds, OTHER]))
    rows, row_number = named.rows, place.row_number  # and not the table that they are of, which is large
    here = Place(name=place.name, row_number=lambda row: row_number(int(rows[row])))
    table, oddities = canonical_table(named.table, here, asked.target_columns)
    return Part(table=table, place=here, oddities=(*named.oddities, *oddities), kinds=counts)


def _kinds(named: Named, place: Place) -> NDArray[np.str_]:
    """The kind of game that each row is of, as far as its ids can be read; an exhibition where either id says so."""
    by_game, by_season = (
        _by_id(clean_cells(name, named.table[name], place), ask)
        if name in named.table.column_names
        else np.array(OTHER)
        for name, ask in (
            ("GAME_ID", lambda value: kind_of_game(read_game_id(value) or "")),
            ("SEASON_ID", lambda value: kind_of_season(str(value).removesuffix(".0"))),
        )
    )
    return np.where((by_game == OTHER) | np.isin(by_season, EXHIBITION), by_season, by_game)


def _by_id(ids: Cells, kind: Callable[[object], str]) -> NDArray[np.str_]:
    coded = ids.array.dictionary_encode()
    found = np.array([*map(kind, coded.dictionary.to_pylist()), OTHER])
    return np.asarray(found[np.asarray(coded.indices.fill_null(len(found) - 1))])


def _counts(kinds: NDArray[np.str_], table: pa.Table) -> dict[str, tuple[int, int]]:
    """Games and rows by kind."""
    games = table["GAME_ID"].combine_chunks().dictionary_encode().indices
    rows = Counter(kinds.tolist())
    return {kind: (pc.count_distinct(games.filter(pa.array(kinds == kind))).as_py(), rows[kind]) for kind in rows}


def _frame(parts: list[Part], asked: _Asked, oddities: Sequence[Oddity]) -> pd.DataFrame:
    counts = {
        kind: (
            sum(part.kinds.get(kind, (0, 0))[0] for part in parts),
            sum(part.kinds.get(kind, (0, 0))[1] for part in parts),
        )
        for kind in (*KINDS.values(), OTHER)
        if any(kind in part.kinds for part in parts)
    }
    played = [part for part in parts if part.table.num_rows]
    if not played:
        found = f"only {_listed_kinds(counts)}"
        way_out = f"add such games, or correct {GAMES_OPTION}"
        raise file_problem(parts[0].place.name, found, f"games of the kinds {', '.join(asked.kinds)}", way_out)
    require_same_columns([(part.place.name, part.table.column_names) for part in played])
    table, between = ordered_table(played)
    odd = said([*oddities, *(oddity for part in parts for oddity in part.oddities), *between])
    del parts, played  # from here on each column's memory goes as soon as pandas has it
    games: pd.DataFrame = table.to_pandas(self_destruct=True)
    del table
    games.attrs = {REMARKS: (*_left_out(counts, asked.kinds), *odd), KIND_COUNTS: counts}
    return games


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
