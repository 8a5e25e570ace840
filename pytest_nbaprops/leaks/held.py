"""What an object in memory is to a feature group: data, a fitted model, an open file or connection, or just code."""

from __future__ import annotations

import io
import socket
import sqlite3
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

TABLES = (pd.DataFrame, pd.Series, pd.Index, pa.Table, pa.RecordBatch)
CONTAINERS = (dict, list, tuple, set, frozenset, deque, Mapping)
TEXTS = (str, bytes, bytearray, memoryview)
# Literal tables of 30 teams are code; more numbers than this came from somewhere.
MOST_NUMBERS = 300
MOST_TEXT = 4096
HANDLES = (io.IOBase, sqlite3.Connection, sqlite3.Cursor, socket.socket)
CONNECTING = {"sqlalchemy", "duckdb", "psycopg", "psycopg2", "pymongo", "redis", "h5py", "tables", "netCDF4", "shelve"}


def is_fitted(value: Any) -> bool:
    """Whether this is a fitted model or transformer: scikit-learn's trailing underscore, or a booster."""
    if isinstance(value, type) or not (_can(value, "predict") or _can(value, "transform")):
        return False
    state = getattr(value, "__dict__", {})
    steps = getattr(value, "steps", None) or ()
    inside = any(is_fitted(step[-1]) for step in steps if isinstance(step, tuple))
    learned = any(name.endswith("_") and not name.startswith("_") for name in state)
    return inside or learned or state.get("_Booster") is not None or type(value).__name__ == "Booster"


def _can(value: Any, method: str) -> bool:
    try:
        return callable(getattr(value, method, None))
    except Exception:  # noqa: BLE001 - objects may do anything when looked at
        return False


def described(obj: Any) -> str | None:
    """What an object keeps from a group's sight of the games, in a word; None for what code is made of."""
    if is_handle(obj):
        return f"open {type(obj).__name__}"
    if is_fitted(obj):
        return f"fitted {type(obj).__name__}"
    return type(obj).__name__ if is_data(obj) else None


def is_handle(obj: Any) -> bool:
    """Whether data can still come through this: an open file that can be read, or a connection."""
    if isinstance(obj, io.StringIO | io.BytesIO):
        return False
    if isinstance(obj, io.IOBase):
        return not obj.closed and obj.readable()
    library = str(type(obj).__module__).partition(".")[0]
    return isinstance(obj, HANDLES) or (library in CONNECTING and not isinstance(obj, type) and not callable(obj))


def is_data(obj: Any) -> bool:
    """Whether this is a table, or more numbers or text than somebody types."""
    if isinstance(obj, TABLES):
        return len(obj) > 0
    if isinstance(obj, TEXTS):
        return len(obj) > MOST_TEXT
    if isinstance(obj, io.StringIO | io.BytesIO):
        return not obj.closed and len(obj.getvalue()) > MOST_TEXT
    if isinstance(obj, array | pa.Array | pa.ChunkedArray):
        return len(obj) > MOST_NUMBERS
    if isinstance(obj, CONTAINERS):
        return _leaves(obj) > MOST_NUMBERS
    return not isinstance(obj, type) and _numbers(obj) > MOST_NUMBERS


def _numbers(obj: Any) -> int:
    """The size of an array of any library."""
    shape = getattr(obj, "shape", None)
    whole = isinstance(shape, tuple) and all(isinstance(one, int) for one in shape)
    return int(np.prod(shape, dtype=np.int64)) if whole and shape else 0


def _leaves(obj: Any, depth: int = 4) -> int:
    if not depth or not isinstance(obj, CONTAINERS):
        return 1
    return sum(_leaves(part, depth - 1) for part in elements(obj))


def elements(obj: Any) -> list[Any]:
    """What a container holds; of a mapping its values."""
    return list(obj.values()) if isinstance(obj, Mapping) else list(obj)
