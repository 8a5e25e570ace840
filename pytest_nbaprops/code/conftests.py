"""The conftests of this process, which pytest may drop from `sys.modules`: several can have the same name."""

from __future__ import annotations

from types import ModuleType

LOADED = dict[str, ModuleType]()  # by file


def note_conftest(plugin: object) -> None:
    """Keep a plugin that is a conftest."""
    if isinstance(plugin, ModuleType) and str(file := vars(plugin).get("__file__")).endswith("conftest.py"):
        LOADED[str(file)] = plugin
