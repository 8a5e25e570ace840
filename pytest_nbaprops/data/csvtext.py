"""CSV bytes to a table of strings; row numbers are those an editor shows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from pytest_nbaprops.data.files import BYTE_ORDER_MARK
from pytest_nbaprops.data.problems import file_problem, reason, shown
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
WAY_OUT: Final = "save the file as UTF-8"
BLOCK: Final = 1 << 23


@dataclass(frozen=True, kw_only=True)
class CsvText:
    """A CSV file's content and header; the rows are parsed on demand."""

    name: str
    content: bytes
    header: list[str]

    def table(self, *, coded: bool = False) -> pa.Table:
        """Every cell as the string it is, blank lines left out; `coded` asks for dictionary columns.

        Raises DataError for text that is not UTF-8, for rows of another width and for a quote that swallows rows.
        """
        table = self._fast_table() or self._exact_table()
        self._refuse_swallowed_rows(table)
        return table if coded else pa.table([_plain(column) for column in table.columns], names=table.column_names)

    def row_number(self, row: int) -> int:
        """The line on which a row (0-based, header not counted) ends in the file."""
        plain = b'"' not in self.content and self.content.count(b"\r") == self.content.count(b"\r\n")
        # Without quotes a row is a line, which is found ten times as fast.
        lines = ((line, text.decode()) for line, text in enumerate(io.BytesIO(self.content), 1))
        numbers = (line for line, text in lines if text.strip()) if plain else (line for line, _ in self._rows())
        return next(islice(numbers, row + 1, None))

    def _fast_table(self) -> pa.Table | None:
        """The way pyarrow reads it; None where it stumbles, since the exact reading says where."""
        names = [str(position) for position in range(len(self.header))]
        kinds = dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string()))
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(self.content),
                read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=BLOCK),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=b'"' in self.content),
                convert_options=arrow_csv.ConvertOptions(column_types=kinds),
            )
        except pa.ArrowException:
            return None
        return pa.table([column.combine_chunks() for column in table.slice(1).columns], names=self.header)

    def _exact_table(self) -> pa.Table:
        _refuse_other_text(self.name, self.content)
        rows = self._rows()
        next(rows)
        width = len(self.header)
        cells = [self._fitted(line, row, width) for line, row in rows]
        columns = zip(*cells, strict=True) if cells else [()] * width
        return pa.table([pa.array(column, pa.string()).dictionary_encode() for column in columns], names=self.header)

    def _fitted(self, line: int, row: list[str], width: int) -> list[str]:
        """The row in the header's width; blank cells behind it (trailing commas) are dropped."""
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            where = f"{self.name}, row {line}, column {min(len(row), width)}"
            raise DataError(
                f"{where}: found {len(row)} cells ending in {shown(row[-1])}, expected {width} as in the header; "
                "complete the row, quote cells that hold a comma, or export the file again"
            )
        return row[:width]

    def _refuse_swallowed_rows(self, table: pa.Table) -> None:
        """Two stray quotes make all that stands between them one cell, and the rows in it would be gone."""
        if b'"' not in self.content:
            return
        for name, column in zip(table.column_names, table.columns, strict=True):
            coded = column.combine_chunks()
            words = coded.dictionary.to_pylist()
            rows = np.isin(np.asarray(coded.indices), [i for i, word in enumerate(words) if _holds_rows(word, table)])
            if rows.any():
                row = int(np.argmax(rows))
                raise DataError(
                    f"{self.name}, row {self.row_number(row)}, column {name}: found {shown(coded[row].as_py())}, a "
                    "cell with whole rows in it, expected one value; take away the stray quote that opens it"
                )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        return _numbered_rows(self.name, self.content)


def _holds_rows(cell: str, table: pa.Table) -> bool:
    return cell.count(",") >= max(table.num_columns - 1, 1) and len(cell.splitlines()) > 1


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks().dictionary_decode()


def _numbered_rows(name: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not a blank line, the header first, with its line number."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""))
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        where = f"{name}, row {reader.line_num}, column 1"
        raise DataError(f"{where}: found {reason(error)}, expected CSV; look for a stray quote") from error


def parse_csv(name: str, content: bytes) -> CsvText:
    """The content and header of a CSV file; DataError for other encodings and separators."""
    if content.startswith(UTF16):
        raise file_problem(name, "UTF-16 text", "UTF-8 text", WAY_OUT)
    if b"\x00" in content:
        raise file_problem(name, "binary data", "CSV text", "give the file the suffix of what it holds")
    content = content.removeprefix(BYTE_ORDER_MARK)
    try:
        _, first = next(_numbered_rows(name, content), (0, [""]))
    except UnicodeDecodeError:
        _refuse_other_text(name, content)
        raise
    header = [cell.replace("\ufeff", "").strip() for cell in first]
    if not any(header):
        raise file_problem(name, "a header without names", "the columns' names in the first row", "add the header")
    _check_separator(name, header)
    return CsvText(name=name, content=content, header=header)


def _refuse_other_text(name: str, content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"the byte 0x{content[error.start]:02x}"
        cell = content[content.rfind(b"\n", 0, error.start) + 1 : error.start].count(b",") + 1
        where = f"{name}, row {line}, column {cell}"
        raise DataError(f"{where}: found {byte}, which is not UTF-8, expected UTF-8 text; {WAY_OUT}") from error


def _check_separator(name: str, header: list[str]) -> None:
    first = header[0]
    found = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in first), None)
    if found:
        expected = "cells separated by commas"
        raise file_problem(name, f"a header separated by {found!r}", expected, "export it as comma-separated CSV")
