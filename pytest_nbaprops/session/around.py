"""Whether code of the project's runs around the fits and predictions of libraries: in hooks, fixtures or patches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

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
PATCHABLE = ("xgboost", "sklearn", "lightgbm", "catboost", "numpy", "pandas", "scipy", "joblib", "pytest_nbaprops")


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


def libraries_are_patched() -> bool:
    """Whether a function of the project's stands in a module or class of the libraries that compute, or of this one."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in PATCHABLE and isinstance(module, ModuleType)
    ]
    values = [value for module in modules for value in list(vars(module).values())]
    classes = {value for value in values if isinstance(value, type) and value.__module__.startswith(PATCHABLE)}
    methods = (value for kind in classes for value in list(vars(kind).values()))
    return any(
        isinstance(value, FunctionType) and not is_library_file(file := value.__code__.co_filename) and file[:1] != "<"
        for value in (*values, *methods)
    )


def _file_of(plugin: object) -> str:
    """Where a plugin is defined; what has no file is Python's own."""
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _names_of(plugin: object) -> Iterator[tuple[str, object]]:
    spaces = [plugin] if isinstance(plugin, ModuleType) else [plugin, *type(plugin).__mro__]
    for space in spaces:
        yield from list(getattr(space, "__dict__", {}).items())
