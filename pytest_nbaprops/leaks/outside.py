"""Another world outside, in which code is asked again: looking is not depending.

Where a read can be answered otherwise (a file opened by Python, the clock, the generators, an environment variable),
only a moved answer counts. Programs, the network, databases and what compiled code opens cannot be answered otherwise
here: there, asking counts. Who asks a server unheard finds none.
"""

from __future__ import annotations

import builtins
import datetime as dt
import functools
import io
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import time_machine

from pytest_nbaprops.leaks.otherwise import PLACES, VALUES, altered, said_otherwise, says_nothing
from pytest_nbaprops.leaks.reads import is_imported

if TYPE_CHECKING:
    from pytest_nbaprops.leaks.listener import Listener

# Readers and writers that are compiled but have a Python front.
FRONTS = {"pandas": ("read_parquet", "read_feather", "read_orc", "read_hdf")}
WRITERS = ("to_parquet", "to_feather", "to_orc", "to_hdf")
FAR_PAST = dt.datetime(1961, 4, 12, 6, 7, 8, 9, tzinfo=dt.UTC)
ANOTHER_DAY = dt.datetime(2001, 9, 9, 1, 46, 40, 123, tzinfo=dt.UTC)
DAY = 24 * 60 * 60


@contextmanager
def another_outside(
    listener: Listener, *, clock: dt.datetime | None = None, draws: bool = False, files: str | None = None
) -> Iterator[None]:
    """Ask in a world with another time, other draws of the global generators, or other content of undeclared files."""
    with ExitStack() as stack:
        if clock is not None:
            stack.enter_context(time_machine.travel(clock, tick=True))
        if draws:
            stack.enter_context(_other_draws())
        stack.callback(setattr, listener, "other", listener.other)
        listener.other = listener.other or files
        yield


def install(listener: Listener, *, other: str | None) -> None:
    """Listen from now on; in an `other` world files, clock and generators differ while modules are imported, too."""
    sys.addaudithook(listener)
    listener.other = other
    real = io.open
    builtins.open = io.open = _opener(real, listener)
    for variables in filter(None, (os.environ, getattr(os, "environb", None))):
        variables.__class__ = _environment(variables, listener)
    subprocess.Popen = _program(subprocess.Popen, listener)  # type: ignore[misc]
    asked = {"listdir": _lister, "scandir": _scanner, "stat": _measurer, "lstat": _measurer, "readlink": _follower}
    for name, front in asked.items():
        of_the_system = getattr(os, name)
        setattr(os, name, front(of_the_system, listener))
        for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if of_the_system in able:  # `shutil` asks
                able.add(getattr(os, name))
    for module, names in FRONTS.items():
        package = __import__(module)
        for name in names:
            setattr(package, name, _front(getattr(package, name), listener))
    for name in WRITERS:
        setattr(pd.DataFrame, name, _told_of(getattr(pd.DataFrame, name)))
    if other:
        _draw_otherwise_at_import()
        time_machine.travel(ANOTHER_DAY, tick=True).start()


def _opener(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """`open` with another content for what the project reads and nothing declares."""

    def open(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:  # noqa: A001 - it stands in for it
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
        if mode[:1] != "r" or "+" in mode:
            return real(file, mode, *rest, **named)
        if not (listener.reads(file, frame) and listener.other):
            with listener.in_front_of(file):
                return real(file, mode, *rest, **named)
        try:
            with listener.in_front_of(file), real(file, "rb") as handle:
                content = handle.read()
        except FileNotFoundError:
            content = b"0,1\n0,1\n"  # in another world it is there
        if content and b"\0" not in content and says_nothing(content):
            listener.reads(file, frame, tried=False)
        raw = io.BytesIO(altered(content, listener.other))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding=named.get("encoding") or "utf-8")

    return staticmethod(open)  # which is called like one, and becomes no method where a class keeps it


def _lister(real: Callable[..., list[Any]], listener: Listener) -> Callable[..., list[Any]]:
    """`os.listdir`, by which another world's folders hold nothing but what is declared."""

    def listdir(path: Any = ".") -> list[Any]:
        concerns = listener.lists(path, sys._getframe(1))  # noqa: SLF001 - as above
        with listener.in_front_of(path):
            names = real(path)
        if not (concerns and listener.other):
            return names
        return [name for name in names if listener.names_nothing(os.path.join(path, name))]  # noqa: PTH118 - bytes, too

    return listdir


def _scanner(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """The same for `os.scandir`, by which `glob` and `os.walk` look."""

    def scandir(path: Any = ".") -> Any:
        concerns = listener.lists(path, sys._getframe(1))  # noqa: SLF001 - as above
        with listener.in_front_of(path):
            entries = real(path)
        if not (concerns and listener.other):
            return entries
        with entries:
            return _Entries(entry for entry in entries if listener.names_nothing(entry.path))

    return scandir


def _measurer(real: Callable[..., os.stat_result], listener: Listener) -> Callable[..., os.stat_result]:
    """`os.stat`, by which another world's undeclared files and folders have other sizes, times and owners."""

    def measured(path: Any, *rest: Any, **named: Any) -> os.stat_result:
        found = real(path, *rest, **named)
        if named.get("dir_fd") is not None:
            return found
        concerns = listener.measures(path, sys._getframe(1))  # noqa: SLF001 - as above
        return _measured_otherwise(found) if concerns and listener.other else found

    return measured


def _follower(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """`os.readlink`, which cannot be answered otherwise: what a link leads to may be asked next."""

    def readlink(path: Any, *rest: Any, **named: Any) -> Any:
        listener.measures(path, sys._getframe(1), tried=False)  # noqa: SLF001 - as above
        return real(path, *rest, **named)

    return readlink


def _measured_otherwise(found: os.stat_result) -> os.stat_result:
    """A byte and a link more, others' permissions and owner, and all times a day earlier."""
    named = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    for name in ("st_atime", "st_mtime", "st_ctime"):
        named |= {name: named[name] - DAY, f"{name}_ns": named[f"{name}_ns"] - DAY * 10**9}
    place, times = (found.st_ino, found.st_dev), found[stat.ST_ATIME :]
    owners = (found.st_nlink + 1, found.st_uid + 1, found.st_gid + 1)
    other = (found.st_mode ^ stat.S_IWGRP ^ stat.S_IWOTH, *place, *owners, found.st_size + 1)
    return os.stat_result((*other, *(time - DAY for time in times)), named)


class _Entries(AbstractContextManager["_Entries"], Iterator["os.DirEntry[Any]"]):
    """What `os.scandir` gives, of a few entries."""

    def __init__(self, entries: Iterable[os.DirEntry[Any]]) -> None:
        self._entries = iter([*entries])

    def __next__(self) -> os.DirEntry[Any]:
        return next(self._entries)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _program(real: type[Any], listener: Listener) -> type[Any]:
    """Programs whose output, where it is asked for as a whole, says something else in another world."""

    class Popen(real):  # type: ignore[misc]
        def __init__(self, *rest: Any, **named: Any) -> None:
            self._read = listener.runs(sys._getframe(1))  # noqa: SLF001 - as above
            super().__init__(*rest, **named)

        def communicate(self, *rest: Any, **named: Any) -> Any:
            piped = self.stdout is not None or self.stderr is not None
            said = super().communicate(*rest, **named)
            if self._read is None or not piped:
                return said
            listener.tried(self._read)
            if not listener.other:
                return said
            self.returncode += int(self.returncode > 0)  # with which it failed says something, too
            return tuple(said_otherwise(text, listener.other) for text in said)

    return Popen


def _front(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """A compiled reader whose tables say something else in another world."""

    def read(path: Any, *rest: Any, **named: Any) -> Any:
        concerns = listener.reads(path, sys._getframe(1))  # noqa: SLF001 - as above
        with listener.in_front_of(path):
            table = real(path, *rest, **named)
        if not (concerns and listener.other):
            return table
        # Every column by another number of rows, so that no key keeps its value; of a single row other numbers.
        rolled = {name: np.roll(table[name].to_numpy(), -place) for place, name in enumerate(table.columns, 1)}
        more = {name: values + 1 for name, values in rolled.items() if values.dtype.kind in "iuf" and len(table) == 1}
        return table.assign(**{**rolled, **more})

    return read


def _told_of(real: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled writer that makes the audit event of what Python opens to write."""

    @functools.wraps(real)
    def write(frame: pd.DataFrame, *rest: Any, **named: Any) -> Any:
        path = rest[0] if rest else named.get("path", named.get("path_or_buf"))
        if isinstance(path, str | os.PathLike):
            sys.audit("open", path, "wb", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        return real(frame, *rest, **named)

    return write


def _environment(variables: Any, listener: Listener) -> type[Any]:
    """Environment variables with other numbers or words, where the project asks for one that it did not set itself.

    What names a file stays, and so do lists of folders; and all words where not any will do, as a level of logging.
    """
    real, given = type(variables), dict(variables)  # the class has no public name

    def __getitem__(self: Any, key: Any) -> Any:  # noqa: N807 - it becomes one
        name = os.fsdecode(key)
        asked = listener.asks_variable(name, sys._getframe(1))  # noqa: SLF001 - as above
        value = real.__getitem__(self, key)
        if not asked or given.get(key) != value or _names_files(os.fsdecode(value)):
            return value
        listener.hears_variable(name, sys._getframe(1))  # noqa: SLF001 - as above
        return value if listener.other in {None, VALUES, PLACES} else said_otherwise(value, listener.other)

    def __setitem__(self: Any, key: Any, value: Any) -> None:  # noqa: N807 - as above
        given.pop(key, None)
        real.__setitem__(self, key, value)

    return type("Environment", (real,), {"__getitem__": __getitem__, "__setitem__": __setitem__})


def _names_files(value: str) -> bool:
    exists, paths = os.path.exists, value.split(os.pathsep)  # a value is not always a path
    return exists(value) or (all(map(os.path.isabs, paths)) and any(map(exists, paths)))


@contextmanager
def _other_draws() -> Iterator[None]:
    """Python's and numpy's global generators draw other numbers, however they are seeded."""
    seeds: dict[Any, Callable[..., Any]] = {random: random.seed, np.random: np.random.seed}
    try:
        for module, seed in seeds.items():
            module.seed = _mixed(seed)
            module.seed(20011)
        yield
    finally:
        for module, seed in seeds.items():
            module.seed = seed


def _mixed(seed: Callable[..., Any]) -> Callable[..., Any]:
    def other(value: Any = None, *rest: Any, **named: Any) -> Any:
        return seed(value + 7 if isinstance(value, int) and value < 2**32 - 8 else value, *rest, **named)

    return other


def _draw_otherwise_at_import() -> None:
    """Numbers that a module draws while it is imported are data that nothing declares."""
    real = np.random.default_rng

    def default_rng(seed: Any = None) -> Any:
        mixed = isinstance(seed, int) and is_imported(sys._getframe(1))  # noqa: SLF001 - as above
        return real([7, seed] if mixed else seed)

    np.random.default_rng = default_rng
