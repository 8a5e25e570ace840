"""One CSV or Parquet file as a table of raw columns, and the place that errors about it name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.csvtext import parse_csv
from pytest_nbaprops.data.files import is_parquet, read_bytes
from pytest_nbaprops.data.problems import Place, file_problem, from_one, reason

if TYPE_CHECKING:
    from pathlib import Path


def read_table(path: Path, *, coded: bool = False) -> tuple[pa.Table, Place]:
    """A CSV file's cells as text (`coded`: as dictionary columns), or a Parquet file's as they are.

    Raises DataError when the file cannot be read as what its suffix promises.
    """
    content = read_bytes(path)
    if not is_parquet(path):
        text = parse_csv(str(path), content)
        return text.table(coded=coded), Place(name=str(path), row_number=text.row_number)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        found = f"Parquet data that cannot be read ({reason(error)})"
        raise file_problem(str(path), found, "a complete Parquet file", "copy or export it again") from error
    return table, Place(name=str(path), row_number=from_one)
