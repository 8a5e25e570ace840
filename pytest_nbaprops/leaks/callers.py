"""Whose code is behind a call or a read, and which files tell nothing: the project's, an import's, a library's."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

CODE_SUFFIXES = {".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".pth"}
# Which packages are installed is looked up all over `sys.path`; that is asking for versions, not for data.
IMPORTERS = ("<frozen importlib", str(Path(os.__file__).parent / "importlib" / "metadata"))
# macOS and Linux tell libraries about processors and time zones through these.
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/localtime", "/usr/share/zoneinfo/")
# Functions of these may be groups too, and they stay libraries.
NEVER_PROJECT = {"numpy", "pandas", "sklearn", "xgboost", "scipy", "pyarrow", "polars", "builtins"}
OWN_PACKAGE = __name__.partition(".")[0]


def package_of(function: object) -> str | None:
    """The top-level package that defines a group, which is project code wherever it lies; None for a library's."""
    name = str(getattr(function, "__module__", None) or "").partition(".")[0]
    known = name in NEVER_PROJECT or name in sys.stdlib_module_names or name == OWN_PACKAGE
    return None if known or not name else name


def folders_of(function: object) -> tuple[str, ...]:
    """Where the package that defines a group lies (a single module: its file), as the beginning of paths."""
    module = sys.modules.get(package_of(function) or "")
    if module is None:
        return ()
    folders = [os.path.abspath(path) + os.sep for path in getattr(module, "__path__", ())]  # noqa: PTH100 - as below
    return tuple(folders or filter(None, [getattr(module, "__file__", None)]))


def first_caller(frame: FrameType | None, project: tuple[str, ...] = ()) -> str:
    """Whether project code, an import, or neither of them is behind this, from the inside out."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(IMPORTERS):
            return "import"
        if not is_library_file(name) or name.startswith(project or ("\0",)):
            return "project"
        frame = frame.f_back
    return "library"


@functools.lru_cache(maxsize=2048)
def is_library_file(name: str) -> bool:
    """Whether code from this file is Python's, an installed package's or this package's own."""
    if name.startswith("<frozen"):
        return True
    own = str(Path(__file__).parents[2]) + os.sep
    return name.startswith((*_library_folders(), own))


@functools.cache
def _library_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(name) for name in names} | set(zoneinfo.TZPATH)
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)


def is_harmless(path: Any, project: tuple[str, ...] = ()) -> bool:
    """Whether a path tells nothing about games: code, Python's own folders, files of libraries."""
    if not isinstance(path, str | bytes | os.PathLike):
        # A descriptor that is open already, or a mapping without a file.
        return True
    text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path is slower and does the same
    if Path(text).suffix in CODE_SUFFIXES or text in map(os.path.abspath, sys.path):
        return True
    return text.startswith((*SYSTEM, *_library_folders())) and not text.startswith(project or ("\0",))
