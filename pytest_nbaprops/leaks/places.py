"""Mutable state that code may fill, and what its source first says it is."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNKNOWN = object()
EMPTY = object()
FILLED = (dict, list, set, deque)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A global, a class attribute or a default that code may fill, and what its source first says it is."""

    holder: Any
    name: str
    first: Any

    @property
    def value(self) -> Any:
        """What is there now."""
        return (self.holder if isinstance(self.holder, dict) else vars(self.holder)).get(self.name)

    def fill(self, now: Any, content: Any) -> None:
        """Fill the same object where it is a container, since others may hold it too."""
        if content is EMPTY:
            now.clear()
        elif isinstance(now, dict | set) and isinstance(content, type(now)):
            now.clear()
            now.update(copied(content))
        elif isinstance(now, list | deque) and isinstance(content, type(now)):
            now.clear()
            now.extend(copied(content))
        else:
            self.put(copied(content))

    def put(self, value: Any) -> None:
        """Set the name itself."""
        if isinstance(self.holder, dict):
            self.holder[self.name] = value
        else:
            setattr(self.holder, self.name, value)


def copied(value: Any) -> Any:
    """A shallow copy, where the value can be copied."""
    return copy.copy(value) if isinstance(value, FILLED) else value


def first_global(scope: Mapping[str, Any], name: str) -> Any:
    """The literal that the module's source assigns to a global and does not change while it is imported."""
    said = [node for node, names in _statements(str(scope.get("__file__"))) if name in names]
    return _assigned(said, name, scope.get(name))


def class_places(kind: type) -> Iterator[Place]:
    """Attributes of a class that its source fills with literals."""
    body = _class_body(kind)
    for name, value in list(vars(kind).items()):
        said = [node for node in body if name in _targets(node)]
        first = _assigned(said, name, value) if said and not name.startswith("__") else UNKNOWN
        if first is not UNKNOWN and (isinstance(value, FILLED) or not same(first, value)):
            yield Place(holder=kind, name=name, first=first)


def default_places(function: FunctionType) -> Iterator[Place]:
    """Containers that are a function's defaults, with what its source says they begin as."""
    code, named = function.__code__, function.__kwdefaults__ or {}
    said = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    if said is None or not (function.__defaults__ or named):
        return
    pairs = list(zip(said.defaults, function.__defaults__ or (), strict=False))
    pairs += [(node, named.get(one.arg)) for one, node in zip(said.kwonlyargs, said.kw_defaults, strict=True) if node]
    for node, value in pairs:
        first = literal(node, value) if isinstance(value, FILLED) else UNKNOWN
        if first is not UNKNOWN:
            yield Place(holder={"default": value}, name="default", first=first)


def literal(node: ast.expr | None, now: Any) -> Any:
    """The value of a literal in a source; `EMPTY` for the call of a container's class that is filled later."""
    if isinstance(node, ast.Call):
        return EMPTY if isinstance(now, FILLED) and _makes_empty(node, type(now)) else UNKNOWN
    try:
        return UNKNOWN if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return UNKNOWN


def _makes_empty(node: ast.Call, kind: type) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    nothing = not node.args and all(one.arg == "maxlen" for one in node.keywords)
    own_start = isinstance(vars(kind).get("__init__"), FunctionType)
    return name == kind.__name__ and not own_start and (nothing or (name == "defaultdict" and len(node.args) == 1))


def _assigned(said: list[ast.stmt], name: str, now: Any) -> Any:
    if len(said) != 1 or not isinstance(said[0], ast.Assign | ast.AnnAssign) or name not in _targets(said[0]):
        return UNKNOWN
    return literal(said[0].value, now)


def _targets(node: ast.stmt) -> set[str]:
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


@functools.lru_cache(maxsize=128)
def _statements(file: str) -> tuple[tuple[ast.stmt, frozenset[str]], ...]:
    """What a module runs when it is imported, without its functions and classes, and the names in each statement."""
    run = [node for node in _body(file) if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return tuple((node, frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))) for node in run)


@functools.lru_cache(maxsize=128)
def _body(file: str) -> tuple[ast.stmt, ...]:
    try:
        return tuple(ast.parse(Path(file).read_text(encoding="utf-8")).body)
    except (OSError, SyntaxError, ValueError):
        return ()


def _class_body(kind: type) -> list[ast.stmt]:
    try:
        file = inspect.getfile(kind)
    except (TypeError, OSError):
        return []
    named = [node for node in _body(file) if isinstance(node, ast.ClassDef) and node.name == kind.__qualname__]
    return named[-1].body if named else []


@functools.lru_cache(maxsize=128)
def _functions(file: str) -> dict[tuple[str, int], ast.arguments]:
    found = {}
    for top in _body(file):
        for node in ast.walk(top):
            if isinstance(node, ast.FunctionDef):
                first = min((one.lineno for one in node.decorator_list), default=node.lineno)
                found[node.name, first] = node.args
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type."""
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except (ValueError, TypeError):
        return False
