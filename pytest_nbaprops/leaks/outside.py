"""What code learns besides its arguments, and another world outside in which it is asked again.

Looking is not depending: where a read can be answered otherwise (a file opened by Python, the clock, the generators),
the code is asked in a world that answers otherwise, and only a moved answer counts. Programs, the network, databases
and what compiled code opens cannot be answered otherwise here: there, asking counts.
"""

from __future__ import annotations

import builtins
import datetime as dt
import io
import os
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.leaks.callers import asks_itself, first_caller, is_harmless, project_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")
NETWORK = (
    "socket.connect", "socket.sendto", "socket.getaddrinfo", "urllib.Request", "http.client.connect",
    "ftplib.connect", "smtplib.connect",
)  # fmt: skip
OBJECTS = ("gc.get_objects", "gc.get_referrers")
ASKED = {**dict.fromkeys(PROGRAMS, "a program"), **dict.fromkeys(NETWORK, "the network")}
ASKED |= {**dict.fromkeys(OBJECTS, "all objects in memory"), "sqlite3.connect": "a database"}
# Readers that are compiled but have a Python front.
FRONTS = {"pandas": ("read_parquet", "read_feather", "read_orc", "read_hdf")}
FAR_PAST = dt.datetime(1961, 4, 12, 6, 7, 8, 9, tzinfo=dt.UTC)
ANOTHER_DAY = dt.datetime(2001, 9, 9, 1, 46, 40, 123, tzinfo=dt.UTC)
_DIGITS = bytes.maketrans(b"123456789", b"234567891")
_LETTERS = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"bcdefghijklmnopqrstuvwxyza")


@dataclass(frozen=True, kw_only=True)
class Read:
    """One thing that was asked for; `path` where it is a file, `tried` where another world answers it otherwise."""

    what: str
    path: str | None
    tried: bool
    where: str | None = None

    @property
    def is_of_the_kernel(self) -> bool:
        """Whether only the kernel told of it, which does not say who asked."""
        return not self.tried and self.where is None and self.path is not None

    def __str__(self) -> str:
        what = f"reads {self.path}" if self.path else f"asks {self.what}"
        return f"{what} ({self.where})" if self.where else what


class Listener:
    """The process's audit hook: it can never be removed, so there is one, and it listens from the start.

    Attributes:
        project: folders that are the project's, though they lie among the libraries.
        declared: files that may be read.
        heard: what the project asked for, in order.
        opened: every file that Python opened, whoever asked.
        other: whether files answer otherwise.
    """

    def __init__(self, *, project: tuple[str, ...] = (), declared: frozenset[str] = frozenset()) -> None:
        self.project, self.declared = project, declared
        self.heard: dict[Read, None] = {}
        self.opened: set[str] = set()
        self.other = False
        self._began = time.time()
        self._main = threading.get_ident()
        self._busy = threading.local()
        self._temporary = os.path.realpath(tempfile.gettempdir()) + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if (event != "open" and event not in ASKED) or getattr(self._busy, "looking", False):
            return
        self._busy.looking = True  # what looking at it opens must not be heard
        try:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
            if event == "open":
                self._opened(arguments, frame)
            elif asks_itself(frame, self.project) and not (event == "sqlite3.connect" and self._is_own(arguments[0])):
                path = _absolute(arguments[0]) if event == "sqlite3.connect" else None
                self._note(Read(what=ASKED[event], path=path, tried=False, where=project_line(frame, self.project)))
        finally:
            self._busy.looking = False

    def _opened(self, arguments: tuple[Any, ...], frame: FrameType) -> None:
        if not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        self.opened.add(_absolute(arguments[0]))
        mode, flags = str(arguments[1] or ""), int(arguments[2] or 0)
        if mode[:1] in ("w", "x", "a") or (not mode and flags & (os.O_WRONLY | os.O_TRUNC)):
            return
        if self.concerns(arguments[0], frame):
            self.note_file(arguments[0], frame)

    def concerns(self, path: Any, frame: FrameType | None) -> bool:
        """Whether the project asks for a file that may tell it something and that nothing declares."""
        if not isinstance(path, str | bytes | os.PathLike) or is_harmless(path, self.project) or self._is_own(path):
            return False
        caller = first_caller(frame, self.project)
        # A thread that the project has started has no frame of it.
        return caller == "project" or (caller == "library" and threading.get_ident() != self._main)

    def note_file(self, path: Any, frame: FrameType | None, *, tried: bool = True) -> None:
        where = None if frame is None else project_line(frame, self.project)
        self._note(Read(what="a file", path=_absolute(path), tried=tried, where=where))

    def _note(self, read: Read) -> None:
        self.heard.setdefault(read)

    def _is_own(self, path: Any) -> bool:
        """Declared, in memory, or written since this process began."""
        text = os.fsdecode(path)
        if text in ("", ":memory:") or text.startswith("file::memory:") or _absolute(text) in self.declared:
            return True
        try:
            return os.stat(text).st_mtime >= self._began - 1  # noqa: PTH116 - paths of any kind
        except OSError:
            return os.path.realpath(text).startswith(self._temporary)

    def take(self) -> list[Read]:
        """What was heard since the last time."""
        heard = list(self.heard)
        self.heard.clear()
        return heard


@contextmanager
def another_outside(
    listener: Listener, *, clock: dt.datetime | None = None, draws: bool = False, files: bool = False
) -> Iterator[None]:
    """Ask in a world with another time, other draws of the global generators, or other content of undeclared files."""
    with ExitStack() as stack:
        if clock is not None:
            import time_machine  # noqa: PLC0415 - in a process of its own only

            stack.enter_context(time_machine.travel(clock, tick=True))
        if draws:
            stack.enter_context(_other_draws())
        before, listener.other = listener.other, listener.other or files
        stack.callback(setattr, listener, "other", before)
        yield


def install(listener: Listener, *, other: bool) -> None:
    """Listen from now on; `other`: files and generators answer otherwise while modules are imported, too."""
    sys.addaudithook(listener)
    listener.other = other
    real = io.open
    builtins.open = io.open = _Opener(real, listener)
    for module, names in FRONTS.items():
        package = __import__(module)
        for name in names:
            setattr(package, name, _front(getattr(package, name), listener))
    if other:
        _draw_otherwise_at_import()


class _Opener:
    """`open` with another content for what the listener is concerned about."""

    def __init__(self, real: Callable[..., Any], listener: Listener) -> None:
        self._real, self._listener = real, listener
        self.__name__, self.__doc__ = "open", real.__doc__

    def __call__(self, file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
        reads = mode[:1] == "r" and "+" not in mode
        if not (self._listener.other and reads and self._listener.concerns(file, frame)):
            return self._real(file, mode, *rest, **named)
        self._listener.note_file(file, frame)
        raw = io.BytesIO(_altered(self._content(file)))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding=named.get("encoding") or "utf-8")

    def _content(self, file: Any) -> bytes:
        try:
            with self._real(file, "rb") as handle:
                content: bytes = handle.read()
        except FileNotFoundError:
            return b"0,1\n0,1\n"  # in another world it is there
        return content


def _altered(content: bytes) -> bytes:
    """Other numbers (other letters, where there are none) and a line less; of binary files the last bytes."""
    if b"\0" in content:
        tail = max(8, len(content) // 8)
        return content[:-tail] + bytes(byte ^ 1 for byte in content[-tail:])
    last = content.rstrip().rfind(b"\n")
    shorter = content[: last + 1] if last > 0 else content
    changed = shorter.translate(_DIGITS)
    return changed if changed != shorter else shorter.translate(_LETTERS)


def _front(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """A compiled reader whose tables say something else in another world."""

    def read(path: Any, *rest: Any, **named: Any) -> Any:
        frame = sys._getframe(1)  # noqa: SLF001 - as above
        table = real(path, *rest, **named)
        if not isinstance(path, str | bytes | os.PathLike):
            return table
        listener.opened.add(_absolute(path))
        if not listener.concerns(path, frame):
            return table
        listener.note_file(path, frame)
        if not listener.other:
            return table
        # Every column by another number of rows, so that no key keeps its value.
        rolled = {name: table[name].to_numpy() for name in table.columns}
        steps = {name: place + 1 for place, name in enumerate(rolled)}
        return table.assign(**{n: [*v[steps[n] :], *v[: steps[n]]] for n, v in rolled.items()})

    return read


@contextmanager
def _other_draws() -> Iterator[None]:
    """Python's and numpy's global generators draw other numbers, however they are seeded."""
    import numpy as np  # noqa: PLC0415 - in a process of its own only

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
    import numpy as np  # noqa: PLC0415 - in a process of its own only

    real = np.random.default_rng

    def default_rng(seed: Any = None) -> Any:
        mixed = isinstance(seed, int) and _at_import(sys._getframe(1))  # noqa: SLF001 - as above
        return real([7, seed] if mixed else seed)

    np.random.default_rng = default_rng


def _at_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return first_caller(frame) == "project"
        frame = frame.f_back
    return False


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path is slower and does the same
