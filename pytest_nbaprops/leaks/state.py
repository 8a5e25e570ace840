"""What project code could keep from one fold to the next, and how to put it back: module globals, classes, caches."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_nbaprops.code.reached import OWN_PACKAGE, is_project

CACHE = type(functools.cache(len))
# A table of this many things is data, which is reported as such; copying it would cost more than it tells.
MOST_ELEMENTS = 10_000
Put = Callable[[], None]


class Kept:
    """The state of all project code that some functions and objects can reach, as it is at this moment.

    Whole modules are walked, not only the names that a function says: another function of them may be called. What
    libraries keep is not: of their objects only estimators are, whose fit is the state that matters here.
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self.caches: list[Any] = []
        self._puts: list[Put] = []
        self._seen: dict[int, object] = {}
        waiting = list(roots)
        while waiting:
            waiting.extend(self._visited(waiting.pop()))

    def put(self) -> None:
        """Make everything what it was; caches, whose content cannot be read, are emptied."""
        for cache in self.caches:
            cache.cache_clear()
        for put in self._puts:
            put()

    def _visited(self, obj: Any) -> Iterable[object]:
        if obj is None or isinstance(obj, bool | int | float | complex | str | bytes) or id(obj) in self._seen:
            return ()
        self._seen[id(obj)] = obj
        if isinstance(obj, CACHE):
            self.caches.append(obj)
            return (obj.__wrapped__,)
        if isinstance(obj, FunctionType | type | ModuleType):
            return self._visited_code(obj)
        if isinstance(obj, MethodType | functools.partial | property | staticmethod | classmethod):
            return _parts(obj)
        return self._visited_value(obj)

    def _visited_code(self, obj: Any) -> Iterable[object]:
        if not is_project(obj) or _is_ours(obj):
            return ()
        if isinstance(obj, ModuleType):
            return self._visited_names(vars(obj))
        if isinstance(obj, type):
            return self._visited_class(obj)
        held = (obj.__defaults__, obj.__kwdefaults__, getattr(obj, "__wrapped__", None))
        cells = self._visited_cells(obj.__closure__ or ())
        return [*held, *cells, *self._visited_names(obj.__dict__), *self._visited_names(obj.__globals__)]

    def _visited_names(self, names: dict[str, Any]) -> list[object]:
        """A namespace: which names it has, and for what they stand."""
        if id(names) in self._seen:
            return []
        self._seen[id(names)] = names
        content = dict(names)
        self._puts.append(lambda: _put_names(names, content))
        return [value for name, value in content.items() if not name.startswith("__")]

    def _visited_class(self, kind: type) -> list[object]:
        content = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
        self._puts.append(lambda: _put_attributes(kind, content))
        return [*content.values(), *kind.__bases__]

    def _visited_cells(self, cells: Iterable[CellType]) -> list[object]:
        filled = []
        for cell in cells:
            with suppress(ValueError):  # not assigned yet
                content = cell.cell_contents
                filled.append(content)
                self._puts.append(functools.partial(setattr, cell, "cell_contents", content))
        return filled

    def _visited_value(self, obj: Any) -> Iterable[object]:
        if isinstance(obj, dict | list | set | deque):
            return self._visited_container(obj)
        if isinstance(obj, tuple | frozenset):
            return obj if len(obj) <= MOST_ELEMENTS else ()
        if not (is_project(type(obj)) or hasattr(obj, "get_params")):
            return ()
        return [type(obj), *self._visited_names(getattr(obj, "__dict__", {}))]

    def _visited_container(self, obj: Any) -> Iterable[object]:
        if len(obj) > MOST_ELEMENTS:
            return ()
        content = obj.copy()
        fill = obj.update if isinstance(obj, dict | set) else obj.extend
        self._puts.append(lambda: (obj.clear(), fill(content))[0])
        return list(content.values()) if isinstance(content, dict) else list(content)


@contextmanager
def as_first(first: Kept, roots: Iterable[object]) -> Iterator[None]:
    """Run a block in the state of `first`, and let everything be afterwards as it was before the block."""
    now = Kept(roots)
    first.put()
    try:
        yield
    finally:
        now.put()
        for cache in first.caches:
            cache.cache_clear()  # what the block left in them was made of changed games


def _put_names(names: dict[str, Any], content: dict[str, Any]) -> None:
    for name in set(names) - set(content):
        del names[name]
    names.update(content)


def _put_attributes(kind: type, content: dict[str, Any]) -> None:
    now = {name for name in vars(kind) if not name.startswith("__")}
    for name in now - set(content):
        delattr(kind, name)
    for name, value in content.items():
        if vars(kind).get(name) is not value:
            setattr(kind, name, value)


def _parts(obj: Any) -> list[object]:
    if isinstance(obj, functools.partial):
        return [obj.func, *obj.args, *obj.keywords.values()]
    if isinstance(obj, property):
        return [obj.fget]
    return [obj.__func__, getattr(obj, "__self__", None)]


def _is_ours(obj: Any) -> bool:
    name = str(getattr(obj, "__module__", None) or getattr(obj, "__name__", ""))
    return name.partition(".")[0] == OWN_PACKAGE
