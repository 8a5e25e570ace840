"""What a feature group's code can reach besides its arguments: caches, mutable globals, and data kept in memory."""

from __future__ import annotations

import ast
import copy
import dis
import functools
import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_nbaprops.features.code import is_project

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = type(functools.cache(len))
TABLES = (pd.DataFrame, pd.Series, pd.Index, pa.Table, pa.RecordBatch)
# Literal tables of 30 teams are code; more numbers than this came from somewhere.
MOST_NUMBERS = 300
HASHING = frozenset({"hash", "set", "frozenset", "union", "intersection", "difference", "symmetric_difference"})
# Compiled readers open files without telling Python.
SILENT_LIBRARIES = {"pyarrow", "polars", "duckdb", "fastparquet", "h5py", "tables", "netCDF4"}
READERS = re.compile(
    r"(read|scan|open|connect|memory_map|OSFile|MemoryMappedFile|input_stream|ParquetFile|dataset|File)"
)


@dataclass(kw_only=True)
class Reached:
    """What was found: `caches` of functools, `places` of mutable state with its first value, `data`, `readers`.

    `hashes` says whether the code hashes things or makes sets, whose order may be another one in every process.
    """

    caches: list[Any] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)
    hashes: bool = False

    def fingerprint(self) -> tuple[str, ...]:
        """A text of all values that were reached and can change, to compare before and after a call."""
        now = [place.module.get(place.name) for place in self.places]
        return tuple(repr(value) for value in [*now, *self.seen.values()] if not callable(value))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project module's global that code may fill, and what its source first says it is."""

    module: dict[str, Any]
    name: str
    first: Any


def reached_by(function: object) -> Reached:
    """Walk from a group's function through all project code that it refers to."""
    found = Reached()
    _visit(function, getattr(function, "__name__", "the function"), found)
    return found


@contextmanager
def fresh(reached: Reached) -> Iterator[None]:
    """Caches empty and globals as their source first says, as in a new process; afterwards as they were."""
    for cache in reached.caches:
        cache.cache_clear()
    kept = [(place, place.module.get(place.name), _copied(place.module.get(place.name))) for place in reached.places]
    for place, now, _ in kept:
        _set(place, now, place.first)
    try:
        yield
    finally:
        for place, now, content in kept:
            _set(place, now, content)
            place.module[place.name] = now


def _set(place: Place, now: Any, content: Any) -> None:
    """Fill the same object where it is a container, since other modules may hold it too."""
    if isinstance(now, dict | set) and isinstance(content, type(now)):
        now.clear()
        now.update(_copied(content))
    elif isinstance(now, list) and isinstance(content, list):
        now[:] = _copied(content)
    else:
        place.module[place.name] = _copied(content)


def _copied(value: Any) -> Any:
    return copy.copy(value)


def _visit(obj: Any, name: str, found: Reached) -> None:
    if obj is None or isinstance(obj, bool | int | float | complex | str | bytes) or id(obj) in found.seen:
        return
    found.seen[id(obj)] = obj
    if isinstance(obj, CACHE):
        found.caches.append(obj)
        obj = obj.__wrapped__
    if isinstance(obj, FunctionType):
        _visit_function(obj, found)
    elif isinstance(obj, MethodType | functools.partial | property | staticmethod | classmethod):
        for part in _parts(obj):
            _visit(part, name, found)
    elif isinstance(obj, type):
        _visit_class(obj, found)
    elif not isinstance(obj, ModuleType | BuiltinFunctionType):
        _visit_value(obj, name, found)


def _parts(obj: Any) -> list[Any]:
    if isinstance(obj, functools.partial):
        return [obj.func, *obj.args, *obj.keywords.values()]
    if isinstance(obj, property):
        return [obj.fget]
    return [obj.__func__, getattr(obj, "__self__", None)]


def _visit_function(function: FunctionType, found: Reached) -> None:
    if not is_project(function):
        return
    if function.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return  # this package keeps no state and no data; its tests say so
    if _asks_numpy_for_the_time(function.__code__):
        found.readers.append("the clock (numpy.datetime64)")
    found.hashes |= _hashes(function.__code__)
    for name in _names(function.__code__):
        if name in function.__globals__:
            _visit_global(function.__globals__, name, function.__code__, found)
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *vars(function).values()]
    for value in [*defaults, *_closed_over(function)]:
        _visit(value, f"a value kept by {function.__name__}", found)


def _asks_numpy_for_the_time(code: CodeType) -> bool:
    """``np.datetime64("now")`` is compiled through and through, so it is read out of the code."""
    nested = [part for part in code.co_consts if isinstance(part, CodeType)]
    own = "datetime64" in code.co_names and not {"now", "today"}.isdisjoint(map(str, code.co_consts))
    return own or any(map(_asks_numpy_for_the_time, nested))


def _hashes(code: CodeType) -> bool:
    """Whether code makes a set or calls ``hash``, itself or in a function inside of it."""
    if not HASHING.isdisjoint(code.co_names) or any(isinstance(part, frozenset) for part in code.co_consts):
        return True
    makes = any(step.opname.startswith(("BUILD_SET", "SET_ADD", "SET_UPDATE")) for step in dis.get_instructions(code))
    return makes or any(_hashes(part) for part in code.co_consts if isinstance(part, CodeType))


def _visit_global(scope: dict[str, Any], name: str, code: CodeType, found: Reached) -> None:
    value = scope[name]
    first = _first_value(scope, name)
    if isinstance(value, ModuleType):
        _visit_module(value, code, found)
    elif first is not _UNKNOWN and (not _same(first, value) or isinstance(value, dict | list | set)):
        found.places.append(Place(module=scope, name=name, first=first))
    elif first is _UNKNOWN:
        _note_reader(value, name, found)
        _visit(value, name, found)


def _visit_module(module: ModuleType, code: CodeType, found: Reached) -> None:
    for name in _names(code):
        value = vars(module).get(name)
        if value is not None:
            _note_reader(value, f"{module.__name__}.{name}", found)
            if is_project(module) and not isinstance(value, ModuleType):
                _visit_global(vars(module), name, code, found)
            elif isinstance(value, ModuleType) and module.__name__.partition(".")[0] in SILENT_LIBRARIES:
                _visit_module(value, code, found)


def _note_reader(value: Any, name: str, found: Reached) -> None:
    library = str(getattr(value, "__module__", None) or "").partition(".")[0]
    if library in SILENT_LIBRARIES and callable(value) and READERS.match(name.rpartition(".")[2]):
        found.readers.append(name)


def _visit_class(kind: type, found: Reached) -> None:
    own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    if own or not is_project(kind):
        return
    for name, value in list(vars(kind).items()):
        _visit(value, f"{kind.__name__}.{name}", found)


def _visit_value(obj: Any, name: str, found: Reached) -> None:
    if _is_data(obj):
        found.data.append(f"{name} ({type(obj).__name__})")
    elif isinstance(obj, dict | list | tuple | set | frozenset):
        for part in _elements(obj)[:MOST_NUMBERS]:
            _visit(part, name, found)
    elif is_project(type(obj)):
        _visit(type(obj), name, found)
        for part, value in list(getattr(obj, "__dict__", {}).items()):
            _visit(value, f"{name}.{part}", found)


def _is_data(obj: Any) -> bool:
    if isinstance(obj, TABLES):
        return len(obj) > 0
    if isinstance(obj, np.ndarray):
        return obj.size > MOST_NUMBERS
    return isinstance(obj, dict | list | tuple | set | frozenset) and _leaves(obj) > MOST_NUMBERS


def _leaves(obj: Any, depth: int = 4) -> int:
    if not depth or not isinstance(obj, dict | list | tuple | set | frozenset):
        return 1
    return sum(_leaves(part, depth - 1) for part in _elements(obj))


def _elements(obj: Any) -> list[Any]:
    return list(obj.values()) if isinstance(obj, Mapping) else list(obj)


def _names(code: CodeType) -> list[str]:
    nested = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *nested]))


def _closed_over(function: FunctionType) -> list[Any]:
    filled = []
    for cell in function.__closure__ or ():
        try:
            filled.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    return filled


_UNKNOWN = object()


def _first_value(scope: Mapping[str, Any], name: str) -> Any:
    """The literal that the module's source assigns to a global and does not change while it is imported."""
    said = [node for node, names in _statements(str(scope.get("__file__"))) if name in names]
    if len(said) != 1 or not isinstance(said[0], ast.Assign | ast.AnnAssign):
        return _UNKNOWN
    targets = said[0].targets if isinstance(said[0], ast.Assign) else [said[0].target]
    plain = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return _literal(said[0].value) if plain else _UNKNOWN


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return _UNKNOWN
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args and not node.keywords:
        return {"dict": dict, "list": list, "set": set}.get(node.func.id, lambda: _UNKNOWN)()
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return _UNKNOWN


@functools.lru_cache(maxsize=64)
def _statements(file: str) -> tuple[tuple[ast.stmt, frozenset[str]], ...]:
    """What a module runs when it is imported, without its functions and classes, and the names in each statement."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ()
    run = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return tuple((node, frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))) for node in run)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except (ValueError, TypeError):
        return False
