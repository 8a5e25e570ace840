"""What a feature group reads besides its arguments: files, sockets, processes, the clock, the global random state."""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import sys
import sysconfig
import threading
import time
import zoneinfo
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EVENTS = (
    "open", "os.listdir", "os.scandir", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.startfile", "subprocess.Popen", "pty.spawn", "sqlite3.connect", "urllib.Request", "mmap.__new__",
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostname",
    "socket.sendto",
    "http.client.connect", "ftplib.connect", "smtplib.connect", "shelve.open", "dbm.open", "glob.glob",
    "gc.get_objects", "gc.get_referrers",
)  # fmt: skip
CODE_SUFFIXES = {".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".pth"}
IMPORTLIB = "<frozen importlib"
CLOCKS: dict[int, str] = {
    id(function): f"time.{function.__name__}"
    for function in (
        time.time,
        time.time_ns,
        time.localtime,
        time.gmtime,
        time.ctime,
        time.strftime,
        time.clock_gettime,
    )
}
CLOCK_METHODS = {"now", "today", "utcnow"}
PANDAS_CLOCKS = ("now", "today", "utcnow")


class Listener:
    """The process's one audit hook; it can never be removed, so it does nothing while nobody watches."""

    def __init__(self) -> None:
        self.found: list[str] | None = None
        self.thread = 0
        self.libraries = True
        self.written: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.found is None or event not in EVENTS:
            return
        found, self.found = self.found, None  # what looking at it opens must not be heard
        try:
            own = self.libraries and threading.get_ident() == self.thread
            if _counts(event, arguments, sys._getframe(1), own=own) and not self._writes(event, arguments):  # noqa: SLF001
                found.append(_described(event, arguments))
        finally:
            self.found = found

    def _writes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Whether a file is only written, or was written by the block itself: neither tells it anything."""
        if event != "open" or not _is_path(arguments):
            return False
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - as below
        mode, flags = str(arguments[1] or ""), int(arguments[2] or 0)
        if mode[:1] in ("w", "x") or (not mode and flags & os.O_TRUNC):
            self.written.add(path)
        return path in self.written or (mode[:1] == "a" and "+" not in mode)


@functools.cache
def _listener() -> Listener:
    listener = Listener()
    sys.addaudithook(listener)
    return listener


@contextmanager
def watched(found: list[str], *, clock: bool = False, libraries: bool = True) -> Iterator[None]:
    """Append to `found` what the block reads besides memory; imports and the files of libraries do not count.

    With `clock`, calls are profiled to see who asks for the time; that makes calls of Python functions slower.
    Without `libraries` only what project code asks for counts, not what libraries do on their own.
    """
    listener = _listener()
    before = (random.getstate(), np.random.get_state())  # noqa: NPY002 - the global state is what is watched
    profile, stamps = sys.getprofile(), {name: vars(pd.Timestamp).get(name) for name in PANDAS_CLOCKS}
    listener.found, listener.thread = found, threading.get_ident()
    listener.libraries, listener.written = libraries, set()
    try:
        if clock:
            _listen_to_timestamps(found)
            sys.setprofile(functools.partial(_heard, found))
        yield
    finally:
        if clock:
            sys.setprofile(profile)
            _restore_timestamps(stamps)
        listener.found = None
        found.extend(_random_use(before))


def _random_use(before: tuple[Any, Any]) -> Iterator[str]:
    python, numpy = before
    if random.getstate() != python:
        random.setstate(python)
        yield "the global random state (random)"
    after: Any = np.random.get_state()  # noqa: NPY002 - as above
    if not all(np.array_equal(one, other) for one, other in zip(numpy, after, strict=True)):
        np.random.set_state(numpy)  # noqa: NPY002 - as above
        yield "the global random state (numpy.random)"


def _heard(found: list[str], frame: FrameType, event: str, function: Any) -> None:
    # Libraries time themselves and stamp log records; only who asks for the time himself is meant.
    if event != "c_call" or _is_library_file(frame.f_code.co_filename):
        return
    if id(function) in CLOCKS:
        found.append(f"the clock ({CLOCKS[id(function)]})")
        return
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, dt.date) and function.__name__ in CLOCK_METHODS:
        found.append(f"the clock ({owner.__name__}.{function.__name__})")


def _listen_to_timestamps(found: list[str]) -> None:
    # Compiled code is not profiled, and this class can be changed.
    for name in PANDAS_CLOCKS:
        original = getattr(pd.Timestamp, name)

        def tell(*arguments: Any, _name: str = name, _original: Any = original, **named: Any) -> Any:
            if _first_caller(sys._getframe(1)) == "project":  # noqa: SLF001 - the only way to see who asks
                found.append(f"the clock (pandas.Timestamp.{_name})")
            return _original(*arguments, **named)

        setattr(pd.Timestamp, name, staticmethod(tell))


def _restore_timestamps(stamps: dict[str, Any]) -> None:
    for name, original in stamps.items():
        if original is None:
            delattr(pd.Timestamp, name)
        else:
            setattr(pd.Timestamp, name, original)


def _counts(event: str, arguments: tuple[Any, ...], frame: FrameType | None, *, own: bool) -> bool:
    if event in ("open", "os.listdir", "os.scandir", "mmap.__new__") and _is_harmless(arguments):
        return False
    caller = _first_caller(frame)
    if caller == "project":
        return True
    # Other threads of the session have business of their own; imports by a library read what libraries read.
    return own and caller == "library"


def _first_caller(frame: FrameType | None) -> str:
    """Whether project code, an import, or neither of them is behind this, from the inside out."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(IMPORTLIB):
            return "import"
        if not _is_library_file(name):
            return "project"
        frame = frame.f_back
    return "library"


@functools.lru_cache(maxsize=2048)
def _is_library_file(name: str) -> bool:
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


def _is_harmless(arguments: tuple[Any, ...]) -> bool:
    path = arguments[0] if arguments else None
    if not isinstance(path, str | bytes | os.PathLike):
        # A descriptor that is open already, or a mapping without a file.
        return True
    text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path is slower and does the same
    # macOS and Linux tell libraries about processors and time zones through these.
    system = ("/proc/", "/sys/", "/dev/", "/etc/localtime", "/usr/share/zoneinfo/")
    return Path(text).suffix in CODE_SUFFIXES or text.startswith((*system, *_library_folders()))


def _described(event: str, arguments: tuple[Any, ...]) -> str:
    return f"{event} {os.fsdecode(arguments[0])!r}" if _is_path(arguments) else f"{event} {_short(arguments)}"


def _is_path(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments) and isinstance(arguments[0], str | bytes | os.PathLike)


def _short(arguments: tuple[Any, ...]) -> str:
    return ", ".join(repr(one)[:80] for one in arguments if isinstance(one, str | int | tuple | list))
