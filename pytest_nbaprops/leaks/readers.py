"""Readers that open files without telling Python: seen by the paths that they are handed."""

from __future__ import annotations

import functools
import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.leaks.callers import is_library_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

# Compiled readers open files without telling Python.
SILENT_LIBRARIES = {
    "pyarrow", "polars", "duckdb", "fastparquet", "h5py", "tables", "netCDF4", "xgboost", "lightgbm", "catboost",
    "datasets", "rasterio", "pyreadr", "pyreadstat",
}  # fmt: skip
READS = re.compile(r"_*(read|scan|load|open|from_file|memory_map|dataset|connect)")
LONGEST_PATH = 4096


def silent_reads(frame: FrameType) -> Iterator[str]:
    """The existing files that a call of a library's reader is handed; nothing for any other call."""
    code = frame.f_code
    if _is_reader(code.co_filename, code.co_name):
        values = frame.f_locals
        for name in _arguments(code):
            yield from _paths(values.get(name))


@functools.lru_cache(maxsize=16384)
def may_read(name: str) -> bool:
    """Whether a function of this name may be a reader; asked of every call, so it is quick."""
    return name == "__init__" or READS.match(name) is not None


@functools.lru_cache(maxsize=16384)
def _is_reader(file: str, name: str) -> bool:
    if not is_library_file(file):
        return False
    return name != "__init__" or not SILENT_LIBRARIES.isdisjoint(Path(file).parts)


def _arguments(code: CodeType) -> tuple[str, ...]:
    more = sum(bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]


def _paths(value: Any, depth: int = 2) -> Iterator[str]:
    if isinstance(value, str | os.PathLike):
        if _is_file(text := os.fspath(value)):
            yield str(text)
    elif depth and isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _paths(part, depth - 1)


def _is_file(text: Any) -> bool:
    """Whether a text names a file, or says more than one word and names a folder."""
    if not isinstance(text, str) or not 0 < len(text) < LONGEST_PATH or "\0" in text or "\n" in text:
        return False
    return os.path.isfile(text) or (os.sep in text and os.path.isdir(text))  # noqa: PTH112, PTH113 - called often
