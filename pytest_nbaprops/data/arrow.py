"""Frames as Arrow files that several processes can map into memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_nbaprops.data.problems import reason
from pytest_nbaprops.errors import DataError

MANY_ROWS: Final = 100_000


def write_arrow(content: pa.Table | pd.DataFrame | Sequence[pd.DataFrame], path: str | Path) -> None:
    """Write a table, a frame with a RangeIndex, or several side by side, as an uncompressed Arrow IPC file.

    All of it or nothing is written.
    """
    target, table = Path(path), content if isinstance(content, pa.Table) else _table(content)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            # One batch, since columns in pieces cannot be mapped.
            writer.write_table(table, max_chunksize=max(table.num_rows, 1))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_arrow(path: str | Path) -> pd.DataFrame:
    """The frame of `write_arrow`, mapped into memory: numeric columns are read-only views of the file.

    Raises DataError when the file is not there or not complete.
    """
    frame: pd.DataFrame = map_arrow(path).to_pandas(split_blocks=True, use_threads=False)
    return frame


def map_arrow(path: str | Path) -> pa.Table:
    """The table of `write_arrow`, mapped into memory. Raises DataError as `read_arrow` does."""
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
    except (OSError, pa.ArrowException) as error:
        found = f"no complete Arrow file ({reason(error)})"
        raise DataError(f"{path}: found {found}, expected one; run the session again") from error


def release_memory(rows: int) -> None:
    """Give the system back what Arrow and the C library keep for later, after work on so many rows.

    Of few rows there is little to give, and asking takes milliseconds. Only glibc can be asked.
    """
    if rows < MANY_ROWS:
        return
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _table(frames: pd.DataFrame | Sequence[pd.DataFrame]) -> pa.Table:
    frames = [frames] if isinstance(frames, pd.DataFrame) else frames
    columns = {name: _array(frame[name]) for frame in frames for name in frame.columns}
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _array(series: pd.Series[Any]) -> pa.Array:
    """The column in one piece; NaN stays a value, since a column with Arrow's nulls must be copied when read."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iuf":
        return pa.array(np.ascontiguousarray(series.to_numpy()), from_pandas=False)
    array = pa.array(series, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
