"""Column names: the user's map, the schema's names, and what must be there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data.cells import each, is_text
from pytest_nbaprops.data.problems import Place, header_problem, listed
from pytest_nbaprops.data.remarks import Oddity
from pytest_nbaprops.data.schema import (
    CANONICAL_COLUMNS,
    COLUMN_MAP_OPTION,
    REQUIRED_COLUMNS,
    TARGET_COLUMNS,
    TARGET_OPTION,
    nearest,
)
from pytest_nbaprops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


TYPE_WAY_OUT: Final = "export the column as text or numbers"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A table under our names without its blank rows and repeated headers, and the position that each row had."""

    table: pa.Table
    rows: NDArray[np.int64]
    oddities: tuple[Oddity, ...]

    def only(self, keep: NDArray[np.bool_]) -> Named:
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        return replace(self, table=self.table.take(pa.array(rows)), rows=self.rows[rows])


def named_table(raw: pa.Table, place: Place, column_map: Mapping[str, str], target_columns: Sequence[str]) -> Named:
    """The columns that we know under our names, the others under theirs."""
    theirs = raw.column_names
    names = _our_names(theirs, place.name, column_map)
    kept = {position: name for position, name in enumerate(names) if name is not None}
    _require_columns(list(kept.values()), place.name, target_columns)
    table = pa.table({name: _readable(name, raw.column(position), place) for position, name in kept.items()})
    renamed = [
        f"{theirs[position]!r} read as the column {name}"
        for position, name in kept.items()
        if name != theirs[position] and theirs[position] not in column_map
    ]
    more = f", and {len(renamed) - 1} more in other letters" if len(renamed) > 1 else ""
    odd = [Oddity(what=f"{first}{more}", rows=0, example=place.name) for first in renamed[:1]]
    again = _repeated_headers(table, [theirs[position] for position in kept])
    if again.any():
        what, example = "the header repeated between the rows, left out", place.at(int(np.argmax(again)))
        odd.append(Oddity(what=what, rows=int(again.sum()), example=example))
    whole = Named(table=table, rows=np.arange(table.num_rows), oddities=tuple(odd))
    return whole.only(~(_blank_rows(table) | again))


def _readable(name: str, column: pa.ChunkedArray, place: Place) -> pa.ChunkedArray:
    """The column, text where Parquet holds bytes; DataError for lists and the like where the schema has a value."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) and name in CANONICAL_COLUMNS:
        raise header_problem(place.name, name, f"cells of the type {kind}", "one value in each", TYPE_WAY_OUT)
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)):
        return column
    try:
        return column.cast(kind).cast(pa.binary()).cast(pa.string())
    except pa.ArrowException as error:
        raise header_problem(place.name, name, "bytes that are no UTF-8 text", "text", TYPE_WAY_OUT) from error


def _our_names(names: list[str], source: str, column_map: Mapping[str, str]) -> list[str | None]:
    """Our name for each column, None for a column to leave out."""
    for theirs, ours in column_map.items():
        if ours not in CANONICAL_COLUMNS:
            raise SettingsError(
                f"{COLUMN_MAP_OPTION}: found {ours!r} as the new name of {theirs!r}{nearest(ours, CANONICAL_COLUMNS)}, "
                f"expected one of {', '.join(CANONICAL_COLUMNS)}; map only to the names of the schema"
            )
    for theirs, ours in column_map.items():
        if theirs not in names and ours not in names:
            found = f"no such column, only {listed(names)}"
            way_out = f"correct the left side of {theirs} in {COLUMN_MAP_OPTION}"
            raise header_problem(source, theirs, found, f"the column that is mapped to {ours}", way_out)
    ours_of = [column_map.get(name) or _schema_name(name, names) for name in names]
    for name, times in Counter(name for name in ours_of if name is not None).items():
        if times > 1:
            way_out = f"remove or rename one of them, or correct {COLUMN_MAP_OPTION}"
            raise header_problem(source, name, f"{times} columns of this name", "one", way_out)
    return ours_of


def _schema_name(name: str, names: list[str]) -> str | None:
    """The schema's name in other letters (Game_ID in some endpoints); None for a leftover index without a name."""
    name = name.strip()
    if not name or name.startswith(("Unnamed: ", "__index_level_")):
        return None
    return name.upper() if name.upper() in CANONICAL_COLUMNS and name.upper() not in names else name


def _require_columns(there: list[str], source: str, target_columns: Sequence[str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in there]
    if missing:
        more = f" (and none of {listed(missing[1:])})" if missing[1:] else ""
        found = f"no such column{more}, only {listed(there)}"
        way_out = f"export it, or map your name of it with {COLUMN_MAP_OPTION}"
        raise header_problem(source, missing[0], found, "the columns of the LeagueGameLog schema", way_out)
    for name in target_columns:
        if name not in there or name not in TARGET_COLUMNS:
            found = "no such stat column" + nearest(name, set(there) & set(TARGET_COLUMNS))
            allowed = ", ".join(column for column in TARGET_COLUMNS if column in there)
            way_out = f"add the column to the data or change {TARGET_OPTION}"
            raise header_problem(source, name, found, f"the target to be a sum of {allowed}", way_out)


def _repeated_headers(table: pa.Table, header: list[str]) -> NDArray[np.bool_]:
    """Rows that are the header once more, as in files that were put together from others."""
    again = np.ones(table.num_rows, dtype=bool)
    for column, name in zip(table.columns, header, strict=True):
        if not again.any():
            break
        again &= each(column, partial(_is_name, name.upper()), empty=False) if is_text(column.type) else False
    return again


def _is_name(name: str, word: str) -> bool:
    return word.replace("\ufeff", "").strip().upper() == name


def _blank_rows(table: pa.Table) -> NDArray[np.bool_]:
    """Rows without a single value, such as spreadsheets leave behind the last one."""
    blank = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if not blank.any():
            break
        if is_text(column.type):
            blank &= each(column, lambda word: not word.strip(), empty=True)
        else:
            empty = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
            blank &= empty.to_numpy().astype(bool)
    return blank


def require_same_columns(files: list[tuple[str, list[str]]]) -> None:
    """DataError when a file has a column that another one lacks."""
    first, expected = files[0]
    for name, found in files[1:]:
        for column in sorted(set(expected) ^ set(found)):
            lacking, having = (name, first) if column in expected else (first, name)
            way_out = f"add the column there or remove it from {having}"
            raise header_problem(lacking, column, "no such column", f"it, since {having} has it", way_out)
