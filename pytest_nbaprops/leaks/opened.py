"""Files that compiled code opens: no audit event tells of them, but on Linux the kernel does (inotify).

Watched are the project's folder and everything below it. Elsewhere nothing is seen, and
`SEEN` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from pathlib import Path

SEEN = sys.platform.startswith("linux")
NEVER = {".git", ".nbaprops", "__pycache__", "node_modules", ".venv", "venv", "mlruns", "mlartifacts", ".pytest_cache"}
NEVER |= {"nbaprops-report", ".hypothesis", ".tox", ".mypy_cache", ".ruff_cache"}
CODE = (".py", ".pyc", ".so", ".ini", ".toml", ".cfg", ".pth")
MOST_FOLDERS = 2000
_OPEN, _NONBLOCK, _CLOEXEC = 0x20, 0x800, 0x80000
_HEADER = struct.Struct("iIII")


class Opened:
    """Names of the files below some folders that anything has opened since the last look."""

    def __init__(self, root: Path) -> None:
        self._folders: dict[int, str] = {}
        self._handle = -1
        if not SEEN:
            return
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        for folder in dict.fromkeys([*_below(root), Path.cwd()]):
            number = self._libc.inotify_add_watch(self._handle, os.fsencode(folder), _OPEN)
            if number >= 0:
                self._folders[number] = str(folder)

    def take(self) -> set[str]:
        """Absolute paths, without folders and code."""
        found: set[str] = set()
        while self._handle >= 0:
            try:
                events = os.read(self._handle, 1 << 16)
            except OSError:
                break
            found |= set(self._names(events))
        return {path for path in found if not path.endswith(CODE) and Path(path).is_file()}

    def _names(self, events: bytes) -> list[str]:
        names, place = [], 0
        while place < len(events):
            number, _, _, length = _HEADER.unpack_from(events, place)
            place += _HEADER.size
            name = os.fsdecode(events[place : place + length].rstrip(b"\0"))
            place += length
            if name and number in self._folders:
                names.append(os.path.join(self._folders[number], name))  # noqa: PTH118 - as it is watched
        return names


def _below(root: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for folder, names, _ in os.walk(root):
            names[:] = [name for name in names if name not in NEVER and not _is_environment(Path(folder, name))]
            found.append(Path(folder))
            if len(found) >= MOST_FOLDERS:
                break
    return found


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").exists()
