"""One CSV or Parquet file as a table of raw columns; a CSV's row numbers are those an editor shows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from pytest_nbaprops.data.files import BYTE_ORDER_MARK, read_bytes, suffixes
from pytest_nbaprops.data.problems import Place, file_problem, reason, shown
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
WAY_OUT: Final = "save the file as UTF-8"
BLOCK: Final = 1 << 23


def read_table(path: Path, *, coded: bool = False) -> tuple[pa.Table, Place]:
    """A CSV file's cells as text (`coded`: as dictionary columns), or a Parquet file's as they are.

    Raises DataError when the file cannot be read as what its suffix promises.
    """
    content = read_bytes(path)
    form, _ = suffixes(path) or (".csv", "")
    if form != ".parquet":
        text = parse_csv(str(path), content)
        return text.table(coded=coded), Place(name=str(path), row_number=text.row_number)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        found = f"Parquet data that cannot be read ({reason(error)})"
        raise file_problem(str(path), found, "a complete Parquet file", "copy or export it again") from error
    return table, Place(name=str(path))


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
        if coded:
            return table
        plain = [column.combine_chunks().dictionary_decode() for column in table.columns]
        return pa.table(plain, names=table.column_names)

    def row_number(self, row: int) -> int:
        """The line on which a row (0-based, header not counted) ends in the file."""
        numbers: Iterator[int]
        if b'"' not in self.content and self.content.count(b"\r") == self.content.count(b"\r\n"):
            # Without quotes a row is a line, which is found ten times as fast.
            numbers = (line for line, text in enumerate(io.BytesIO(self.content), 1) if text.decode().strip())
        else:
            numbers = (line for line, _ in _numbered_rows(self.name, self.content))
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
        """Every row in the header's width; blank cells behind it (trailing commas) are dropped."""
        _refuse_other_text(self.name, self.content)
        width, cells = len(self.header), []
        for line, row in islice(_numbered_rows(self.name, self.content), 1, None):
            if len(row) < width or any(cell.strip() for cell in row[width:]):
                where = f"{self.name}, row {line}, column {min(len(row), width)}"
                raise DataError(
                    f"{where}: found {len(row)} cells ending in {shown(row[-1])}, expected {width} as in the header; "
                    "complete the row, quote cells that hold a comma, or export the file again"
                )
            cells.append(row[:width])
        columns = zip(*cells, strict=True) if cells else [()] * width
        return pa.table([pa.array(column, pa.string()).dictionary_encode() for column in columns], names=self.header)

    def _refuse_swallowed_rows(self, table: pa.Table) -> None:
        """Two stray quotes make all that stands between them one cell, and the rows in it would be gone."""
        if b'"' not in self.content:
            return
        commas = max(table.num_columns - 1, 1)
        for name, column in zip(table.column_names, table.columns, strict=True):
            coded = column.combine_chunks()
            words = enumerate(coded.dictionary.to_pylist())
            holding = [code for code, word in words if word.count(",") >= commas and len(word.splitlines()) > 1]
            rows = np.flatnonzero(np.isin(np.asarray(coded.indices), holding))
            if len(rows):
                row = int(rows[0])
                raise DataError(
                    f"{self.name}, row {self.row_number(row)}, column {name}: found {shown(coded[row].as_py())}, a "
                    "cell with whole rows in it, expected one value; take away the stray quote that opens it"
                )


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
    separator = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), None)
    if separator:
        found = f"a header separated by {separator!r}"
        raise file_problem(name, found, "cells separated by commas", "export it as comma-separated CSV")
    return CsvText(name=name, content=content, header=header)


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


def _refuse_other_text(name: str, content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"the byte 0x{content[error.start]:02x}"
        cell = content[content.rfind(b"\n", 0, error.start) + 1 : error.start].count(b",") + 1
        where = f"{name}, row {line}, column {cell}"
        raise DataError(f"{where}: found {byte}, which is not UTF-8, expected UTF-8 text; {WAY_OUT}") from error
