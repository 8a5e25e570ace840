"""What a feature group's code can reach besides its arguments: caches, mutable globals, and data kept in memory."""

from __future__ import annotations

import builtins
import dis
import functools
import importlib
import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.code.reached import is_project
from pytest_nbaprops.leaks.callers import package_of
from pytest_nbaprops.leaks.held import CONTAINERS, MOST_NUMBERS, TABLES, TEXTS, described, elements, is_data
from pytest_nbaprops.leaks.imports import SCALARS, Origins
from pytest_nbaprops.leaks.places import (
    FILLED,
    UNKNOWN,
    Place,
    class_places,
    copied,
    default_places,
    first_global,
    same,
)
from pytest_nbaprops.leaks.readers import SILENT_LIBRARIES
from pytest_nbaprops.leaks.steps import is_from_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = type(functools.cache(len))
HASHING = frozenset({"hash", "set", "frozenset", "union", "intersection", "difference", "symmetric_difference"})
LOOKUPS = frozenset({"globals", "vars", "getattr", "__dict__", "attrgetter", "import_module", "__import__"})
READERS = re.compile(
    r"(read|scan|open|connect|memory_map|OSFile|MemoryMappedFile|input_stream|ParquetFile|dataset|File)"
)


@dataclass(kw_only=True)
class Reached:
    """What was found: `caches` of functools, `places` of mutable state with its first value, `data`, `readers`.

    `kept` is data inside of places, which `fresh` empties. `hashes` says whether the code hashes things or makes
    sets, whose order may be another one in every process. With `origins` everything that was read when its module
    was imported is data. `package` is project code too, installed or not.
    """

    caches: list[Any] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)
    hashes: bool = False
    origins: Origins | None = None
    package: str | None = None

    def fingerprint(self) -> tuple[str, ...]:
        """A text of all values that were reached and can change, to compare before and after a call."""
        values = [*(place.value for place in self.places), *self.seen.values()]
        return tuple(repr(value) for value in values if not callable(value)) + tuple(map(_attributes, values))

    def is_project(self, obj: Any) -> bool:
        """Whether a function, class or module is the project's, in a folder of its own or installed."""
        name = str(obj.__name__ if isinstance(obj, ModuleType) else obj.__module__)
        return is_project(obj) or (self.package is not None and name.partition(".")[0] == self.package)


def _attributes(value: Any) -> str:
    """What an object, a class or a function keeps in its attributes; models by identity, since all look alike."""
    kept = getattr(value, "__dict__", {}) if isinstance(value, FunctionType | type) or _is_plain(value) else {}
    return ", ".join(f"{name}={id(one)} {repr(one)[:200]}" for name, one in kept.items() if not callable(one))


def _is_plain(value: Any) -> bool:
    return not isinstance(value, ModuleType) and type(value).__module__.partition(".")[0] not in sys.stdlib_module_names


def reached_by(function: object, origins: Origins | None = None) -> Reached:
    """Walk from a group's function through all project code that it refers to."""
    found = Reached(origins=origins, package=package_of(function))
    _visit(function, getattr(function, "__name__", "the function"), found)
    return found


@contextmanager
def fresh(reached: Reached) -> Iterator[None]:
    """Caches empty and globals as their source first says, as in a new process; afterwards as they were."""
    for cache in reached.caches:
        cache.cache_clear()
    kept = [(place, place.value, copied(place.value)) for place in reached.places]
    for place, now, _ in kept:
        place.fill(now, place.first)
    try:
        yield
    finally:
        for place, now, content in kept:
            place.fill(now, content)
            place.put(now)


def _visit(obj: Any, name: str, found: Reached) -> None:
    if obj is None or isinstance(obj, bool | int | float | complex) or id(obj) in found.seen:
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
    if not found.is_project(function):
        return
    if str(function.__module__).partition(".")[0] == __name__.partition(".")[0]:
        return  # this package keeps no state and no data; its tests say so
    if _asks_numpy_for_the_time(function.__code__):
        found.readers.append("the clock (numpy.datetime64)")
    found.hashes |= _hashes(function.__code__)
    for name in _names(function.__code__):
        if name in function.__globals__:
            _visit_global(function.__globals__, name, function.__code__, found)
        elif name in vars(builtins):
            _visit(vars(builtins)[name], f"builtins.{name}", found)
        else:
            _visit_import(function, name, found)
    places = list(default_places(function))
    found.places += places
    found.seen |= {id(place.value): place.value for place in places}
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


def _visit_import(function: FunctionType, name: str, found: Reached) -> None:
    """A name that may be a module's which the function itself imports: a compiled reader, or more of the project."""
    scope, module = function.__globals__, sys.modules.get(name)
    if name.partition(".")[0] in SILENT_LIBRARIES and module is None:
        with suppress(Exception):
            module = importlib.import_module(name)
    module = module or sys.modules.get(f"{scope.get('__package__')}.{name}")
    silent = name.partition(".")[0] in SILENT_LIBRARIES
    if module is not None and id(module) not in found.seen and (silent or found.is_project(module)):
        found.seen[id(module)] = module
        _visit_module(module, function.__code__, found)


def _visit_global(scope: dict[str, Any], name: str, code: CodeType, found: Reached) -> None:
    value = scope[name]
    first = first_global(scope, name)
    if isinstance(value, ModuleType):
        _visit_module(value, code, found)
    elif first is not UNKNOWN and (not same(first, value) or isinstance(value, FILLED)):
        found.places.append(Place(holder=scope, name=name, first=first))
        _visit_kept(value, name, found)
    elif found.origins is not None and (str(scope.get("__file__")), name) in found.origins.names:
        found.data.append(f"{name} (read at import: {found.origins.names[str(scope.get('__file__')), name]})")
    elif first is UNKNOWN:
        _note_reader(value, name, found)
        _visit_unless_literal(scope, name, value, found)


def _visit_unless_literal(scope: dict[str, Any], name: str, value: Any, found: Reached) -> None:
    """Numbers that follow from what the source says are code, however many; a model may have been fitted since."""
    what = described(value)
    # Where nobody watched the import, a long table is not taken at its source's word.
    long_table = isinstance(value, TABLES) and getattr(value, "size", MOST_NUMBERS + 1) > MOST_NUMBERS
    trusted = found.origins is not None or not long_table
    if what is not None and trusted and not what.startswith(("fitted", "open")) and is_from_literals(scope, name):
        found.seen[id(value)] = value
    else:
        _visit(value, name, found)


def _visit_kept(value: Any, name: str, found: Reached) -> None:
    """Look inside of a place: functions and caches are code like any other, data there is emptied by `fresh`."""
    inside = Reached(seen=found.seen, caches=found.caches, places=found.places, package=found.package)
    found.seen[id(value)] = value
    for part in elements(value)[:MOST_NUMBERS] if isinstance(value, CONTAINERS) else [value]:
        _visit(part, name, inside)
    what = described(value)
    found.kept += [*([f"{name} ({what})"] if what else []), *inside.data]
    found.readers += inside.readers
    found.hashes |= inside.hashes


def _visit_module(module: ModuleType, code: CodeType, found: Reached) -> None:
    silent = module.__name__.partition(".")[0] in SILENT_LIBRARIES
    for name in _names(code):
        value = vars(module).get(name)
        if value is not None:
            _note_reader(value, f"{module.__name__}.{name}", found)
            if found.is_project(module) and not isinstance(value, ModuleType):
                _visit_global(vars(module), name, code, found)
            elif isinstance(value, ModuleType) and silent:
                _visit_module(value, code, found)
            elif isinstance(value, TABLES) and is_data(value):  # no library comes with tables; somebody left it there
                found.data.append(f"{module.__name__}.{name} ({type(value).__name__})")


def _note_reader(value: Any, name: str, found: Reached) -> None:
    library = str(getattr(value, "__module__", None) or "").partition(".")[0]
    if library in SILENT_LIBRARIES and callable(value) and READERS.match(name.rpartition(".")[2]):
        found.readers.append(name)


def _visit_class(kind: type, found: Reached) -> None:
    own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    if own or not found.is_project(kind):
        return
    places = {place.name: place for place in class_places(kind)}
    found.places += places.values()
    for name, value in list(vars(kind).items()):
        if name in places:
            _visit_kept(value, f"{kind.__name__}.{name}", found)
        else:
            _visit(value, f"{kind.__name__}.{name}", found)


def _visit_value(obj: Any, name: str, found: Reached) -> None:
    what = found.origins.objects.get(id(obj)) if found.origins and not isinstance(obj, SCALARS) else None
    kind = f"read at import: {what}" if what else described(obj)
    if kind:
        found.data.append(f"{name} ({kind})")
    elif isinstance(obj, CONTAINERS):
        for part in elements(obj)[:MOST_NUMBERS]:
            _visit(part, name, found)
    elif not isinstance(obj, TEXTS) and (found.is_project(type(obj)) or isinstance(obj, SimpleNamespace)):
        _visit(type(obj), name, found)
        for part, value in _state(obj).items():
            _visit(value, f"{name}.{part}", found)


def _state(obj: Any) -> Mapping[str, Any]:
    """An object's attributes, in its slots too."""
    slots = [slot for kind in type(obj).__mro__ for slot in _as_tuple(vars(kind).get("__slots__", ()))]
    return {slot: getattr(obj, slot) for slot in slots if hasattr(obj, slot)} | dict(getattr(obj, "__dict__", {}))


def _as_tuple(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _names(code: CodeType) -> list[str]:
    """The names that code asks for, and the texts too where it looks names up by their text."""
    texts = [one for one in code.co_consts if isinstance(one, str)] if LOOKUPS.intersection(code.co_names) else []
    nested = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *texts, *nested]))


def _closed_over(function: FunctionType) -> list[Any]:
    filled = []
    for cell in function.__closure__ or ():
        try:
            filled.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    return filled
