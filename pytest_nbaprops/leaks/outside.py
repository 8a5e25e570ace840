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
import re
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import time_machine

from pytest_nbaprops.leaks.reads import is_imported

if TYPE_CHECKING:
    from pytest_nbaprops.leaks.listener import Listener

# Readers and writers that are compiled but have a Python front.
FRONTS = {"pandas": ("read_parquet", "read_feather", "read_orc", "read_hdf")}
WRITERS = ("to_parquet", "to_feather", "to_orc", "to_hdf")
FAR_PAST = dt.datetime(1961, 4, 12, 6, 7, 8, 9, tzinfo=dt.UTC)
ANOTHER_DAY = dt.datetime(2001, 9, 9, 1, 46, 40, 123, tzinfo=dt.UTC)
_DIGIT = re.compile(r"\d")
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = dict(zip(_LOWER + _UPPER, _LOWER[1:] + "a" + _UPPER[1:] + "A", strict=True))
_BITS = bytes(byte ^ 1 for byte in range(256))
# Words and marks, and before them what has letters but is no word: escapes, and numbers with an exponent.
_NO_WORDS = r"\\u[0-9A-Fa-f]{4}|\\.|[0-9.]+[eE][+-]?[0-9]+"
_MARKS = r"[^\x00-\x7f\w\s\ud800-\udfff]"
_MARK = re.compile(_MARKS)
_LETTER = r"[^\W\d_]"
_WORD = re.compile(f"{_NO_WORDS}|{_LETTER}+|{_MARKS}")
_NAMES = r"^[ \t]*\[+[\w .-]+\]+[ \t]*$"  # of sections
_VALUE = re.compile(f"{_NO_WORDS}|{_NAMES}|{_LETTER}+(?!(?:{_LETTER}|_)*[\"']?\\s*[:=])|{_MARKS}", re.MULTILINE)
_LAST_VALUE = re.compile(r"(.*[,;\t|:=][ \t]*)([^,;\t|:=\s][^,;\t|:=]*?)([ \t]*,?\s*)")
_OPPOSITES = {"true": "false", "yes": "no", "on": "off"}
_FLAG = re.compile(r"\b(?:true|false|yes|no|on|off)\b", re.IGNORECASE)
# What a parser knows stays something that it knows.
_LITERALS = {
    **dict.fromkeys(("null", "none", "nan", "na", "inf", "infinity")),
    **_OPPOSITES,
    **{two: one for one, two in _OPPOSITES.items()},
}
DAY = 24 * 60 * 60
HEAD = 128  # bytes of a numpy file that say what is in it
# Worlds in which files say something else: each is for those who cannot do with the one before. Of words those stay
# that values are found by (keys, names of columns); then all stay, and values change their places.
NUMBERS, WORDS, VALUES, PLACES = "numbers", "words", "values", "places"
OF_WORDS = (WORDS, VALUES, PLACES)


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
        if content and b"\0" not in content and _says_nothing(content):
            listener.reads(file, frame, tried=False)
        raw = io.BytesIO(_altered(content, listener.other))
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
            return tuple(_said_otherwise(text, listener.other) for text in said)

    return Popen


def _said_otherwise(text: Any, world: str) -> Any:
    """Other numbers, other words, these among the values alone, or each value in another's place, as text or bytes."""
    if isinstance(text, bytes):
        return _said_otherwise(text.decode(errors="surrogateescape"), world).encode(errors="surrogateescape")
    if not text:
        return text
    if world == NUMBERS:
        return _DIGIT.sub(_other_digit, text)
    if world == PLACES:
        return _in_other_places(text)
    first = len(_header(text)) if world == VALUES else 0
    return text[:first] + (_VALUE if world == VALUES else _WORD).sub(_other_word, text[first:])


def _header(text: str) -> str:
    """The first line, where it is split as the second one is."""
    first, _, rest = text.partition("\n")
    second = rest.partition("\n")[0]
    return first if any(0 < first.count(mark) == second.count(mark) for mark in ",;\t|") else ""


def _says_nothing(text: bytes) -> bool:
    """Whether another world has nothing else to say instead of it, as there are spaces alone."""
    return bytes(_said_otherwise(text, WORDS)) == text and not any(map(str.isalnum, text.decode(errors="replace")))


def _other_digit(found: re.Match[str]) -> str:
    """1 to 9 are the next one, in whatever script; 0 stays."""
    value = unicodedata.decimal(found[0])
    return found[0] if value == 0 else chr(ord(found[0]) + (1 if value < 9 else -8))  # noqa: PLR2004 - the last digit


def _other_word(found: re.Match[str]) -> str:
    """Another word of the same length and case, the opposite of what a parser knows, or what is no word as it is."""
    word = found[0]
    if not (word.isalpha() or _MARK.fullmatch(word)):
        return word
    if word.lower() not in _LITERALS:
        return "".join(_LETTERS.get(one) or chr(ord(one) + 1) for one in word)
    other = _LITERALS[word.lower()] or word
    return other.upper() if word.isupper() else other.title() if word.istitle() else other


def _in_other_places(text: str) -> str:
    """What stands behind the last separator of each line is that of the next such line; flags are their opposites."""
    lines = text.split("\n")
    parts = {place: found for place, line in enumerate(lines) if (found := _LAST_VALUE.fullmatch(line))}
    if _header(text):
        parts.pop(0, None)
    values = [found[2] for found in parts.values()]
    for (place, found), value in zip(parts.items(), [*values[1:], *values[:1]], strict=True):
        lines[place] = f"{found[1]}{value}{found[3]}"
    return _FLAG.sub(_other_word, "\n".join(lines))


def _altered(content: bytes, world: str) -> bytes:
    """Other numbers or words, and a line less where some are; of binary files other bits after the head."""
    if b"\0" in content:
        head = HEAD if len(content) > HEAD else len(content) // 2
        return content[:head] + content[head:].translate(_BITS)
    last = content.rstrip().rfind(b"\n")
    line = content[last:].decode(errors="replace").strip()
    is_one_of_many = last > 0 and line[:1] != "<" and any(map(str.isalnum, line))  # and no bracket that ends it all
    shorter = content[: last + 1] if is_one_of_many and world != PLACES else content
    altered: bytes = _said_otherwise(shorter, world)
    return content if altered == shorter else altered


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
        return value if listener.other in {None, VALUES, PLACES} else _said_otherwise(value, listener.other)

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
