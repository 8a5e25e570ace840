"""Which files of a project anything opens, compiled code and other processes, too: inotify, on Linux."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import io
import os
import struct
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from pytest_nbaprops.leaks.reads import CODE_SUFFIXES

HAS_INOTIFY = sys.platform.startswith("linux")
NEVER = {
    *(".git", ".nbaprops", "__pycache__", "node_modules", ".venv", "venv"),
    *(".hypothesis", ".tox", ".mypy_cache", ".ruff_cache"),
}
MANY = {"mlruns", "mlartifacts"}  # folders of many folders, which come last
MOST_FOLDERS = 2000
SETTINGS = {"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg"}
COMPILED = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", MAGIC_NUMBER)  # and how such files begin


class Watched:
    """Names of the files in some folders and the working directory that anything opens: inotify, by its C functions."""

    OPEN, NONBLOCK, CLOEXEC = 0x20, 0x800, 0x80000
    HEADER = struct.Struct("iIII")

    def __init__(self, folders: Sequence[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(self.NONBLOCK | self.CLOEXEC)
        every = dict.fromkeys(map(str, [*folders, Path.cwd()]))
        self._links = {os.path.realpath(link): link for folder in every for link in _links_in(folder)}
        elsewhere = dict.fromkeys(map(os.path.dirname, self._links))
        self._inside = frozenset(every)
        self._folders = {
            libc.inotify_add_watch(self._handle, os.fsencode(one), self.OPEN): one for one in {**elsewhere, **every}
        }

    def ended(self) -> bool:
        """Watch no more; whether every folder was watched."""
        if self._handle >= 0:
            os.close(self._handle)
        return -1 not in self._folders

    def take(self) -> set[str]:
        """Absolute paths since the last time, without folders."""
        found: set[str] = set()
        with contextlib.suppress(OSError):  # nothing left to read
            while True:
                found |= set(self._paths(os.read(self._handle, 1 << 16)))
        named = {self._links.get(path, path) for path in found if self._concerns(path)}
        return {path for path in named if Path(path).is_file()}

    def _concerns(self, path: str) -> bool:
        """Whether a file is in one of the folders, or linked from there: where that lies much else is opened."""
        return path in self._links or os.path.dirname(path) in self._inside  # noqa: PTH120 - as it is watched

    def _paths(self, events: bytes) -> Iterator[str]:
        place = 0
        while place < len(events):
            number, _, _, length = self.HEADER.unpack_from(events, place)
            place += self.HEADER.size + length
            if number in self._folders and length:
                name = os.fsdecode(events[place - length : place].rstrip(b"\0"))
                yield os.path.join(self._folders[number], name)  # noqa: PTH118 - as it is watched


def below(root: Path) -> Iterator[Path]:
    """A folder and those below it, but for tools' and virtual environments' own."""
    waiting, late, count = deque([str(root)]), deque[str](), 0
    while (waiting or late) and count < MOST_FOLDERS:
        folder = (waiting or late).popleft()  # near ones first, since a lake of data may have more than can be watched
        yield Path(folder)
        count += 1
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir() or entry.name in NEVER or Path(entry.path, "pyvenv.cfg").exists():
                    continue
                if entry.is_symlink():  # and nothing below: links can go in circles
                    yield Path(entry.path)
                else:
                    (late if entry.name in MANY else waiting).append(entry.path)


def is_code_or_settings(path: str) -> bool:
    """Whether it is what other sessions of pytest open as they start, by what is in it: a name says nothing."""
    if not path.endswith(CODE_SUFFIXES):
        return Path(path).name in SETTINGS
    with contextlib.suppress(OSError, SyntaxError, ValueError), io.FileIO(path) as file:
        content = file.read()
        if not path.endswith(".py"):
            return content.startswith(COMPILED)
        statements = ast.parse(content).body  # a table of numbers is valid Python
        return len(statements) < 2 or any(not isinstance(one, ast.Expr) for one in statements)  # noqa: PLR2004
    return False


def _links_in(folder: str) -> Iterator[str]:
    """The files of a folder that lie elsewhere."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.path for entry in entries if entry.is_symlink() and entry.is_file())


def sees_compiled(root: Path) -> bool:
    """Whether what compiled code opens in this folder and below is seen: on Linux, while there are watches left."""
    return HAS_INOTIFY and Watched([*below(root)]).ended()
