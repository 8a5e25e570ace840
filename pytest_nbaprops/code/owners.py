"""Whose a piece of code is: the project's, a library's and of which version, or this package's own."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pytest_nbaprops.code.installed import INSTALLED, own_packages

OWN_PACKAGE = __name__.partition(".")[0]
# In the keys of fits and folds (walkforward/candidate.py), or nothing that computes.
KNOWN_ELSEWHERE = frozenset(
    {OWN_PACKAGE, "numpy", "pandas", "pyarrow", "sklearn", "xgboost", "pytest", "_pytest", "builtins"}
)


def is_project(obj: Any) -> bool:
    """Whether a function, class or module is the project's or this package's, not the library's."""
    if is_own(obj):
        return True
    name = _module_name(obj)
    holder = obj if isinstance(obj, ModuleType) else sys.modules.get(name)
    file = obj.__code__.co_filename if isinstance(obj, FunctionType) else getattr(holder, "__file__", None)
    return name.partition(".")[0] not in sys.stdlib_module_names and file is not None and _outside_libraries(file)


def is_own(obj: Any) -> bool:
    """Whether a function, class or module is this package's."""
    return _module_name(obj).partition(".")[0] == OWN_PACKAGE


def _module_name(obj: Any) -> str:
    return str(obj.__name__ if isinstance(obj, ModuleType) else obj.__module__)


@functools.lru_cache(maxsize=512)
def _outside_libraries(file: str) -> bool:
    if file.startswith(own_packages()):
        return True
    path = Path(file)
    libraries = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    return not any(part in path.parts for part in INSTALLED) and not any(map(path.is_relative_to, libraries))


def maker(obj: Any) -> tuple[str, ...]:
    """The module that made an object and its name there: what wraps another function goes by the name of that one."""
    if isinstance(obj, FunctionType):
        return str(obj.__globals__.get("__name__")), obj.__code__.co_qualname
    return (_module_name(obj),) if isinstance(obj, ModuleType) else (_module_name(obj), obj.__qualname__)


def library_version(module: str) -> str | None:
    """The version of the package that a module is of; None where it moves no result or is known anyway."""
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names or package in KNOWN_ELSEWHERE:
        return None
    return _package_version(package)


@functools.cache
def _package_version(package: str) -> str | None:
    """The installed version, else a digest of the package's own file."""
    with contextlib.suppress(metadata.PackageNotFoundError):  # most are called as their package is
        return metadata.version(package)
    for one in metadata.distributions():  # by their texts: to look for each of their files would take longest of all
        tops, files = (one.read_text("top_level.txt") or "").split(), f"\n{one.read_text('RECORD') or ''}"
        if package in tops or (not tops and any(f"\n{package}{mark}" in files for mark in "/.")):
            return one.version
    file = getattr(sys.modules.get(package), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None
