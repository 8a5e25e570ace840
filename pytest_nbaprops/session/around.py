"""Whether code of the project's runs around the fits and predictions of libraries: in hooks, fixtures or patches."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import (
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
# Found to be the libraries' own, files and what is no function: they are searched several times a session.
OF_LIBRARIES, KNOWN = set[str](), dict[int, object]()


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
    found, called = dict[str, str](), dict[type, str | None]()
    for place, value in _code_in(libraries):
        strange = None
        for file in _files_called(value, called):
            if file[:1] == "<" or file in OF_LIBRARIES:
                continue
            if is_library_file(file):
                OF_LIBRARIES.add(file)
            else:
                strange = file
        if strange is not None:
            found[place] = strange
        elif type(value) is not FunctionType:
            KNOWN[id(value)] = value
    return found


def other_values() -> list[str]:
    """Constants of this package's modules, and what they import of each other, that are not what their lines say."""
    ours = {name: module for name, module in list(sys.modules.items()) if name.startswith(f"{OURS}.")}
    found = []
    for name, module in ours.items():
        source, space = Path(str(module.__file__)), vars(module)
        if source.suffix == ".py" and source.is_file():
            said = _said(source.read_text(encoding="utf-8"), ours)
            found += [f"{name}.{label}" for label, value in said if not _is_same(value, space.get(label))]
    return found


def _said(text: str, modules: Mapping[str, ModuleType]) -> Iterator[tuple[str, object]]:
    """The names to which a module's own lines give a literal, or what another module has, with that value."""
    for label, literal in CONSTANT.findall(text):
        with contextlib.suppress(ValueError, SyntaxError):  # an expression, or the first line of one
            yield label, ast.literal_eval(literal)
    for origin, labels in IMPORT.findall(text):
        space = vars(modules[origin]) if origin in modules else {}
        for label in map(str.strip, COMMENT.sub("", labels).split(",")):
            there, _, here = label.partition(" as ")
            if there in space:
                yield here or there, space[there]


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and type(one) in PLAIN and one == other)


def _code_in(libraries: Collection[str]) -> Iterator[tuple[str, object]]:
    """Whatever can be called in the modules of libraries and in the classes that they define, but what is known."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in libraries or not isinstance(module, ModuleType):
            continue
        for prefix, space in _spaces(name, module):
            for label, value in list(space.items()):
                kind = type(value)
                if kind is FunctionType:  # nearly all there is, and most share their file with others
                    if value.__code__.co_filename in OF_LIBRARIES and not value.__dict__:
                        continue
                elif kind in PLAIN or id(value) in KNOWN:
                    continue
                yield f"{prefix}{label}", value


def _spaces(name: str, module: ModuleType) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"{name}.", vars(module)
    for label, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == name:
            yield f"{name}.{label}.", vars(value)


def _files_called(value: object, called: dict[type, str | None]) -> Iterator[str]:
    """Where the code lies that is run when a value is called, or asked of an instance; nothing for what is no code."""
    kind = type(value)
    if isinstance(value, type):
        yield _file_of(value)
    elif isinstance(value, FunctionType):
        yield _file_of_function(value)
        yield from _files_called(value.__dict__.get("__wrapped__"), called)
    elif kind in HOLDING:
        for held in (getattr(value, part, None) for part in HOLDING[kind]):
            for inside in held if isinstance(held, tuple) else (held,):
                yield from _files_called(inside, called)
    elif kind.__module__ == "unittest.mock":
        yield kind.__module__
    else:
        if kind not in called:
            call = getattr(kind, "__call__", None)  # noqa: B004 - its code is what matters
            called[kind] = call.__code__.co_filename if type(call) is FunctionType else None
        if (file := called[kind]) is not None:
            yield file
            for name in HIDDEN:
                yield from _files_called(getattr(value, "__dict__", {}).get(name), called)


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
