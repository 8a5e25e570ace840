"""Cells of any storage type to the values of the schema; every refusal names the cell."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data.problems import Place, Problem
from pytest_nbaprops.data.schema import MATCHUP_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NULLS: Final = frozenset({"", "nan", "none", "null", "<na>", "nat", "n/a"})
NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
CLOCK: Final = re.compile(r"(\d{1,3})(?:\.0+)?:([0-5]\d)", re.ASCII)
ISO_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?P<time>[T ].+)?", re.ASCII)
MIDNIGHT: Final = re.compile(r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
# As the PlayerGameLog endpoint writes dates: APR 09, 2023.
NAMED_DATE: Final = re.compile(r"([A-Za-z]{3}) (\d{1,2}), (\d{4})", re.ASCII)
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FIRST_DATE: Final = dt.date(1946, 11, 1)
LAST_DATE: Final = dt.date(2100, 12, 31)
LARGEST_EXACT: Final = 2**53
GAME_ID_DIGITS: Final = 10
LONGEST_GAME: Final = 100
LARGEST_COUNT: Final = 300

WHOLE_ID: Final = Problem(expected="a positive whole number", way_out="restore the id from the source")
TEXT: Final = Problem(expected="text", way_out="fill the cell in or drop the row")
NUMERIC: Final = Problem(expected="a number", way_out="correct the cell or drop the row")
NOT_NEGATIVE: Final = Problem(expected="a number that is not negative", way_out=NUMERIC.way_out)
COUNT: Final = Problem(expected=f"a number from 0 to {LARGEST_COUNT} for one game", way_out=NUMERIC.way_out)
SIGNED: Final = Problem(
    expected=f"a number from -{LARGEST_COUNT} to {LARGEST_COUNT} for one game", way_out=NUMERIC.way_out
)
SHARE: Final = Problem(
    expected="a share from 0 to 1, as 0.471 is for 47.1%", way_out="divide the column by 100, or leave it out"
)
MINUTES: Final = Problem(
    expected=f"minutes as 34, 34.2 or 34:12, from 0 to {LONGEST_GAME}", way_out="correct the cell or drop the row"
)
MATCHUP: Final = Problem(
    expected="'ATL vs. DET' or 'ATL @ DET'", way_out="write both teams' abbreviations around 'vs.' or '@'"
)
GAME_ID: Final = Problem(
    expected="up to ten digits such as 0022300061",
    way_out="restore the id from the source; spreadsheets keep it when the column is formatted as text",
)
DATE: Final = Problem(
    expected="a date that exists and can be read in one way only, such as 2024-01-05",
    way_out="write dates as YYYY-MM-DD or correct the cell",
)
TIMED_DATE: Final = Problem(
    expected="a date without a time of day, as 2024-01-05",
    way_out="keep only the local date of the game; a tip-off in UTC can fall on the next day",
)
FAR_DATE: Final = Problem(
    expected=f"a date from {FIRST_DATE} to {LAST_DATE}", way_out="correct the cell or drop the row"
)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """One column as it was read."""

    column: str
    array: pa.Array
    place: Place

    def require(self, good: NDArray[np.bool_], problem: Problem) -> None:
        """Raise DataError for the first row that is not good."""
        if not good.all():
            raise problem.error(self.place, self.column, ~good, lambda row: self.array[row].as_py())

    @property
    def empty(self) -> NDArray[np.bool_]:
        return np.asarray(self.array.is_null())


def clean_cells(column: str, values: pa.ChunkedArray | pa.Array, place: Place) -> Cells:
    """The column in one piece, text trimmed and its many words for nothing made empty.

    Raises DataError for what is neither text, numbers nor dates (Parquet can hold lists and bytes).
    """
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_dictionary(array.type) and not pa.types.is_string(array.type.value_type):
        array = array.dictionary_decode()
    if pa.types.is_dictionary(array.type):
        array = _cleaned_dictionary(array)
    elif is_text(array.type):
        array = _by_unique(array.cast(pa.string()), _cleaned, pa.string())
    elif pa.types.is_null(array.type):
        array = array.cast(pa.string())
    elif pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    return Cells(column=column, array=array, place=place)


def _cleaned_dictionary(coded: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same for text that is coded already; what becomes empty is empty in the rows, not in the dictionary."""
    words = coded.dictionary.to_pylist()
    cleaned = [_cleaned(word) if word is not None else None for word in words]
    if cleaned == words:
        return coded
    keep = pa.array([word is not None for word in cleaned])
    indices = pc.if_else(keep.take(coded.indices), coded.indices, pa.scalar(None, coded.indices.type))
    return pa.DictionaryArray.from_arrays(indices, pa.array([word or "" for word in cleaned], pa.string()))


def arrow_column(series: pd.Series[Any]) -> pa.Array:
    """A pandas column as Arrow holds it; mixed objects as text, so that the cell at fault can be named."""
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_localize(None)
    if isinstance(series.dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        return _as_text(series)
    try:
        column = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(series)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def text_column(series: pd.Series[Any]) -> pa.Array:
    """A pandas column as text, empty cells empty."""
    column = arrow_column(series)
    return column if is_text(column.type) else _as_text(series)


def _as_text(series: pd.Series[Any]) -> pa.Array:
    return pa.array([None if is_missing(value) else str(value) for value in series.tolist()], pa.string())


def is_missing(value: object) -> bool:
    """None, and pandas' and Python's other values for nothing."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view")


def _cleaned(value: str) -> str | None:
    text = value.strip().strip("\ufeff")
    return None if text.lower() in NULLS else text


def _by_unique(array: pa.Array, function: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
    """A function of each value, called once for each different one; empty stays empty."""
    coded = array.dictionary_encode()
    words = coded.dictionary.to_pylist()
    results = [function(value) for value in words]
    if kind == pa.string() and pa.types.is_string(coded.dictionary.type) and results == words:
        return array.cast(kind)
    return pa.array(results, kind).take(coded.indices)


def each(array: pa.Array | pa.ChunkedArray, function: Callable[[Any], object], *, empty: object) -> NDArray[Any]:
    """The answer for each row, asked once for each different value; `empty` is that for an empty one."""
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    coded = whole.dictionary_encode()
    answers = np.array([*map(function, coded.dictionary.to_pylist()), empty])
    return np.asarray(answers[np.asarray(coded.indices.fill_null(len(answers) - 1))])


def parse_number(text: str) -> float | None:
    """The finite number that a text stands for, None if it is none."""
    if not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_whole(text: str) -> float | None:
    """The number that an id stands for; ``1.61E+09``, as spreadsheets write it, has lost digits and is none."""
    return parse_number(text) if "e" not in text.lower() else None


def parse_minutes(text: str) -> float | None:
    """Minutes from ``34``, ``34.2`` or ``34:12``."""
    clock = CLOCK.fullmatch(text)
    return int(clock[1]) + int(clock[2]) / 60 if clock else parse_number(text)


def numbers(cells: Cells, problem: Problem = NUMERIC) -> NDArray[np.float64]:
    """float64, NaN where empty; DataError for anything else, infinities included."""
    parse = parse_minutes if problem is MINUTES else parse_whole if problem is WHOLE_ID else parse_number
    kind = cells.array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        found = cells.array.cast(pa.float64(), safe=False)
    elif is_text(kind):
        coded = cells.array.dictionary_encode()
        parsed = [parse(word) for word in coded.dictionary.to_pylist()]
        found = pa.array(parsed, pa.float64()).take(coded.indices)
    else:
        found = pa.nulls(len(cells.array), pa.float64())
    values = np.array(found.to_numpy(zero_copy_only=False), dtype=np.float64)
    cells.require(np.isfinite(values) | cells.empty, problem)
    return values


def numbers_within(cells: Cells, low: float, high: float, problem: Problem) -> NDArray[np.float64]:
    """Numbers from low to high; DataError with ``problem`` for any other cell."""
    values = numbers(cells, problem)
    cells.require(~((values < low) | (values > high)), problem)
    return values


def signed(cells: Cells) -> NDArray[np.float64]:
    """Numbers of either sign, not too large for one game."""
    values = numbers(cells, NUMERIC)
    cells.require(~(np.abs(values) > LARGEST_COUNT), SIGNED)
    return values


def counts(cells: Cells) -> NDArray[np.float64]:
    """Numbers that are not negative, and not too many for one game."""
    values = numbers_within(cells, 0, math.inf, NOT_NEGATIVE)
    cells.require(~(values > LARGEST_COUNT), COUNT)
    return values


def whole_ids(cells: Cells) -> NDArray[np.int64]:
    """Positive whole numbers, none empty."""
    values = numbers(cells, WHOLE_ID)
    cells.require((values >= 1) & (values < LARGEST_EXACT) & (values == np.floor(values)), WHOLE_ID)
    return values.astype(np.int64)


def game_ids(cells: Cells) -> pa.Array:
    """Ten digits, with the leading zeros that spreadsheets and integer columns lose."""
    found = _by_unique(cells.array, read_game_id, pa.string())
    cells.require(np.asarray(found.is_valid()), GAME_ID)
    return found


def read_game_id(value: object) -> str | None:
    """The ten digits that a GAME_ID stands for, None if it is none."""
    digits = _digits(value)
    return digits.zfill(GAME_ID_DIGITS) if len(digits) <= GAME_ID_DIGITS and digits.strip("0") else None


def _digits(value: object) -> str:
    """The digits of a whole number in any storage, nothing for anything else."""
    text = str(value).removesuffix(".0")
    return text if text.isascii() and text.isdigit() else ""


def codes(cells: Cells) -> pa.Array:
    """Text, with whole numbers written the same whatever they were stored as."""
    return _by_unique(cells.array, lambda value: _digits(value) or str(value), pa.string())


def texts(cells: Cells) -> pa.Array:
    """Text; cells may be empty."""
    return _by_unique(cells.array, str, pa.string())


def filled_texts(cells: Cells) -> pa.Array:
    """Text, none empty."""
    cells.require(~cells.empty, TEXT)
    return texts(cells)


def matchups(cells: Cells) -> pa.Array:
    """Text of the two shapes that say who played whom."""
    found = texts(cells)
    cells.require(each(found, lambda text: MATCHUP_SHAPE.fullmatch(text) is not None, empty=False), MATCHUP)
    return found


def game_dates(cells: Cells) -> NDArray[np.datetime64]:
    """datetime64[ns] at midnight, none empty."""
    aware = pa.types.is_timestamp(cells.array.type) and cells.array.type.tz is not None
    # Timestamps with a zone as the wall clock there shows them.
    coded = (pc.local_timestamp(cells.array) if aware else cells.array).dictionary_encode()
    parsed = [_date(value) for value in coded.dictionary.to_pylist()]
    rows = np.asarray(coded.indices.fill_null(len(parsed)))
    for problem in (DATE, TIMED_DATE, FAR_DATE):
        wrong = np.array([found is problem for found in parsed] + [problem is DATE])
        cells.require(~wrong[rows], problem)
    # What no row has can still be among the different values, a CSV file's header for one.
    dates = [None if isinstance(found, Problem) else found for found in parsed]
    return np.asarray(np.array([*dates, None], dtype="datetime64[ns]")[rows])


def _date(value: object) -> dt.date | Problem:
    timed = False
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False) + dt.timedelta(microseconds=bool(value.nanosecond))
    if isinstance(value, dt.datetime):
        if value.time() != dt.time():
            return TIMED_DATE
        value = value.date()
    elif isinstance(value, str):
        iso = ISO_DATE.fullmatch(value)
        timed = iso is not None and iso["time"] is not None and not MIDNIGHT.fullmatch(iso["time"])
        value = _date_of_text(value)
    if not isinstance(value, dt.date):
        return DATE
    if not FIRST_DATE <= value <= LAST_DATE:
        return FAR_DATE
    return TIMED_DATE if timed else value


def _date_of_text(text: str) -> dt.date | None:
    iso, named = ISO_DATE.fullmatch(text), NAMED_DATE.fullmatch(text)
    try:
        if iso is not None:
            return dt.date(int(iso[1]), int(iso[2]), int(iso[3]))
        if named is not None and named[1].lower() in MONTHS:
            return dt.date(int(named[3]), MONTHS.index(named[1].lower()) + 1, int(named[2]))
    except ValueError:
        pass
    return None
