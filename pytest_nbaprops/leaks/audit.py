"""What a feature group reads besides its arguments: files, sockets, processes, the clock, the global random state."""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.leaks.callers import first_caller, is_harmless, is_library_file
from pytest_nbaprops.leaks.readers import may_read, silent_reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Note = Callable[[str, FrameType | None], None]

EVENTS = (
    "open", "os.listdir", "os.scandir", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.startfile", "subprocess.Popen", "pty.spawn", "sqlite3.connect", "urllib.Request", "mmap.__new__",
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostname",
    "socket.sendto",
    "http.client.connect", "ftplib.connect", "smtplib.connect", "shelve.open", "dbm.open", "glob.glob",
    "gc.get_objects", "gc.get_referrers",
)  # fmt: skip
ABOUT_FILES = ("open", "os.listdir", "os.scandir", "mmap.__new__")
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
        self.note: Note | None = None
        self.thread = 0
        self.libraries = True
        self.project: tuple[str, ...] = ()
        self.own_files = True
        self.written: set[str] = set()
        self.threads: list[threading.Thread] = []
        self._busy = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        note = self.note
        if note is None or event not in EVENTS or getattr(self._busy, "looking", False):
            return
        self._busy.looking = True  # what looking at it opens must not be heard
        try:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
            if not self._tells_nothing(event, arguments) and self.counts(frame):
                note(_described(event, arguments), frame)
        finally:
            self._busy.looking = False

    def hear_call(self, frame: FrameType) -> None:
        """Note the files that a silent reader is called with."""
        note = self.note
        for path in silent_reads(frame):
            known = os.path.abspath(path) in self.written or is_harmless(path, self.project)  # noqa: PTH100 - as below
            if note is not None and not known and self.counts(frame):
                note(f"open {path!r}", frame)

    def is_own_thread(self) -> bool:
        """Whether the block runs here: in its own thread, or in one that was started inside of it."""
        here = threading.get_ident()
        return here == self.thread or any(one.ident == here for one in self.threads)

    def counts(self, frame: FrameType | None) -> bool:
        """Whether the block is behind this; imports by a library read what libraries read."""
        caller = first_caller(frame, self.project)
        # Other threads of the session have business of their own.
        return caller == "project" or (self.libraries and caller == "library" and self.is_own_thread())

    def _tells_nothing(self, event: str, arguments: tuple[Any, ...]) -> bool:
        path = arguments[0] if arguments else None
        return (event in ABOUT_FILES and is_harmless(path, self.project)) or self._writes(event, arguments)

    def _writes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Whether a file is only written, or was written by the block itself: neither tells it anything."""
        if event != "open" or not _is_path(arguments):
            return False
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - as below
        mode, flags = str(arguments[1] or ""), int(arguments[2] or 0)
        if mode[:1] in ("w", "x") or (not mode and flags & os.O_TRUNC):
            self.written |= {path} if self.own_files else set()
            return True
        return path in self.written or (mode[:1] == "a" and "+" not in mode)


@functools.cache
def _listener() -> Listener:
    listener = Listener()
    sys.addaudithook(listener)
    return listener


@contextmanager
def watched(
    found: list[str], *, clock: bool = False, libraries: bool = True, project: tuple[str, ...] = ()
) -> Iterator[None]:
    """Append to `found` what the block reads besides memory; imports and the files of libraries do not count.

    With `clock`, calls are profiled to see who asks for the time and who hands paths to compiled readers; that makes
    calls of Python functions slower. Without `libraries` only what project code asks for counts, not what libraries
    do on their own. What lies in the folders `project` is no library, wherever they are.
    """
    before = (random.getstate(), np.random.get_state())  # noqa: NPY002 - the global state is what is watched
    try:
        with noted(
            lambda text, _: found.append(text), clock=clock, libraries=libraries, own_files=True, project=project
        ):
            yield
    finally:
        found.extend(_random_use(before))


@contextmanager
def noted(
    note: Note, *, clock: bool = True, libraries: bool = True, own_files: bool = False, project: tuple[str, ...] = ()
) -> Iterator[None]:
    """Call `note` with a text and the frame behind it for each read of the block, as `watched` does.

    With `own_files` what the block wrote itself tells it nothing.
    """
    listener = _listener()
    listener.thread, listener.threads = threading.get_ident(), []
    listener.libraries, listener.project = libraries, project
    listener.own_files, listener.written, listener.note = own_files, set(), note
    try:
        with _threads_noted(listener), _profiled(note, listener) if clock else nullcontext():
            yield
    finally:
        listener.note = None


@contextmanager
def _threads_noted(listener: Listener) -> Iterator[None]:
    """Know the threads that the block starts; no event tells before Python 3.12."""
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if listener.is_own_thread():
            listener.threads.append(thread)
        original(thread)

    try:
        threading.Thread.start = start  # type: ignore[assignment, method-assign]
        yield
    finally:
        threading.Thread.start = original  # type: ignore[method-assign]


@contextmanager
def _profiled(note: Note, listener: Listener) -> Iterator[None]:
    profiles, stamps = (sys.getprofile(), threading.getprofile()), {n: vars(pd.Timestamp).get(n) for n in PANDAS_CLOCKS}
    heard = functools.partial(_heard, note, listener)
    try:
        _listen_to_timestamps(note)
        threading.setprofile(heard)
        sys.setprofile(heard)
        yield
    finally:
        sys.setprofile(profiles[0])
        threading.setprofile(profiles[1])
        _restore_timestamps(stamps)


def _random_use(before: tuple[Any, Any]) -> Iterator[str]:
    python, numpy = before
    if random.getstate() != python:
        random.setstate(python)
        yield "the global random state (random)"
    after: Any = np.random.get_state()  # noqa: NPY002 - as above
    if not all(np.array_equal(one, other) for one, other in zip(numpy, after, strict=True)):
        np.random.set_state(numpy)  # noqa: NPY002 - as above
        yield "the global random state (numpy.random)"


def _heard(note: Note, listener: Listener, frame: FrameType, event: str, function: Any) -> None:
    # Called for every call there is, so what it mostly does is nothing.
    if event == "call":
        if may_read(frame.f_code.co_name):
            listener.hear_call(frame)
    elif event == "c_call" and (name := _clock(function)) and not is_library_file(frame.f_code.co_filename):
        # Libraries time themselves and stamp log records; only who asks for the time himself is meant.
        note(f"the clock ({name})", frame)


def _clock(function: Any) -> str | None:
    if id(function) in CLOCKS:
        return CLOCKS[id(function)]
    if function.__name__ not in CLOCK_METHODS:
        return None
    owner = getattr(function, "__self__", None)
    return f"{owner.__name__}.{function.__name__}" if isinstance(owner, type) and issubclass(owner, dt.date) else None


def _listen_to_timestamps(note: Note) -> None:
    # Compiled code is not profiled, and this class can be changed.
    for name in PANDAS_CLOCKS:
        original = getattr(pd.Timestamp, name)

        def tell(*arguments: Any, _name: str = name, _original: Any = original, **named: Any) -> Any:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
            if first_caller(frame, _listener().project) == "project":
                note(f"the clock (pandas.Timestamp.{_name})", frame)
            return _original(*arguments, **named)

        setattr(pd.Timestamp, name, staticmethod(tell))


def _restore_timestamps(stamps: dict[str, Any]) -> None:
    for name, original in stamps.items():
        if original is None:
            delattr(pd.Timestamp, name)
        else:
            setattr(pd.Timestamp, name, original)


def _described(event: str, arguments: tuple[Any, ...]) -> str:
    return f"{event} {os.fsdecode(arguments[0])!r}" if _is_path(arguments) else f"{event} {_short(arguments)}"


def _is_path(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments) and isinstance(arguments[0], str | bytes | os.PathLike)


def _short(arguments: tuple[Any, ...]) -> str:
    return ", ".join(repr(one)[:80] for one in arguments if isinstance(one, str | int | tuple | list))
