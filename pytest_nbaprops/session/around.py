"""Whether code of the project's runs around the fits and predictions of libraries: in hooks, fixtures or patches."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from operator import attrgetter, is_
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import pytest

from pytest_nbaprops.code.installed import OURS
from pytest_nbaprops.leaks.reads import is_library_file

# Hooks in which a test can be wrapped, or what it calls exchanged.
HOOKS = (
    "pytest_runtest",
    "pytest_pyfunc_call",
    "pytest_fixture_setup",
    "pytest_collection",
    "pytest_itemcollected",
    "pytest_pycollect_makeitem",
    "pytest_generate_tests",
)
# What holds a function, and where.
HOLDING: dict[type, tuple[str, ...]] = {
    **dict.fromkeys((functools.partial, functools.partialmethod), ("func", "args")),
    functools.cached_property: ("func",),
    **dict.fromkeys((MethodType, staticmethod, classmethod), ("__func__",)),
    type(functools.cache(len)): ("__wrapped__",),
    property: ("fget", "fset"),
}
# Values that are not called, or are the compiled code of who made their type.
PLAIN = frozenset(
    (
        *(str, bytes, int, float, bool, tuple, list, dict, set, frozenset, type(None), ModuleType, ModuleSpec),
        *(type(len), WrapperDescriptorType, MethodDescriptorType, GetSetDescriptorType, MemberDescriptorType),
    )
)
HIDDEN = ("pyfunc", "func", "__wrapped__")  # attributes of other wrappers (numpy.vectorize, joblib)
BUILDING = ("numpy", "pandas", OURS)  # what our own groups are made with
COMMENT = re.compile(r"#.*|[()]")
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*)(?:: [^=\n]+)? = ([^\n#]+?)(?: *#.*)?$", re.MULTILINE)
IMPORT = re.compile(rf"^from ({OURS}\.[\w.]+) import (\([^)]*\)|[^\n(]+)", re.MULTILINE)
COMPUTING = ("xgboost", "sklearn", "lightgbm", "catboost", *BUILDING)
CODE_OF = attrgetter("__code__")
SEARCHED = dict[str, "_Things"]()  # several times a session


def acts_around_tests(config: pytest.Config) -> bool:
    """Whether a conftest, a plugin of the project's or an object that one registers has such hooks or fixtures.

    A plugin that was named by `-p` is the project's, wherever it lies.
    """
    plugins = config.pluginmanager.get_plugins()
    named = {config.pluginmanager.get_plugin(name) for name in config.option.plugins}
    own = (plugin for plugin in plugins if plugin in named or not is_library_file(_file_of(plugin)))
    fixture = type(pytest.fixture(lambda: None))
    found = (pair for plugin in own for pair in _names_of(plugin))
    return any(name.startswith(HOOKS) or isinstance(value, fixture) for name, value in found)


def patches(*libraries: str) -> dict[str, str]:
    """Functions, classes and other things of the project's that can be called and stand in these libraries.

    By the names under which they stand there, the files that they come from.
    """
    found = dict[str, str]()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in libraries or not isinstance(module, ModuleType):
            continue
        spaces: list[tuple[str, Mapping[str, Any]]] = [(name, vars(module))]
        for place, space in spaces:
            things = SEARCHED.get(place)
            if things is None or not things.are_still_in(space):
                things = SEARCHED[place] = _Things.of(space)
            found |= {f"{place}.{label}": file for label, file in things.strange.items()}
            if place == name:
                spaces += [(f"{name}.{label}", vars(kind)) for label, kind in things.classes if kind.__module__ == name]
    return found


def other_values() -> list[str]:
    """Constants of this package's modules, and what they import of each other, that are not what their lines say."""
    ours = {name: module for name, module in list(sys.modules.items()) if name.startswith(f"{OURS}.")}
    found = []
    for name, module in ours.items():
        constants, imports = _said(str(module.__file__))
        there = {here: (vars(ours[origin]) if origin in ours else {}, what) for here, origin, what in imports}
        said = constants | {here: space[what] for here, (space, what) in there.items() if what in space}
        found += [f"{name}.{label}" for label, value in said.items() if not _is_same(value, vars(module).get(label))]
    return found


@functools.cache
def _said(file: str) -> tuple[dict[str, object], list[tuple[str, str, str]]]:
    """The names to which a module's own lines give a literal, with it, and those that they import: from where, what."""
    source = Path(file)
    text = source.read_text(encoding="utf-8") if source.suffix == ".py" and source.is_file() else ""
    constants, imports = dict[str, object](), list[tuple[str, str, str]]()
    for label, literal in CONSTANT.findall(text):
        with contextlib.suppress(ValueError, SyntaxError):  # an expression, or the first line of one
            constants[label] = ast.literal_eval(literal)
    for origin, labels in IMPORT.findall(text):
        for label in map(str.strip, COMMENT.sub("", labels).split(",")):
            what, _, here = label.partition(" as ")
            imports.append((here or what, origin, what))
    return constants, imports


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and type(one) in PLAIN and one == other)


@dataclass(frozen=True, kw_only=True)
class _Things:
    """What stood in a space when it was searched; it is held here, so that nothing else can be where it was.

    Attributes:
        strange: files of the project's whose code is run when what has this name is called.
    """

    values: list[object]
    functions: list[FunctionType]
    codes: list[CodeType]
    classes: list[tuple[str, type]]
    strange: dict[str, str]

    @classmethod
    def of(cls, space: Mapping[str, Any]) -> _Things:
        named = list(space.items())
        values = [value for _, value in named]
        functions = [value for value in values if type(value) is FunctionType]
        return cls(
            values=values,
            functions=functions,
            codes=[*map(CODE_OF, functions)],
            classes=[(label, value) for label, value in named if isinstance(value, type)],
            strange={label: file for label, value in named if (file := _strange(value)) is not None},
        )

    def are_still_in(self, space: Mapping[str, Any]) -> bool:
        """Whether each is there, and does what it did."""
        values = list(space.values())
        same = len(values) == len(self.values) and all(map(is_, values, self.values))
        return same and all(map(is_, map(CODE_OF, self.functions), self.codes))


def _strange(value: object) -> str | None:
    """The project's file whose code is run when a value is called; None where that is a library's, or it is no code."""
    kind, strange = type(value), None
    if kind in PLAIN:
        return None
    if kind is FunctionType and is_library_file(CODE_OF(value).co_filename) and not hasattr(value, "__wrapped__"):
        return None  # nearly all there is
    for file in _files_called(value):
        if file[:1] != "<" and not is_library_file(file):
            strange = file
    return strange


def _files_called(value: object) -> Iterator[str]:
    """Where the code lies that is run when a value is called, or asked of an instance; nothing for what is no code."""
    kind = type(value)
    if isinstance(value, type):
        yield _file_of(value)
    elif isinstance(value, FunctionType):
        yield _file_of_function(value)
        yield from _files_called(value.__dict__.get("__wrapped__"))
    elif kind in HOLDING:
        for held in (getattr(value, part, None) for part in HOLDING[kind]):
            for inside in held if isinstance(held, tuple) else (held,):
                yield from _files_called(inside)
    elif kind.__module__ == "unittest.mock":
        yield kind.__module__
    else:
        call = getattr(kind, "__call__", None)  # noqa: B004 - its code is what matters
        if type(call) is FunctionType:
            yield call.__code__.co_filename
            for name in HIDDEN:
                yield from _files_called(getattr(value, "__dict__", {}).get(name))


def _file_of_function(function: FunctionType) -> str:
    """Of a function that was made of a text the file of the module whose names it has, if that is one."""
    for value in function.__dict__.values():
        if type(value).__module__ == "unittest.mock":
            return "unittest.mock"
    file = function.__code__.co_filename
    return str(function.__globals__.get("__file__") or file) if file[:1] == "<" else file


def _file_of(what: object) -> str:
    """Where a module, a class or the class of a plugin is defined; what has no file is Python's own."""
    kind = what if isinstance(what, type) else type(what)
    module = what if isinstance(what, ModuleType) else sys.modules.get(kind.__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _names_of(plugin: object) -> Iterator[tuple[str, object]]:
    spaces = [plugin] if isinstance(plugin, ModuleType) else [plugin, *type(plugin).__mro__]
    for space in spaces:
        yield from list(getattr(space, "__dict__", {}).items())
