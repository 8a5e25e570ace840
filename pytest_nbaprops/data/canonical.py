"""One source's rows to the schema's types, with every rule that a row can break by itself."""

from __future__ import annotations

import datetime as dt
import re
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data import cells
from pytest_nbaprops.data.problems import Place, Problem, header_problem, reason
from pytest_nbaprops.data.remarks import Oddity, cell_oddities
from pytest_nbaprops.data.schema import (
    CANONICAL_COLUMNS,
    ID_COLUMNS,
    NUMBER_COLUMNS,
    OUTCOME_COLUMNS,
    REQUIRED_OUTCOMES,
    SHARE_COLUMNS,
    SIGNED_COLUMNS,
    season_name,
    season_of_date,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SEASON: Final = Problem(
    expected="a season such as 2023-24 that holds the row's GAME_DATE",
    way_out="correct it, or leave the column out to have it derived from the date",
)
EMPTY_OUTCOME: Final = Problem(
    expected="a number, or all outcome columns empty for a game not yet played",
    way_out="fill the cell in (0 everywhere for who did not play), or drop the row",
)
EARLY_OUTCOME: Final = Problem(
    expected="an empty cell, as in the row's other outcome columns",
    way_out="empty the cell for a game not yet played, or fill the others in (0 everywhere for who did not play)",
)
OTHER_MATCHUP: Final = Problem(
    expected="a MATCHUP with the row's TEAM_ABBREVIATION in it", way_out="correct TEAM_ABBREVIATION or MATCHUP"
)
SEASON_SHAPE: Final = re.compile(r"(\d{4})-(\d\d)", re.ASCII)

CONVERTERS: Final[dict[str, Callable[[cells.Cells], object]]] = {
    **dict.fromkeys(ID_COLUMNS, cells.whole_ids),
    **dict.fromkeys(NUMBER_COLUMNS, cells.counts),
    **dict.fromkeys(SHARE_COLUMNS, partial(cells.numbers_within, low=0, high=1, problem=cells.SHARE)),
    **dict.fromkeys(SIGNED_COLUMNS, cells.signed),
    # A larger number is seconds, or another column.
    "MIN": partial(cells.numbers_within, low=0, high=cells.LONGEST_GAME, problem=cells.MINUTES),
    "GAME_ID": cells.game_ids,
    "GAME_DATE": cells.game_dates,
    "SEASON_ID": cells.codes,
    "SEASON": cells.texts,
    "PLAYER_NAME": cells.filled_texts,
    "TEAM_ABBREVIATION": cells.filled_texts,
    "TEAM_NAME": cells.texts,
    "MATCHUP": cells.matchups,
    "WL": cells.texts,
}


def canonical_table(
    table: pa.Table, place: Place, target_columns: Sequence[str]
) -> tuple[pa.Table, tuple[Oddity, ...]]:
    """The rows in the schema's types and column order, SEASON derived where it is missing, extra columns as text.

    Beside them what is odd in the cells, and yet was read.

    Raises DataError for the first cell that breaks a rule.
    """
    raw = {name: cells.clean_cells(name, table.column(name), place) for name in table.column_names}
    columns = {name: _converted(raw[name]) for name in CANONICAL_COLUMNS if name in raw}
    columns["SEASON"] = _seasons(raw.get("SEASON"), columns)
    own = _each_pair(columns["TEAM_ABBREVIATION"], columns["MATCHUP"], lambda team, text: team in text.split(" ")[::2])
    raw["MATCHUP"].require(own, OTHER_MATCHUP)
    columns["MATCHUP"] = _own_team_first(columns["TEAM_ABBREVIATION"], columns["MATCHUP"])
    _require_whole_outcomes(raw, target_columns)
    extra = {name: _extra_text(raw[name]) for name in raw if name not in CANONICAL_COLUMNS}
    return pa.table(columns | extra), tuple(cell_oddities(raw, columns))


def _converted(column: cells.Cells) -> pa.Array:
    try:
        return pa.array(CONVERTERS[column.column](column))
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:  # what only Parquet can hold
        found = f"cells of the type {column.array.type} ({reason(error)})"
        way_out = "export the column as text or numbers"
        raise header_problem(column.place.name, column.column, found, "text, numbers or dates", way_out) from error


def _seasons(given: cells.Cells | None, columns: dict[str, pa.Array]) -> pa.Array:
    dates = columns["GAME_DATE"].dictionary_encode()
    if given is None:
        stamps = [pd.Timestamp(value) for value in dates.dictionary.to_numpy(zero_copy_only=False)]
        return pa.array([season_of_date(stamp) for stamp in stamps], pa.string()).take(dates.indices)
    text = columns["GAME_DATE"].cast(pa.date32()).cast(pa.string())
    bad = ~_each_pair(columns["SEASON"], text, _is_in_season)
    if bad.any():
        first = int(np.argmax(bad))
        season, day = given.array[first].as_py(), text[first].as_py()
        raise SEASON.error(given.place, "SEASON", bad, lambda _: season and f"{season} on {day}")
    return columns["SEASON"]


def _is_in_season(season: str, day: str) -> bool:
    """Whether a date can be in a season, summer leagues and the bubble's finals included."""
    shape = SEASON_SHAPE.fullmatch(season)
    if shape is None or season != season_name(int(shape[1])):
        return False
    year = int(shape[1])
    return dt.date(year, 7, 1) <= dt.date.fromisoformat(day) <= dt.date(year + 1, 10, 15)


def _each_pair(left: pa.Array, right: pa.Array, holds: Callable[[str, str], bool]) -> NDArray[np.bool_]:
    """Whether each row's pair of texts holds, asked once for each different pair; empty never holds."""
    joined = pc.binary_join_element_wise(left, right, "\n")
    return cells.each(joined, lambda pair: holds(*pair.split("\n")), empty=False)


def _own_team_first(teams: pa.Array, matchups: pa.Array) -> pa.Array:
    """`DET @ ATL` in a row of ATL is `ATL vs. DET`: whom a source names first, the winner perhaps, tells nothing."""
    coded = pc.binary_join_element_wise(teams, matchups, "\n").dictionary_encode()
    texts = []
    for pair in coded.dictionary.to_pylist():
        team, matchup = pair.split("\n")
        left, marker, right = matchup.split(" ")
        other = "@" if marker == "vs." else "vs."
        texts.append(f"{left} {marker} {right}" if left == team else f"{right} {other} {left}")
    return pa.array(texts, pa.string()).take(coded.indices)


def _require_whole_outcomes(raw: dict[str, cells.Cells], target_columns: Sequence[str]) -> None:
    """All of a row's outcomes are there, or none is."""
    needed = list(dict.fromkeys((*REQUIRED_OUTCOMES, *target_columns)))
    empty: NDArray[np.bool_] = np.column_stack([raw[name].empty for name in needed])
    unplayed = empty[:, : len(REQUIRED_OUTCOMES)].all(axis=1)
    for position, name in enumerate(needed):
        raw[name].require(unplayed | ~empty[:, position], EMPTY_OUTCOME)
    for name in OUTCOME_COLUMNS:
        if name in raw:
            raw[name].require(~unplayed | raw[name].empty, EARLY_OUTCOME)


def _extra_text(column: cells.Cells) -> pa.Array:
    """An extra column as the text that a CSV file would hold."""
    if cells.is_text(column.array.type):
        return column.array.cast(pa.string())
    texts = []
    for value in column.array.to_pylist():
        is_day = isinstance(value, dt.datetime) and value.time() == dt.time() and value.tzinfo is None
        texts.append(None if value is None else str(value.date() if is_day else value))
    return pa.array(texts, pa.string())
