"""The conftests of this process, which pytest may drop from `sys.modules`: several can have the same name."""

from __future__ import annotations

from types import ModuleType

LOADED = dict[str, ModuleType]()  # by file


def note_conftest(plugin: object) -> None:
    """Keep a plugin that is a conftest."""
    file = vars(plugin).get("__file__") if isinstance(plugin, ModuleType) else None
    if isinstance(file, str) and file.endswith("conftest.py") and isinstance(plugin, ModuleType):
        LOADED[file] = plugin
