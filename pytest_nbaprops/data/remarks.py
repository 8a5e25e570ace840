"""What was read although it is odd: said, not refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pytest_nbaprops.data.cells import GAME_ID_DIGITS, Cells, each
from pytest_nbaprops.data.kinds import KINDS
from pytest_nbaprops.data.problems import shown
from pytest_nbaprops.data.schema import COUNT_COLUMNS

REMARKS: Final = "nbaprops_remarks"
KIND_COUNTS: Final = "nbaprops_kinds"
MANY: Final = 20  # rows
SHORT: Final = 5  # minutes
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """One kind of oddity in one source: what, in how many rows, and where the first one is."""

    what: str
    rows: int
    example: str


def said(oddities: Iterable[Oddity]) -> tuple[str, ...]:
    """One line for each kind of oddity, the sources' rows added up."""
    first: dict[str, Oddity] = {}
    rows: dict[str, int] = {}
    for odd in oddities:
        first.setdefault(odd.what, odd)
        rows[odd.what] = rows.get(odd.what, 0) + odd.rows
    return tuple(
        f"{what} ({rows[what]:,} row{'s' * (rows[what] > 1)}, first {odd.example})"
        if odd.rows
        else f"{what} ({odd.example})"
        for what, odd in first.items()
    )


def remarks_of(games: pd.DataFrame) -> tuple[str, ...]:
    """What `load_games` or `normalize_games` has to say about the games that it gave, a line each."""
    return tuple(games.attrs.get(REMARKS, ()))


def cell_oddities(raw: Mapping[str, Cells], columns: Mapping[str, pa.Array]) -> Iterator[Oddity]:
    """What is odd in the cells of one source, given as they were read and as they were understood."""
    for what, column, is_odd in ODD_CELLS:
        if column in raw:
            yield from _odd(what, raw[column], each(raw[column].array, is_odd, empty=False))
    box = {name: columns[name].to_numpy(zero_copy_only=False) for name in COUNT_COLUMNS}
    for name, values in box.items():
        yield from _odd(f"{name} with a fraction", raw[name], values != np.floor(values))
    for what, column, is_wrong in ODD_BOXES:
        yield from _odd(what, raw[column], is_wrong(box))
    played = columns["MIN"].to_numpy(zero_copy_only=False)
    if np.isfinite(played).sum() >= MANY and np.nanmax(played) < SHORT:
        yield from _odd("MIN so short that they are hours or days", raw["MIN"], np.isfinite(played))
    yield from _odd("GAME_ID of another season than GAME_DATE", raw["GAME_ID"], _other_season(columns))


def _odd(what: str, cells: Cells, odd: NDArray[np.bool_]) -> Iterator[Oddity]:
    rows = np.flatnonzero(odd & ~cells.empty)
    if len(rows):
        first = int(rows[0])
        yield Oddity(what=what, rows=len(rows), example=f"{cells.place.at(first)}: {shown(cells.array[first].as_py())}")


def _other_season(columns: Mapping[str, pa.Array]) -> NDArray[np.bool_]:
    """Rows whose GAME_ID, in the league's own numbering, counts another year than SEASON."""
    ids, seasons = columns["GAME_ID"].dictionary_encode(), columns["SEASON"].dictionary_encode()
    words = ids.dictionary.to_pylist()
    by_id = [int(word[3:5]) if word.startswith("00") and word[2] in KINDS else -1 for word in words]
    by_season = [int(season[2:4]) for season in seasons.dictionary.to_pylist()]
    left, right = (np.array(year)[np.asarray(coded.indices)] for year, coded in ((by_id, ids), (by_season, seasons)))
    return np.asarray((left >= 0) & (left != right))


ODD_CELLS: Final[tuple[tuple[str, str, Callable[[object], bool]], ...]] = (
    (
        "GAME_ID without its leading zeros, which were added",
        "GAME_ID",
        lambda value: len(str(value).removesuffix(".0")) < GAME_ID_DIGITS,
    ),
    ("WL that is neither W nor L", "WL", lambda value: str(value) not in {"W", "L"}),
    ("MIN in minutes and seconds", "MIN", lambda value: isinstance(value, str) and ":" in value),
    (
        "GAME_DATE with a time or a zone, read as the day that it shows",
        "GAME_DATE",
        lambda value: isinstance(value, str) and len(value) > len("2024-01-05") and value[:4].isdigit(),
    ),
)
ODD_BOXES: Final[tuple[tuple[str, str, Callable[[Mapping[str, Floats]], NDArray[np.bool_]]], ...]] = (
    ("PTS that are not 2 FGM + FG3M + FTM", "PTS", lambda box: box["PTS"] != 2 * box["FGM"] + box["FG3M"] + box["FTM"]),
    ("REB that are not OREB + DREB", "REB", lambda box: box["REB"] != box["OREB"] + box["DREB"]),
    ("FGM above FGA", "FGM", lambda box: box["FGM"] > box["FGA"]),
    ("FG3M above FG3A", "FG3M", lambda box: box["FG3M"] > box["FG3A"]),
    ("FTM above FTA", "FTM", lambda box: box["FTM"] > box["FTA"]),
    ("FG3M above FGM", "FG3M", lambda box: box["FG3M"] > box["FGM"]),
)
