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


def patches() -> dict[str, str]:
    """Functions of the project's that stand in modules and classes of the libraries that compute, or of this one.

    By the names under which they stand there, the files that they come from.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in PATCHABLE or not isinstance(module, ModuleType):
            continue
        for label, value in list(vars(module).items()):
            own = isinstance(value, type) and value.__module__ == name
            inside = [(f"{label}.{part}", method) for part, method in list(vars(value).items())] if own else []
            for place, one in ((label, value), *inside):
                file = one.__code__.co_filename if isinstance(one, FunctionType) else "<"
                if file[:1] != "<" and not is_library_file(file):
                    found[f"{name}.{place}"] = file
    return found


def _file_of(plugin: object) -> str:
    """Where a plugin is defined; what has no file is Python's own."""
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _names_of(plugin: object) -> Iterator[tuple[str, object]]:
    spaces = [plugin] if isinstance(plugin, ModuleType) else [plugin, *type(plugin).__mro__]
    for space in spaces:
        yield from list(getattr(space, "__dict__", {}).items())
