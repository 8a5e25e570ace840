"""Tables and fitted models that code holds in memory: data, however they got there."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pandas as pd

from pytest_nbaprops.code.reached import codes_of, objects_reached

LONG = 100  # rows; a table of time zones or holidays is code


@dataclass(kw_only=True)
class AtHand:
    """What code has at hand: `data` it holds, and whether it `hashes` text."""

    data: list[str] = field(default_factory=list)
    hashes: bool = False


def data_at_hand(*objects: object) -> AtHand:
    """What these functions (or estimators, or parameters) and all project code that they refer to hold in memory."""
    found = AtHand()
    for name, obj in objects_reached(*objects):
        if (what := _data(obj)) is not None and not any(obj is asked for asked in objects):
            found.data.append(f"holds {what} in memory: {name}")
        if isinstance(obj, FunctionType):
            codes = list(codes_of(obj.__code__))
            found.hashes |= any(map(_hashes, codes))
            if any(map(_asks_numpy_for_the_time, codes)):
                found.data.append("asks the clock (numpy.datetime64)")
    found.data = list(dict.fromkeys(found.data))
    return found


def holds_values(function: object) -> bool:
    """Whether a function, or project code that it calls, refers to values of modules, and not only to code."""
    for _, obj in objects_reached(function):
        if isinstance(obj, FunctionType):
            named = (obj.__globals__.get(name) for code in codes_of(obj.__code__) for name in code.co_names)
            if any(isinstance(value, bool | int | float | str | bytes) for value in named):
                return True
        elif obj is not function and not isinstance(obj, type | ModuleType) and not callable(obj):
            return True
    return False


def held_value(value: object) -> str | None:
    """What a parameter of a test holds, if that is data."""
    what = _data(value)
    return None if what is None else f"is handed {what} as a parameter"


def _data(obj: Any) -> str | None:
    if isinstance(obj, pd.DataFrame | pd.Series):
        return f"a table of {len(obj)} rows" if len(obj) >= LONG else None
    if isinstance(obj, type) or not callable(getattr(obj, "get_params", None)):
        return None
    fitted = [name for name in getattr(obj, "__dict__", {}) if name.endswith("_") and not name.startswith("_")]
    return f"a fitted {type(obj).__name__}" if fitted or getattr(obj, "_Booster", None) is not None else None


def _hashes(code: CodeType) -> bool:
    """Whether code makes a set or asks for a hash; the text of a set that is only looked into is a constant."""
    import dis  # noqa: PLC0415 - only for code of the project

    named = not {"set", "frozenset", "hash", "getpid"}.isdisjoint(code.co_names)
    return named or any(step.opname in ("BUILD_SET", "SET_ADD", "SET_UPDATE") for step in dis.get_instructions(code))


def _asks_numpy_for_the_time(code: CodeType) -> bool:
    """``np.datetime64("now")`` is compiled through and through, so it is read out of the code."""
    return "datetime64" in code.co_names and not {"now", "today"}.isdisjoint(map(str, code.co_consts))
