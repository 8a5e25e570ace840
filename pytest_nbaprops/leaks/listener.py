"""Hears what the project asks for besides the games: Python's audit events, and on Linux what compiled code opens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.leaks.reads import Read, absolute, caller_of, is_harmless

if TYPE_CHECKING:
    from types import FrameType

    from pytest_nbaprops.leaks.reads import Caller

# Libraries run programs and look at objects on their own behalf (to count the processors, say).
THEIR_OWN = {
    **dict.fromkeys(("os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system"), "asks a program"),
    **dict.fromkeys(("subprocess.Popen", "pty.spawn"), "asks a program"),
    **dict.fromkeys(("gc.get_objects", "gc.get_referrers"), "asks all objects in memory"),
}
NEVER_THEIR_OWN = {
    **dict.fromkeys(("socket.connect", "socket.sendto", "socket.getaddrinfo"), "asks the network"),
    "sqlite3.connect": "asks a database",
}
SEES_COMPILED = sys.platform.startswith("linux")
NEVER = {".git", ".nbaprops", "__pycache__", "node_modules", ".venv", "venv", "mlruns", "mlartifacts", ".pytest_cache"}
NEVER |= {"nbaprops-report", ".hypothesis", ".tox", ".mypy_cache", ".ruff_cache"}
CODE = (".py", ".pyc", ".so", ".ini", ".toml", ".cfg", ".pth")
MOST_FOLDERS = 2000
# How much earlier than it is a file may seem to be written: by the kernel's clock, or where a file system rounds.
CLOCK_TICK, WHOLE_SECONDS = 0.02, 2.0


class Listener:
    """The process's audit hook: it can never be removed, so there is one, and it listens from the start.

    Attributes:
        project: folders that are the project's, though they lie among the libraries.
        declared: files that may be read.
        other: whether files and environment variables answer otherwise.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        project: tuple[str, ...] = (),
        declared: Collection[str] = (),
        ignored: Collection[str] = (),
    ) -> None:
        """`root`: where to watch what compiled code opens, but for paths that begin with one of `ignored`."""
        self.project, self.declared, self.other = project, declared, False
        self._heard: dict[Read, None] = {}
        self._opened: set[str] = set()
        self._ignored = tuple(ignored)
        self._watched = _Watched(root) if root is not None and SEES_COMPILED else None
        self._began = time.time()
        self._main = threading.get_ident()
        self._busy = threading.local()
        self._temporary = os.path.realpath(tempfile.gettempdir()) + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        what = THEIR_OWN.get(event) or NEVER_THEIR_OWN.get(event)
        if (event != "open" and what is None) or getattr(self._busy, "looking", False):
            return
        self._busy.looking = True  # what looking at it opens must not be heard
        try:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
            if event == "open":
                self._open(arguments, frame)
            elif what is not None:
                self._asked(event, what, arguments, caller_of(frame, self.project))
        finally:
            self._busy.looking = False

    def _open(self, arguments: tuple[Any, ...], frame: FrameType) -> None:
        mode, flags = str(arguments[1] or ""), int(arguments[2] or 0)
        if isinstance(arguments[0], str | bytes | os.PathLike):
            self._opened.add(absolute(arguments[0]))
        if mode[:1] not in ("w", "x", "a") and (mode or not flags & (os.O_WRONLY | os.O_TRUNC)):
            self.reads(arguments[0], frame)

    def _asked(self, event: str, what: str, arguments: tuple[Any, ...], caller: Caller) -> None:
        if not caller.itself and (event in THEIR_OWN or caller.who != "project"):
            return
        path = arguments[0] if event == "sqlite3.connect" else None
        if path is None or not self._is_own(os.fsdecode(path)):
            self._heard[Read(what=what, path=path and absolute(path), where=caller.line)] = None

    def reads(self, path: Any, frame: FrameType | None) -> bool:
        """Whether the project reads a file that may tell it something and that nothing declares; it is noted."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor that is open already
        full = absolute(path)
        self._opened.add(full)
        if is_harmless(full, self.project) or self._is_own(full):
            return False
        caller = caller_of(frame, self.project)
        # A thread that the project has started has no frame of it.
        concerns = caller.who == "project" or (caller.who == "library" and threading.get_ident() != self._main)
        if concerns:
            self._heard[Read(what="reads", path=full, tried=True, where=caller.line)] = None
        return concerns

    def asks_variable(self, name: str, frame: FrameType | None) -> bool:
        """Whether the project asks for an environment variable; it is noted."""
        caller = caller_of(frame, self.project)
        if asks := caller.who == "project" and caller.itself:
            self._heard[Read(what=f"asks for the variable {name}", tried=True, where=caller.line)] = None
        return asks

    def _is_own(self, path: str) -> bool:
        """Declared, in memory, or written since this process began."""
        if path in ("", ":memory:") or path.startswith("file::memory:") or absolute(path) in self.declared:
            return True
        try:
            written = os.stat(path).st_mtime  # noqa: PTH116 - paths of any kind
            return written >= self._began - (CLOCK_TICK if written % 1 else WHOLE_SECONDS)
        except OSError:
            return os.path.realpath(path).startswith(self._temporary)

    def take(self) -> list[Read]:
        """What was heard since the last time, with the files that only compiled code opened."""
        heard = list(self._heard)
        self._heard.clear()
        watched = self._watched.take() if self._watched is not None else set()
        compiled = [path for path in sorted(watched - self._opened) if not self._is_own(path)]
        return [*heard, *(Read(what="reads", path=path) for path in compiled if not path.startswith(self._ignored))]


class _Watched:
    """Names of the files below a folder and the working directory that anything opens: inotify, by its C functions."""

    OPEN, NONBLOCK, CLOEXEC = 0x20, 0x800, 0x80000
    HEADER = struct.Struct("iIII")

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(self.NONBLOCK | self.CLOEXEC)
        folders = dict.fromkeys([*_below(root), Path.cwd()])
        self._folders = {libc.inotify_add_watch(self._handle, os.fsencode(one), self.OPEN): str(one) for one in folders}

    def take(self) -> set[str]:
        """Absolute paths since the last time, without folders and code."""
        found: set[str] = set()
        with contextlib.suppress(OSError):  # nothing left to read
            while True:
                found |= set(self._paths(os.read(self._handle, 1 << 16)))
        return {path for path in found if not path.endswith(CODE) and Path(path).is_file()}

    def _paths(self, events: bytes) -> Iterator[str]:
        place = 0
        while place < len(events):
            number, _, _, length = self.HEADER.unpack_from(events, place)
            place += self.HEADER.size + length
            if number in self._folders and length:
                name = os.fsdecode(events[place - length : place].rstrip(b"\0"))
                yield os.path.join(self._folders[number], name)  # noqa: PTH118 - as it is watched


def _below(root: Path) -> Iterator[Path]:
    """A folder and those below it, but for tools' and virtual environments' own."""
    for count, (folder, names, _) in enumerate(os.walk(root)):
        if count >= MOST_FOLDERS:
            return
        names[:] = [name for name in names if name not in NEVER and not Path(folder, name, "pyvenv.cfg").exists()]
        yield Path(folder)
