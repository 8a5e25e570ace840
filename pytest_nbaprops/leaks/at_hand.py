"""Tables and fitted models that code holds in memory: data, however they got there."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pandas as pd

from pytest_nbaprops.code.compiled import codes_of
from pytest_nbaprops.code.reached import objects_reached
from pytest_nbaprops.code.values import has_parameters, learnt_by
from pytest_nbaprops.leaks.reads import Read

LONG = 100  # rows; a table of time zones or holidays is code


def data_at_hand(*objects: object, rows_declared: float = 0) -> list[Read]:
    """The data that these functions (or estimators) and all project code that they refer to hold in memory.

    Tables of at most `rows_declared` rows may be from a declared file, and are asked of in other ways.
    """
    found = [
        Read(what=f"holds {what} in memory: {name}")
        for name, obj in objects_reached(*objects)
        if (what := _data(obj, max(LONG - 1, rows_declared))) is not None and not any(obj is one for one in objects)
    ]
    # `np.datetime64("now")` is compiled through and through, so it is read out of the code.
    if any(
        "datetime64" in code.co_names and {"now", "today"} & {*map(str, code.co_consts)} for code in _codes(objects)
    ):
        found.append(Read(what="asks the clock (numpy.datetime64)"))
    return list(dict.fromkeys(found))


def held_value(value: object) -> list[Read]:
    """What a parameter of a test holds, if that is data."""
    what = _data(value, LONG - 1)
    return [] if what is None else [Read(what=f"is handed {what} as a parameter")]


def hashes(function: object) -> bool:
    """Whether a function, or project code that it calls, makes a set or asks for a hash or the process.

    The text of a set that is only looked into is a constant.
    """
    makes = ("BUILD_SET", "SET_ADD", "SET_UPDATE")
    return any(
        not {"set", "frozenset", "hash", "getpid"}.isdisjoint(code.co_names)
        or any(step.opname in makes for step in dis.get_instructions(code))
        for code in _codes([function])
    )


def _codes(objects: Any) -> Iterator[CodeType]:
    for _, obj in objects_reached(*objects):
        if isinstance(obj, FunctionType):
            yield from codes_of(obj.__code__)


def _data(obj: Any, short: float) -> str | None:
    if isinstance(obj, pd.DataFrame | pd.Series):
        return f"a table of {len(obj)} rows" if len(obj) > short else None
    if isinstance(obj, type) or not has_parameters(obj):
        return None
    return f"a fitted {type(obj).__name__}" if learnt_by(obj) else None
