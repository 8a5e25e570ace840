"""Content digests of Python code: what a function says and, recursively, what it calls.

Digests are of the syntax tree: comments, docstrings, annotations of functions, layout and file location do not
count. Installed packages count with their version; the standard library, and the libraries whose versions are in every
key of the fold store, do not. This package counts with its code. A library's object counts with what it would be made
anew from, as `copy` and `pickle` ask for it; locks, files and random generators do not say. What the project's code
refers to counts as it was when a digest first met it: code that fills a cache of its own, or a name, as it runs is no
other code then.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import copyreg
import functools
import hashlib
import inspect
import json
import os
import random
import re
import sys
from collections import defaultdict
from enum import Enum
from pathlib import Path
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_nbaprops.code.classes import made_where_it_ran, registered_in, slots_of, subclasses_of
from pytest_nbaprops.code.compiled import CODE, WRAPPERS, closure_of, codes_of, instructions_of, names_in, quoted_in
from pytest_nbaprops.code.effects import effects_of, imported_by, module_of, named_in, sources_of
from pytest_nbaprops.code.installed import INSTALLED
from pytest_nbaprops.code.owners import is_own, is_project, library_version, maker
from pytest_nbaprops.code.syntax import dotted_names, imported_by_name, local_imports, tree_of, tree_of_file
from pytest_nbaprops.code.values import (
    PLAIN,
    READABLE,
    SCALARS,
    data_digest,
    has_parameters,
    is_data,
    learnt_by,
    scalar_text,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RANDOM = (random.Random, np.random.RandomState, np.random.Generator, np.random.BitGenerator)  # go on as they are used
GLOBAL = "global"
LONGEST_TEXT = 200  # that is sure not to be cut
DEEPEST = 120
ADDRESS = re.compile(r"\d{9,20}")
MOST_PARTS = 10_000  # of a library's object: what has more of them is no setting
# What names of the project's code stood for, and what values held, and whose ids the keys are, so that they last.
_NAMED: dict[tuple[int, str], tuple[object, Any]] = {}
_HELD: dict[int, tuple[object, Any]] = {}


def code_digest(obj: object, *, lasts: bool = False) -> str:
    """SHA-256 (hex) of a function, class or other object and of all project code and constants it refers to.

    What an object that `lasts` holds itself (a bound method's, a partial's) counts as when a digest first met it, too.
    """
    walk = _Walk(remembers=lasts)
    root = walk.describe(obj)
    effects = list(walk.effects())  # of imports
    return _sha256(json.dumps([root, walk.entries, *([effects] if effects else [])], sort_keys=True))


def parts_of_digest(obj: object) -> list[tuple[str, Any]]:
    """What a digest is made of, in its order: the name that each object goes by, and what it says, as JSON values."""
    walk = _Walk(remembers=True)
    walk.describe(obj)
    [*walk.effects()]
    names = (walk.names.get(id(one)) or _name_of(one) for one in walk.alive)
    return list(zip(names, walk.entries, strict=True))


def made_anew(here: Sequence[tuple[str, Any]], there: Sequence[tuple[str, Any]]) -> str | None:
    """The first of these parts that is another one in another process, by its name."""
    for (name, mine), (_, other) in zip(here, there, strict=False):
        if mine != other:
            inside = _other_value(mine, other)
            return name if inside is None else f"{inside} (in {name})"
    return None


def _other_value(here: Any, there: Any) -> str | None:
    """The name of the first value that differs."""
    if not (isinstance(here, list) and isinstance(there, list)):
        return None
    for mine, other in zip(here, there, strict=False):
        if mine != other:
            is_named = len(here) == 2 and isinstance(here[0], str) and here[0][:1] == "'"  # noqa: PLR2004 - name, value
            return _other_value(mine, other) or (here[0].strip("'") if is_named else None)
    return None


def objects_reached(*objects: object) -> list[tuple[str, Any]]:
    """These objects and whatever project code and values they refer to now, each with the name that it goes by."""
    walk = _Walk(live=True)
    for obj in objects:
        walk.describe(obj)
    return [(walk.names.get(id(obj)) or _name_of(obj), obj) for obj in walk.alive]


def _name_of(obj: object) -> str:
    return obj.__name__ if isinstance(obj, FunctionType | type | ModuleType) else type(obj).__name__


def texts_of(obj: object) -> frozenset[str]:
    """The names and text constants in an object's project code."""
    codes = [
        code for _, one in objects_reached(obj) if isinstance(one, FunctionType) for code in codes_of(one.__code__)
    ]
    constants = (text for code in codes for text in code.co_consts if isinstance(text, str))
    in_tuples = (
        text
        for code in codes
        for one in code.co_consts
        if isinstance(one, tuple)
        for text in one
        if isinstance(text, str)
    )
    return frozenset([*constants, *in_tuples, *(name for code in codes for name in code.co_names)])


class _Walk:
    """One pass over an object and its references; `entries` are numbered as they are met, so cycles end."""

    def __init__(self, *, live: bool = False, inside: bool = False, remembers: bool = False) -> None:
        self.live, self.inside = live, inside  # of a library's object
        self.entries: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.names: dict[int, str] = {}
        # Temporary objects must live as long as their ids are keys.
        self.alive: list[object] = []
        self.remembers = remembers
        self.depth = 0

    def describe(self, obj: Any) -> Any:
        """A JSON value that stands for the object's content."""
        if isinstance(obj, SCALARS):
            text = scalar_text(obj)
            return [type(obj).__name__, ADDRESS.sub(self._met_there, text) if self.inside else text]
        if id(obj) in self.numbers:
            return ["entry", self.numbers[id(obj)]]
        if self.depth >= DEEPEST:  # a chain of objects may be longer than Python calls itself; met nearer, it counts
            return [type(obj).__name__, "deep"]
        self.numbers[id(obj)] = number = len(self.entries)
        self.alive.append(obj)
        self.entries.append(None)
        self.depth += 1
        try:
            self.entries[number] = self._content(obj)
        except Exception:  # whatever asking an object raises
            if self.inside:
                raise
            self.entries[number] = [type(obj).__name__, "does not say"]
        self.depth -= 1
        return ["entry", number]

    def _met_there(self, address: re.Match[str]) -> str:
        """An address that a library's object names something by, as pydantic its models: the same in any process."""
        number = self.numbers.get(int(address[0]))
        return address[0] if number is None else f"entry {number}"

    def effects(self) -> Iterator[Any]:
        """What the imports of the modules did whose code was met, with what that refers to."""
        done: list[ModuleType] = []
        while new := [one for one in imported_by(self._modules()) if one not in done]:
            done += new
            for module in new:
                for line in effects_of(module):
                    read = [*named_in(line, module)]
                    named = {name: value for _, name, value in read if isinstance(value, CODE)}
                    yield [_hash(line), self._mapping(named), self._sources((holder, name) for holder, name, _ in read)]

    def _modules(self) -> list[ModuleType]:
        """Of the project's functions and classes that were met, and these modules themselves."""
        met = (one for one in self.alive if isinstance(one, FunctionType | type | ModuleType) and is_project(one))
        modules = (one if isinstance(one, ModuleType) else module_of(one) for one in met)
        return [module for module in modules if module is not None]

    def _sources(self, names: Iterable[tuple[ModuleType, str]]) -> list[Any]:
        """How names of modules got their values, as the source has it: what these are in a process does not count."""
        seen: set[tuple[str, str]] = set()
        parts = [part for module, name in names for part in sources_of(module, name, seen)]
        return [_hash(part) if isinstance(part, ast.AST) else self.describe(part) for part in parts]

    def _content(self, obj: Any) -> Any:
        if isinstance(obj, MethodType):
            return ["method", self.describe(obj.__func__), self.describe(obj.__self__)]
        if isinstance(obj, functools.partial):
            return ["partial", *map(self.describe, (obj.func, obj.args, obj.keywords))]
        if isinstance(obj, WRAPPERS):
            return [type(obj).__name__, self.describe(obj.__wrapped__)]
        if isinstance(obj, FunctionType | type | ModuleType):
            around, self.remembers = self.remembers, not (self.live or is_own(obj))
            try:
                return self._code(obj)
            finally:
                self.remembers = around
        if isinstance(wrapped := inspect.getattr_static(obj, "__wrapped__", None), FunctionType):
            return ["wrapped", self.describe(type(obj)), self.describe(wrapped)]  # compiled, or what it gave is kept
        return self._value(obj)

    def _code(self, obj: Any) -> Any:
        if not is_project(obj):
            module, *name = maker(obj)
            inside = getattr(obj, "__wrapped__", None) if isinstance(obj, FunctionType) else None
            wrapped = [self.describe(inside)] if isinstance(inside, FunctionType) and is_project(inside) else []
            registry = getattr(obj, "registry", None)  # of singledispatch, of a function for each type
            each = dict(registry) if isinstance(registry, MappingProxyType) else {}
            own = {kind: one for kind, one in each.items() if isinstance(one, FunctionType) and is_project(one)}
            others = [self._mapping(own)] if own else []
            return ["library", ":".join([module, *name]), library_version(module), *wrapped, *others]
        if isinstance(obj, FunctionType):
            return self._function(obj)
        tree = tree_of(obj)
        if isinstance(obj, ModuleType):
            others = [] if is_own(obj) else [one for one in imported_by([obj]) if one is not obj]
            return ["module", _hash(tree) if tree else obj.__name__, *map(self.describe, others)]
        bases = [self.describe(base) for base in obj.__bases__]
        if tree is None:
            functions = {name: value for name, value in vars(obj).items() if isinstance(value, FunctionType)}
            return ["class", obj.__qualname__, bases, self._mapping(functions)]
        scope = vars(sys.modules.get(obj.__module__, builtins))
        references = self._references(obj, tree, scope, set(scope))
        made = {} if is_own(obj) else made_where_it_ran(obj, tree) | registered_in(obj)
        return ["class", _hash(tree), bases, references, *([self._mapping(made)] if made else [])]

    def _function(self, function: FunctionType) -> Any:
        tree = tree_of(function)
        scope = {**function.__globals__, **closure_of(function)}
        names = {name for name in names_in(function.__code__) if name in scope}
        if tree is None:
            said = instructions_of(function.__code__)
            references = self._mapping({name: self._named(function, name, scope[name]) for name in names})
        else:
            imported = dict(local_imports(tree, function.__globals__.get("__package__") or ""))
            said = _hash(tree)
            references = self._references(function, tree, {**scope, **imported}, names | imported.keys())
            references += [] if is_own(function) else [*self._by_no_name(function, tree)]
        defaults = [self.describe(function.__defaults__), self._mapping(function.__kwdefaults__ or {})]
        quoted = {
            name: self._named(function, name, scope[name]) for name in quoted_in(function.__code__) if name in scope
        }
        return ["function", said, *defaults, references, *([self._mapping(quoted)] if quoted else [])]

    def _by_no_name(self, function: FunctionType, tree: ast.AST) -> Iterator[Any]:
        """What a function reaches by other ways than a name that says what it is."""
        for name, module in imported_by_name(tree, function.__globals__.get("__package__") or "").items():
            if module is None:  # which one is known as it runs
                yield ["modules", name, _digest_of_code(Path(function.__code__.co_filename).parent)]
            elif is_project(module):
                yield ["module", name, self.describe(module)]
        module = module_of(function)
        named = [*named_in(tree, module)] if module is not None else []
        if "__subclasses__" in names_in(function.__code__):
            kinds = [value for _, _, value in named if isinstance(value, type) and is_project(value)]
            yield ["subclasses", *(self.describe(one) for kind in kinds for one in subclasses_of(kind))]
        if sources := self._sources((holder, name) for holder, name, value in named if _says_nothing(value)):
            yield ["assigned", *sources]

    def _references(self, owner: object, tree: ast.AST, scope: Mapping[str, Any], names: set[str]) -> Any:
        """What the dotted names of the owner's tree that begin with one of `names` stand for in `scope`."""
        found: dict[str, Any] = {}
        for dotted in dotted_names(tree):
            first, *rest = dotted.split(".")
            if first in names:
                name, value = _resolved(first, rest, scope[first])
                found.setdefault(name, self._named(owner, name, value))
        return self._mapping(found)

    def _named(self, owner: object, name: str, value: Any) -> Any:
        if not self.remembers:
            return value
        if (id(owner), name) not in _NAMED:
            if isinstance(value, CODE):
                return value
            _NAMED[id(owner), name] = (owner, value)
        return _NAMED[id(owner), name][1]

    def made_from(self, obj: Any) -> Any:
        """What a library's object would be made anew from.

        Raises:
            TypeError: it does not say, as a lock or a file.
        """
        if isinstance(obj, RANDOM):
            return ["random", self.describe(type(obj))]
        if len(self.entries) > MOST_PARTS:
            raise TypeError("it has too many parts")
        reducer: Any = copyreg.dispatch_table.get(type(obj))
        made = obj.__reduce_ex__(2) if reducer is None else reducer(obj)
        if isinstance(made, str):  # the name of a global
            return [GLOBAL, made]
        maker, arguments, state, items, pairs = (*made, None, None, None)[:5]
        parts = (maker, arguments, state, [*(items or ())], [*(pairs or ())])
        return ["made", *map(self.describe, parts)]

    def _mapping(self, values: Mapping[Any, Any]) -> Any:
        self.names |= {id(value): str(key) for key, value in values.items()}
        texts = {key: text_of(key) for key in values}
        return [[texts[key], self.describe(values[key])] for key in sorted(values, key=texts.__getitem__)]

    def _value(self, obj: Any) -> Any:
        if isinstance(obj, Enum):
            return ["enum", self.describe(type(obj)), obj.name]
        if self.inside and _is_opaque(obj):
            return self.made_from(obj)
        held = self._held(obj)
        if isinstance(obj, tuple | list | set | frozenset):
            parts = held if isinstance(obj, set | frozenset) else map(self.describe, held)
            return [type(obj).__name__, *parts, *self._more_than_held(obj)]
        if isinstance(obj, dict | MappingProxyType):
            return ["dict", self._mapping(held), *self._more_than_held(obj)]
        if isinstance(held, list):  # data
            return held
        return ["object", self.describe(type(obj)), self._mapping(held) if isinstance(held, dict) else held]

    def _more_than_held(self, obj: Any) -> Iterator[Any]:
        """What a collection of the project's own kind, as a named tuple, can do and has besides what is in it."""
        if is_project(type(obj)):
            yield self.describe(type(obj))
            yield self.describe(getattr(obj, "__dict__", None))
        if isinstance(obj, defaultdict):
            yield self.describe(obj.default_factory)

    def _held(self, obj: Any) -> Any:
        if self.live and _is_opaque(obj):
            return None
        if not self.remembers:
            return _held(obj)
        if id(obj) not in _HELD:
            _HELD[id(obj)] = (obj, _held(obj))
        return _HELD[id(obj)][1]


def _resolved(first: str, rest: list[str], obj: Any) -> tuple[str, Any]:
    """Follow attributes through project modules only: `core.pra` is the function, not the module."""
    name = first
    while rest and isinstance(obj, ModuleType) and is_project(obj) and hasattr(obj, rest[0]):
        name, obj, rest = f"{name}.{rest[0]}", getattr(obj, rest[0]), rest[1:]
    return name, obj


def _says_nothing(value: Any) -> bool:
    """Whether a value is a library's object of which its text or its parts may not tell what it was made with."""
    return not isinstance(value, (*CODE, *PLAIN)) and _is_opaque(value)


def _digest_of_code(folder: Path) -> str:
    """Of all Python files below a folder, by their trees."""
    files = (file for file in sorted(folder.rglob("*.py")) if not {*INSTALLED}.intersection(file.parts))
    trees = map(tree_of_file, files)
    return _sha256("".join(_hash(tree) for tree in trees if tree is not None))


def _held(obj: Any) -> Any:
    """What a value holds now, one level deep."""
    if isinstance(obj, tuple | list):
        return tuple(obj)
    if isinstance(obj, set | frozenset):
        return sorted(map(text_of, obj))
    if isinstance(obj, dict | MappingProxyType):
        return dict(obj)
    return data_digest(obj) if is_data(obj) else _state(obj)


def _state(obj: Any) -> Any:
    if obj is os.environ:
        return "os.environ"
    if has_parameters(obj):
        return {**obj.get_params(deep=False), **learnt_by(obj)}
    if is_project(type(obj)):
        slots = (name for kind in type(obj).__mro__ for name in slots_of(kind))
        return {**{name: getattr(obj, name) for name in slots if hasattr(obj, name)}, **getattr(obj, "__dict__", {})}
    if _is_opaque(obj):
        walk = _Walk(inside=True)
        with contextlib.suppress(Exception):  # a library's own code may raise anything
            root = walk.describe(obj)
            if walk.entries[0][0] != GLOBAL:  # a function of a library's says its name
                return json.dumps([root, walk.entries], sort_keys=True)
    # The text of a library's object says something only where it is no address; a logger's tells its level.
    text = repr(obj)
    return None if " at 0x" in text or type(obj).__module__ == "logging" else text


def _is_opaque(obj: Any) -> bool:
    """Whether a value is a library's object that does not say all in its text."""
    if is_project(type(obj)) or has_parameters(obj) or obj is os.environ:
        return False
    if isinstance(obj, tuple | list | set | frozenset | dict | MappingProxyType) or is_data(obj):
        return False
    package = type(obj).__module__.partition(".")[0]
    if package == "logging" or package not in READABLE:
        return package != "logging"
    text = repr(obj)
    return text.startswith("<") or len(text) > LONGEST_TEXT or any(mark in text for mark in (" at 0x", "...", "…"))


@functools.cache
def _hash(tree: ast.AST) -> str:
    return _sha256(ast.dump(tree))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
