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
OWN_FOLDER = str(Path(__file__).parents[1]) + os.sep


def folders_of(function: object) -> tuple[str, ...]:
    """Where the package that defines a group lies (a single module: its file), as the beginning of paths."""
    package = str(getattr(function, "__module__", None) or "").partition(".")[0]
    if package in NEVER_PROJECT or package in sys.stdlib_module_names or package == OWN_PACKAGE:
        return ()
    module = sys.modules.get(package)
    folders = [os.path.abspath(path) + os.sep for path in getattr(module, "__path__", ())]  # noqa: PTH100 - as below
    return tuple(folders or filter(None, [getattr(module, "__file__", None)]))


def first_caller(frame: FrameType | None, project: tuple[str, ...] = ()) -> str:
    """Whether project code, an import, or neither of them is behind this, from the inside out."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(IMPORTERS):
            return "import"
        if _is_project_file(name, project):
            return "project"
        frame = frame.f_back
    return "library"


def asks_itself(frame: FrameType | None, project: tuple[str, ...] = ()) -> bool:
    """Whether the project asks by the standard library alone, or nobody does, as in a thread of its own.

    What a library does on its own behalf (count the processors, say) is its business.
    """
    while frame is not None:
        name = frame.f_code.co_filename
        if _is_project_file(name, project):
            return True
        if not _is_standard(name):
            return False
        frame = frame.f_back
    return True


def project_line(frame: FrameType | None, project: tuple[str, ...] = ()) -> str | None:
    """`test_own.py:9`: the innermost line of project code."""
    while frame is not None:
        if _is_project_file(frame.f_code.co_filename, project):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _is_project_file(name: str, project: tuple[str, ...]) -> bool:
    return not is_library_file(name) or name.startswith(project or ("\0",))


@functools.lru_cache(maxsize=2048)
def is_library_file(name: str) -> bool:
    """Whether code from this file is Python's, an installed package's or this package's own."""
    return name.startswith(("<frozen", *_library_folders(), OWN_FOLDER))


@functools.lru_cache(maxsize=2048)
def _is_standard(name: str) -> bool:
    inside = name.startswith(("<frozen", *_folders("stdlib", "platstdlib")))
    return inside and not name.startswith(_folders("purelib", "platlib"))


@functools.cache
def _library_folders() -> tuple[str, ...]:
    return (*_folders("stdlib", "platstdlib", "purelib", "platlib"), *(f"{path}{os.sep}" for path in zoneinfo.TZPATH))


@functools.cache
def _folders(*names: str) -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in names}
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)


def is_harmless(path: Any, project: tuple[str, ...] = ()) -> bool:
    """Whether a path tells nothing about games: code, Python's own folders, files of libraries."""
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # a descriptor that is open already
    text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path is slower and does the same
    if Path(text).suffix in CODE_SUFFIXES or text in map(os.path.abspath, sys.path):
        return True
    return text.startswith((*SYSTEM, *_library_folders())) and not text.startswith(project or ("\0",))
