"""CSV bytes to a table of strings; row numbers are those an editor shows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv as arrow_csv

from pytest_nbaprops.data.problems import file_problem, reason, shown
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class CsvText:
    """A CSV file's text and header; the rows are parsed on demand."""

    name: str
    text: str
    header: list[str]

    def table(self) -> pa.Table:
        """Every cell as the string it is, blank lines left out."""
        return self._fast_table() or self._exact_table()

    def row_number(self, row: int) -> int:
        """The line on which a row (0-based, header not counted) ends in the file."""
        rows = self._numbered_rows()
        next(rows)
        return next(line for position, (line, _) in enumerate(rows) if position == row)

    def _fast_table(self) -> pa.Table | None:
        """The way pyarrow reads it; None where it stumbles, since the exact reading says where."""
        names = [str(position) for position in range(len(self.header))]
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(self.text.encode()),
                read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
        except pa.ArrowInvalid:
            return None
        return pa.Table.from_arrays([column.combine_chunks() for column in table.slice(1).columns], names=self.header)

    def _exact_table(self) -> pa.Table:
        rows = self._numbered_rows()
        next(rows)
        width = len(self.header)
        cells = [self._fitted(line, row, width) for line, row in rows]
        columns = zip(*cells, strict=True) if cells else [()] * width
        return pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], names=self.header)

    def _fitted(self, line: int, row: list[str], width: int) -> list[str]:
        """The row in the header's width; blank cells behind it (trailing commas) are dropped."""
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            where = f"{self.name}, row {line}, column {min(len(row), width)}"
            raise DataError(
                f"{where}: found {len(row)} cells ending in {shown(row[-1])}, expected {width} as in the header; "
                "complete the row, quote cells that hold a comma, or export the file again"
            )
        return row[:width]

    def _numbered_rows(self) -> Iterator[tuple[int, list[str]]]:
        return numbered_rows(self.name, self.text)


def numbered_rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not a blank line, the header first, with its line number."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        where = f"{name}, row {reader.line_num}, column 1"
        raise DataError(f"{where}: found {reason(error)}, expected CSV; look for a stray quote") from error


def parse_csv(name: str, content: bytes) -> CsvText:
    """The text and header of a CSV file; DataError for other encodings and separators."""
    text = _decoded(name, content)
    header = [cell.strip() for cell in next(numbered_rows(name, text))[1]]
    _check_separator(name, header)
    return CsvText(name=name, text=text, header=header)


def _decoded(name: str, content: bytes) -> str:
    way_out = "save the file as UTF-8"
    if content.startswith(UTF16):
        raise file_problem(name, "UTF-16 text", "UTF-8 text", way_out)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"the byte 0x{content[error.start]:02x}"
        cell = content[content.rfind(b"\n", 0, error.start) + 1 : error.start].count(b",") + 1
        where = f"{name}, row {line}, column {cell}"
        raise DataError(f"{where}: found {byte}, which is not UTF-8, expected UTF-8 text; {way_out}") from error
    if "\x00" in text:
        raise file_problem(name, "binary data", "CSV text", "give the file the suffix of what it holds")
    return text


def _check_separator(name: str, header: list[str]) -> None:
    first = header[0]
    found = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in first), None)
    if found:
        expected = "cells separated by commas"
        raise file_problem(name, f"a header separated by {found!r}", expected, "export it as comma-separated CSV")
