"""Whether code of the project's runs around the fits and predictions of libraries: in hooks, fixtures or patches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

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
    """Functions of the project's that stand in modules and classes of these libraries.

    By the names under which they stand there, the files that they come from.
    """
    found, harmless = {}, dict[str, bool]()  # most functions share their file with others
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in libraries or not isinstance(module, ModuleType):
            continue
        for place, function in _functions_of(name, module):
            file = function.__code__.co_filename
            if file not in harmless:
                harmless[file] = file[:1] == "<" or is_library_file(file)
            if not harmless[file]:
                found[f"{name}.{place}"] = file
    return found


def _functions_of(name: str, module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Functions in a module, and in the classes that it defines."""
    for label, value in list(vars(module).items()):
        if type(value) is FunctionType:
            yield label, value
        elif isinstance(value, type) and value.__module__ == name:
            for part, method in list(vars(value).items()):
                if type(method) is FunctionType:
                    yield f"{label}.{part}", method


def _file_of(plugin: object) -> str:
    """Where a plugin is defined; what has no file is Python's own."""
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _names_of(plugin: object) -> Iterator[tuple[str, object]]:
    spaces = [plugin] if isinstance(plugin, ModuleType) else [plugin, *type(plugin).__mro__]
    for space in spaces:
        yield from list(getattr(space, "__dict__", {}).items())
