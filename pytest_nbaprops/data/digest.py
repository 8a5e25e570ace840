"""What the data is, as SHA-256: per game date and chained, so that new games leave older digests alone."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_nbaprops.data.cells import LARGEST_EXACT, NULLS, parse_number, text_column
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, KEY_COLUMNS
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FORMAT: Final = "nbaprops-games-1"
EMPTY_DIGEST: Final = hashlib.sha256(FORMAT.encode()).hexdigest()

NOTHING: Final = 0
NUMBER: Final = 1
TEXT: Final = 2


class DigestDict(TypedDict):
    """The exact builtins that a `DatasetDigest` travels as."""

    full: str
    dates: list[str]
    date_digests: list[str]
    chained: list[str]


@dataclass(frozen=True, kw_only=True)
class DatasetDigest:
    """Digests of games, hexadecimal: each date's own, and chained over all dates up to it."""

    full: str
    dates: tuple[str, ...]
    date_digests: tuple[str, ...]
    chained: tuple[str, ...]

    def before(self, date: str | dt.date) -> str:
        """The digest of all rows older than a date (ISO text, date or Timestamp)."""
        return self._first(bisect_left(self.dates, _iso_day(date)))

    def through(self, date: str | dt.date) -> str:
        """The digest of all rows up to and on a date."""
        return self._first(bisect_right(self.dates, _iso_day(date)))

    def first_date(self, start: str | dt.date) -> str | None:
        """The first date with rows from a date on, as ISO text; None where there is none."""
        position = bisect_left(self.dates, _iso_day(start))
        return self.dates[position] if position < len(self.dates) else None

    def _first(self, count: int) -> str:
        return self.chained[count - 1] if count else EMPTY_DIGEST

    def of_date(self, date: str | dt.date) -> str:
        """The digest of one date's rows alone; that of no rows where there are none."""
        day = _iso_day(date)
        position = bisect_left(self.dates, day)
        return self.date_digests[position] if self.dates[position : position + 1] == (day,) else EMPTY_DIGEST

    def to_dict(self) -> DigestDict:
        """Exact builtins, for JSON and for xdist's wire."""
        return {
            "full": self.full,
            "dates": list(self.dates),
            "date_digests": list(self.date_digests),
            "chained": list(self.chained),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, str | Sequence[str]]) -> DatasetDigest:
        """The inverse of `to_dict`."""
        lists = {name: tuple(values[name]) for name in ("dates", "date_digests", "chained")}
        return cls(full=str(values["full"]), **lists)


def _iso_day(date: str | dt.date) -> str:
    """``2024-01-05`` of a date in any of the usual forms."""
    return str(pd.Timestamp(date).date())


def dataset_digest(games: pd.DataFrame) -> DatasetDigest:
    """The digest of canonical games, over every row and column.

    Row order, column order, storage types, -0.0 and the kind of empty cell do not count. Extra columns count value by
    value: what parses as a number is one. A column counts on the dates on which it holds something.
    """
    missing = [name for name in KEY_COLUMNS if name not in games.columns]
    if missing:
        raise DataError(
            f"games, row 1, column {missing[0]}: found no such column, expected canonical games; use load_games first"
        )
    ordered = games.sort_values(list(KEY_COLUMNS), kind="stable", ignore_index=True)
    days = ordered["GAME_DATE"].to_numpy().astype("datetime64[D]")
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]]) if len(days) else np.array([], dtype=np.int64)
    columns = [_column(name, ordered[name]) for name in sorted(ordered.columns)]
    filled = [np.logical_or.reduceat(column.kinds, starts).tolist() if len(days) else [] for column in columns]
    dates, own, chained = tuple(str(day) for day in days[starts]), list[str](), [EMPTY_DIGEST]
    for place, (date, start) in enumerate(zip(dates, starts.tolist(), strict=True)):
        end = int(starts[place + 1]) if place + 1 < len(starts) else len(days)
        digest = hashlib.sha256(f"{FORMAT} {end - start}".encode())
        for column, on_dates in zip(columns, filled, strict=True):
            if on_dates[place]:
                column.update(digest, start, end)
        own.append(digest.hexdigest())
        chained.append(hashlib.sha256(f"{chained[-1]} {date} {own[-1]}".encode()).hexdigest())
    return DatasetDigest(full=chained[-1], dates=dates, date_digests=tuple(own), chained=tuple(chained[1:]))


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column as bytes that can be cut by rows: kinds, float64 values, and text with its offsets, if there is any."""

    name: bytes
    kinds: NDArray[np.uint8]
    values: NDArray[np.float64]
    offsets: NDArray[np.int32] | None
    text: memoryview

    def update(self, digest: hashlib._Hash, start: int, end: int) -> None:
        """Add the rows to a digest."""
        digest.update(self.name)
        digest.update(self.kinds[start:end].data)
        digest.update(self.values[start:end].data)
        if self.offsets is None:
            digest.update(bytes((end + 1 - start) * 4))
            return
        offsets = self.offsets[start : end + 1]
        digest.update((offsets - offsets[0]).data)
        digest.update(self.text[offsets[0] : offsets[-1]])


def _column(name: str, series: pd.Series[Any]) -> _Column:
    tag = f"\n{len(name.encode())}:{name}\n".encode()
    if name == "GAME_DATE":
        values = series.to_numpy().astype("datetime64[D]").astype(np.int64).astype(np.float64)
    elif pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        return _text_column(tag, series, parse=name not in CANONICAL_COLUMNS)
    # Adding 0.0 makes -0.0 plain; what is empty has no value at all.
    empty = np.isnan(values)
    return _Column(
        name=tag,
        kinds=np.where(empty, NOTHING, NUMBER).astype(np.uint8),
        values=np.where(empty, 0.0, values + 0.0).astype("<f8"),
        offsets=None,
        text=memoryview(b""),
    )


def _text_column(tag: bytes, series: pd.Series[Any], *, parse: bool) -> _Column:
    coded = text_column(series).dictionary_encode()
    cells = [_cell(value, parse=parse) for value in coded.dictionary.to_pylist()]
    kinds, numbers, words = zip(*cells, (NOTHING, 0.0, b""), strict=True)
    rows = np.asarray(coded.indices.fill_null(len(cells)))
    _, offsets, text = pa.array(words, pa.binary()).take(pa.array(rows)).buffers()
    return _Column(
        name=tag,
        kinds=np.array(kinds, dtype=np.uint8)[rows],
        values=np.array(numbers, dtype="<f8")[rows],
        offsets=np.frombuffer(offsets, dtype="<i4", count=len(rows) + 1),
        text=memoryview(text),
    )


def _cell(value: str, *, parse: bool) -> tuple[int, float, bytes]:
    if value.strip().lower() in NULLS:
        return NOTHING, 0.0, b""
    number = parse_number(value) if parse else None
    # Whole numbers beyond float64 are identifiers; as numbers, neighbours would be the same.
    if number is None or abs(number) > LARGEST_EXACT:
        return TEXT, 0.0, value.encode()
    return NUMBER, number + 0.0, b""
