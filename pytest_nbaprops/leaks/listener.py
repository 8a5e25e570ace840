"""Hears what the project asks for besides the games: Python's audit events, and on Linux what compiled code opens."""

from __future__ import annotations

import contextlib
import io
import math
import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from time_machine import escape_hatch

from pytest_nbaprops.code.installed import own_packages
from pytest_nbaprops.leaks.reads import (
    CODE_AND_SETTINGS,
    LISTS,
    LOOKS_AT,
    VARIABLE,
    Read,
    absolute,
    caller_of,
    is_harmless,
    is_standard,
    looks_up_source,
)
from pytest_nbaprops.leaks.watched import HAS_INOTIFY, Watched, below, is_code_or_settings

if TYPE_CHECKING:
    from types import FrameType

    from pytest_nbaprops.leaks.reads import Caller

# Libraries run programs and look at objects on their own behalf (to count the processors, say).
PROGRAMS = ("os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "subprocess.Popen", "pty.spawn")
THEIR_OWN = {
    **dict.fromkeys(PROGRAMS, "asks a program"),
    **dict.fromkeys(("gc.get_objects", "gc.get_referrers"), "asks all objects in memory"),
}
NEVER_THEIR_OWN = {
    **dict.fromkeys(("socket.connect", "socket.sendto", "socket.getaddrinfo"), "asks the network"),
    "sqlite3.connect": "asks a database",
}
HEARD, TRIED, OPENED = "heard", "tried", "opened"
OWN_SERVER = "asks a server of its own, as multiprocessing's Manager is; its Pool, Queue and Pipe need none"
PROGRAM_STARTERS = ("subprocess", "os", "pty", "asyncio", "concurrent", "multiprocessing")
LISTINGS = ("os.listdir", "os.scandir")
WRITING = os.O_APPEND | os.O_WRONLY | os.O_RDWR
TOUCHES = ("os.utime", "os.truncate")
ATTRIBUTES = ("os.getxattr", "os.listxattr")
MAPS = "mmap.__new__"
EVENTS_OF_FILES = ("open", MAPS, *TOUCHES, *ATTRIBUTES, *LISTINGS)
# Of the standard library: who asks these only learns whether there is a file.
ONLY_WHETHER = {
    *("exists", "isfile", "isdir", "islink", "lexists", "ismount", "realpath", "_joinrealpath", "resolve"),
    *("is_file", "is_dir", "is_symlink", "is_mount"),
}
COMPILED_BY = {".nbi": "numba.", ".nbc": "numba."}
SHARED_MEMORY = "/dev/shm/"  # noqa: S108 - where Linux keeps it
# How much earlier than it is a file may seem to be written: by the kernel's clock, or where a file system rounds.
CLOCK_TICK, WHOLE_SECONDS = 0.02, 2.0


class Listener:
    """The process's audit hook: it can never be removed, so there is one, and it listens from the start.

    Attributes:
        project: folders that are the project's, though they lie among the libraries.
        declared: files that may be read.
        other: how files and environment variables answer otherwise, if they do.
        began: since when what is written is the project's own work (seconds since 1970).
        notes: a folder in which processes that were forked leave what they hear for the one that started them.
        variables: names of the environment variables that the project has asked for, set or not.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        project: tuple[str, ...] = (),
        declared: Collection[str] = (),
        ignored: Collection[str] = (),
        data: Path | None = None,
    ) -> None:
        """`root` (with all below) and `data`: folders in which to watch what compiled code and other processes open.

        But for what is below the folders that are `ignored`, or begins with an ignored file's path.
        """
        self.notes: Path | None = None
        self.begin()
        self.project = project
        self.declared = frozenset([*declared, *map(os.path.realpath, declared)])
        self._read: set[str] = set()
        self.other: str | None = None
        self._heard: dict[Read, None] = {}
        self.variables: set[str] = set()
        self._opened: set[str] = set()
        self._written: set[str] = set()  # by this very process, from their first byte on
        self._touched: set[str] = set()  # their times of writing say nothing
        self._ran = False  # a program, which may have written whatever is new
        self._ignored = tuple(path + os.sep if Path(path).is_dir() else path for path in ignored)
        self._compiled: set[str] = set()
        own_packages(), is_standard(os.__file__)  # they look into folders, and what does is heard from here on
        folders = [*(below(root) if root is not None else ()), *filter(None, [data])]
        self._watched = Watched(folders) if folders and HAS_INOTIFY else None
        self.began = time.time()
        self._main = threading.get_ident()
        self._busy = threading.local()
        self._temporary = os.path.realpath(tempfile.gettempdir()) + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        what = THEIR_OWN.get(event) or NEVER_THEIR_OWN.get(event)
        if (event not in EVENTS_OF_FILES and what is None) or getattr(self._busy, "looking", False):
            return
        self._busy.looking = True  # what looking at it opens must not be heard
        try:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
            if event == "open":
                self._open(arguments[0], int(arguments[2] or 0), frame)
            elif event == MAPS:
                self._map(int(arguments[0]), frame)
            elif event in TOUCHES:
                if isinstance(arguments[0], str | bytes | os.PathLike):
                    self._touched.add(absolute(arguments[0]))
            elif event in ATTRIBUTES:
                self.reads(arguments[0], frame, tried=False)
            elif event in LISTINGS:
                if not getattr(self._busy, "in_front", None):
                    self.lists(arguments[0] or ".", frame, tried=False)
            elif what is not None:
                programs = PROGRAM_STARTERS if event in THEIR_OWN else None
                self._asked(event, what, arguments, caller_of(frame, self.project, through=programs))
        finally:
            self._busy.looking = False

    @contextlib.contextmanager
    def unheard(self) -> Iterator[bool]:
        """Here nothing is heard; whether it would have been."""
        heard_before = not getattr(self._busy, "looking", False)
        self._busy.looking = True
        try:
            yield heard_before
        finally:
            self._busy.looking = not heard_before

    def begin(self) -> None:
        """This process is one to be listened to for itself, though it was forked."""
        self._process = os.getpid()

    @property
    def _is_forked(self) -> bool:
        return os.getpid() != self._process and self.notes is not None

    @property
    def _noted(self) -> str:
        return os.path.join(str(self.notes), f"heard-{self._process}")  # noqa: PTH118 - as text, in a hook

    def _note(self, kind: str, what: Any) -> None:
        """Keep what was HEARD, TRIED (by another answer) or OPENED; where this is a worker, for who started it."""
        if self._is_forked:
            with self.unheard(), contextlib.suppress(OSError), io.FileIO(self._noted, "a") as file:
                file.write(pickle.dumps((kind, what)))
        elif kind == OPENED:
            self._opened.add(what)
        elif kind == HEARD:
            self._heard[what] = None
        else:
            self._heard.pop(what, None)
            self._heard[replace(what, tried=True)] = None

    def _take_noted(self) -> None:
        """What workers have left."""
        with self.unheard(), contextlib.suppress(OSError):
            os.rename(self._noted, taken := f"{self._noted}-taken")  # noqa: PTH104 - as text, in a hook
            with io.FileIO(taken) as file:
                content = io.BytesIO(file.readall())
            with contextlib.suppress(EOFError, pickle.UnpicklingError):
                while True:
                    self._note(*pickle.load(content))  # noqa: S301 - written by a process of our own

    def _open(self, path: Any, flags: int, frame: FrameType) -> None:
        """A file is opened, and not by a front that can answer otherwise: whoever reads it may hang on it."""
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor that is open already
        full = absolute(path)
        if full == getattr(self._busy, "in_front", None):
            return
        if flags & (os.O_TRUNC | os.O_EXCL):
            self._written.add(full)
            return
        if not flags & WRITING and (is_harmless(full, self.project) or looks_up_source(frame, full)):
            self._opened.add(full)
            return
        self._note(OPENED, full)
        if not (Path(full).is_file() or Path(full).is_fifo()):
            return
        if flags & WRITING:  # what is written there is not all that it holds
            self._touched.add(full)
        if not flags & os.O_WRONLY:
            self.reads(path, frame, tried=False)

    def _map(self, handle: int, frame: FrameType) -> None:
        """Memory that another process may have filled: no file is opened for it where Python can be heard."""
        with contextlib.suppress(OSError):  # of no file, or there is no /proc
            path = os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - as text: it may name nothing any more
            if path.startswith(SHARED_MEMORY) and Path(path).exists():  # what nobody can attach to is one's own
                self.reads(path, frame, tried=False)

    @contextlib.contextmanager
    def in_front_of(self, path: Any) -> Iterator[None]:
        """Here a front opens this file, which has been noted: what the kernel tells of it meanwhile is no news."""
        full = self._busy.in_front = absolute(path) if isinstance(path, str | bytes | os.PathLike) else None
        try:
            yield
        finally:
            self._busy.in_front = None
            if self._is_forked and full is not None:
                self._note(OPENED, full)
            elif self._watched is not None and full is not None:
                self._compiled |= self._watched.take() - {full}

    def _asked(self, event: str, what: str, arguments: tuple[Any, ...], caller: Caller) -> None:
        if not caller.itself and (event in THEIR_OWN or not self._concerns(caller)):
            return
        self._ran = self._ran or event in PROGRAMS
        path = arguments[0] if event == "sqlite3.connect" else None
        if event == "socket.connect" and isinstance(arguments[1], str | bytes) and self._is_own(arguments[1]):
            what = OWN_SERVER
        if path is None or not self._is_own(os.fsdecode(path)):
            self._note(HEARD, Read(what=what, path=path and absolute(path), where=caller.line))

    def reads(self, path: Any, frame: FrameType | None, *, tried: bool = True) -> bool:
        """Whether the project reads a file that may tell it something and that nothing declares; it is noted.

        `tried`: whoever asks can answer otherwise.
        """
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor that is open already
        full = absolute(path)
        if is_harmless(full, self.project) or _is_compilers(full, frame) or self._is_own(full):
            return False
        caller = caller_of(frame, self.project)
        if concerns := self._concerns(caller):
            self._note(HEARD, Read(what="reads", path=full, tried=tried, where=caller.line))
        return concerns

    def measures(self, path: Any, frame: FrameType, *, tried: bool = True) -> bool:
        """Whether the project itself asks what the system knows of a file that nothing declares; it is noted."""
        if not isinstance(path, str | bytes | os.PathLike) or _asks_only_whether(frame):
            return False
        with self.unheard() as heard:  # looking at it asks, too
            full = absolute(path) if heard else ""
            if not heard or is_harmless(full, self.project) or looks_up_source(frame, full):
                return False
            caller = caller_of(frame, self.project)
            concerns = caller.who == "project" and caller.itself and not self._is_own(full)
            if concerns:
                self._note(HEARD, Read(what=LOOKS_AT, path=full, tried=tried, where=caller.line))
            return concerns

    def _concerns(self, caller: Caller) -> bool:
        """Whether the project asks: a thread that it has started has no frame of it."""
        return caller.who == "project" or (caller.who == "library" and threading.get_ident() != self._main)

    def runs(self, frame: FrameType | None) -> Read | None:
        """What is noted where the project runs a program; until its output is `tried`, asking counts."""
        caller = caller_of(frame, self.project, through=PROGRAM_STARTERS)
        if caller.who != "project" or not caller.itself:
            return None
        self._ran, read = True, Read(what="asks a program", where=caller.line)
        self._note(HEARD, read)
        return read

    def tried(self, read: Read) -> None:
        """Whoever asked can be answered otherwise."""
        self._note(TRIED, read)

    def lists(self, folder: Any, frame: FrameType | None, *, tried: bool = True) -> bool:
        """Whether the project itself asks for the names in a folder, which may say something; it is noted."""
        if not isinstance(folder, str | bytes | os.PathLike):
            return False
        full, caller = absolute(folder), caller_of(frame, self.project)
        concerns = caller.who == "project" and caller.itself and not (is_harmless(full) or self._is_own(full))
        if concerns:
            self._note(HEARD, Read(what=f"{LISTS}{full}", tried=tried, where=caller.line))
        return concerns

    def names_nothing(self, path: str) -> bool:
        """Whether a path is code, declared or the project's own work, so that its name tells nothing."""
        return path.endswith(CODE_AND_SETTINGS) or self._is_own(path)

    def asks_variable(self, name: str, frame: FrameType | None) -> bool:
        """Whether the project asks for an environment variable, set or not; its name is kept."""
        caller = caller_of(frame, self.project)
        if asks := caller.who == "project" and caller.itself:
            self.variables.add(name)
        return asks

    def hears_variable(self, name: str, frame: FrameType | None) -> None:
        """Note that the project gets a value that can be another one."""
        self._note(HEARD, Read(what=f"{VARIABLE}{name}", tried=True, where=caller_of(frame, self.project).line))

    def _is_own(self, path: str | bytes) -> bool:
        """Declared, in memory, or written since the guard began."""
        path = os.fsdecode(path)
        if path in ("", ":memory:") or path.startswith("file::memory:"):
            return True
        if not self.declared.isdisjoint((absolute(path), os.path.realpath(path))):
            self._read.add(absolute(path))
            return True
        if absolute(path) in self._written:
            return True
        if absolute(path) in self._touched or self._ran:
            return False
        try:
            written = os.stat(path).st_mtime  # noqa: PTH116 - paths of any kind
            began = self.began - (CLOCK_TICK if written % 1 else WHOLE_SECONDS)
            real = escape_hatch.time if escape_hatch.is_travelling() else time  # in a world of another day, too
            return began <= written <= real.time() + WHOLE_SECONDS
        except OSError:
            return os.path.realpath(path).startswith(self._temporary)

    @property
    def rows_declared(self) -> float:
        """How many rows the declared files that were read have at the most: a table in memory may be one of them."""
        contents = (Path(path).read_bytes() for path in self._read if Path(path).is_file())
        return max((math.inf if b"\0" in content else content.count(b"\n") + 1 for content in contents), default=0)

    def take(self) -> list[Read]:
        """What was heard since the last time, with the files that only compiled code opened."""
        self._take_noted()
        heard = list(self._heard)
        self._heard.clear()
        if self._watched is not None:
            self._compiled |= self._watched.take()
        others = [path for path in sorted(self._compiled - self._opened) if not path.startswith(self._ignored)]
        self._compiled.clear()
        with self.unheard():
            compiled = [path for path in others if not (self._is_own(path) or is_code_or_settings(path))]
        return [*heard, *(Read(what="reads", path=path) for path in compiled)]


def _asks_only_whether(frame: FrameType) -> bool:
    asking: FrameType | None = frame
    while asking is not None and is_standard(asking.f_code.co_filename):
        if asking.f_code.co_name in ONLY_WHETHER:
            return True
        asking = asking.f_back if asking.f_code.co_name in {"stat", "lstat"} else None  # pathlib's own
    return False


def _is_compilers(path: str, frame: FrameType | None) -> bool:
    """Whether it is compiled code, read by who has compiled it."""
    by = COMPILED_BY.get(os.path.splitext(path)[1])  # noqa: PTH122 - as text
    return by is not None and frame is not None and str(frame.f_globals.get("__name__")).startswith(by)
