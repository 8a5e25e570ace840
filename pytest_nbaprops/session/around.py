"""Whether code of the project's runs around the fits and predictions of libraries: in hooks, fixtures or patches."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import (
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)

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
COMPUTING = ("xgboost", "sklearn", "lightgbm", "catboost", *BUILDING)


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
    found, libraries_own = dict[str, str](), set[str]()  # most functions share their file with others
    called, known = dict[type, str | None](), set[int]()  # and many names are for what has another one, too
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in libraries or not isinstance(module, ModuleType):
            continue
        for place, value in _code_in(name, module, known):
            if type(value) is FunctionType and not value.__dict__ and value.__code__.co_filename in libraries_own:
                continue  # nearly all there is
            strange = None
            for file in _files_called(value, called):
                if file[:1] == "<" or file in libraries_own:
                    continue
                if is_library_file(file):
                    libraries_own.add(file)
                else:
                    strange = file
            if strange is None:
                known.add(id(value))
            else:
                found[f"{name}.{place}"] = strange
    return found


def _code_in(name: str, module: ModuleType, known: set[int]) -> Iterator[tuple[str, object]]:
    """Whatever can be called in a module, and in the classes that it defines, but what is known."""
    for label, value in list(vars(module).items()):
        if type(value) in PLAIN:
            continue
        if isinstance(value, type) and value.__module__ == name:
            for part, method in list(vars(value).items()):
                if type(method) not in PLAIN and id(method) not in known:
                    yield f"{label}.{part}", method
        elif id(value) not in known:
            yield label, value


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
