"""What the guard's processes write outside of their own folder is put back: a test's tables, a group's cache.

They run on worlds that never were, so what they leave would mislead whoever reads it, the next session first. What
compiled code writes by itself (Arrow, DuckDB) makes no audit event and stays, and so does what goes into a database:
others may have it open.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pytest_nbaprops.leaks.reads import absolute, is_library_file

MANIFEST, COPIES = "written", "written-{}"  # in a process's folder: a line for each path, and what was there before
WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
# Events that write: places of the paths among their arguments, and of the folders that these are relative to.
EVENTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "os.rename": ((0, 1), (2, 3)),
    "os.remove": ((0,), (1,)),
    "os.truncate": ((0,), ()),
    "os.mkdir": ((0,), (2,)),
    "os.rmdir": ((0,), (1,)),
    "os.link": ((1,), (2, 3)),
    "os.symlink": ((1,), (2,)),
}
NO_FILES = ("/dev/", "/proc/", "/sys/")
CACHES = (".cache", ".config", "Library")  # below the home: made by libraries, and the same in every world


class Restorer:
    """An audit hook that keeps a copy of what is about to be written for the first time, by this process or its forks.

    `unheard`: within it nobody listens to what keeping it opens.
    """

    def __init__(self, folder: Path, unheard: Callable[[], AbstractContextManager[bool]]) -> None:
        homes = (str(Path.home() / name) + os.sep for name in CACHES)
        self.folder, self.unheard = folder, unheard
        self._left_alone = (f"{folder}{os.sep}", *NO_FILES, *homes)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITING):
                return
            paths = arguments[:1]
        elif event in EVENTS:
            places, folders = EVENTS[event]
            if any(arguments[place] != -1 for place in folders):  # shutil.rmtree, in folders that were seen before
                return
            paths = tuple(arguments[place] for place in places)
        else:
            return
        with self.unheard() as heard_before:
            for path in paths if heard_before else ():
                if isinstance(path, str | bytes | os.PathLike):
                    with contextlib.suppress(OSError, ValueError):  # what cannot be read, or has been kept
                        self._keep(absolute(path))

    def _keep(self, path: str) -> None:
        if path.startswith(self._left_alone) or path.endswith(".pyc") or is_library_file(path):
            return
        copy = self.folder / COPIES.format(hashlib.sha256(os.fsencode(path)).hexdigest()[:32])
        copy.touch(exist_ok=False)  # by whoever is first
        there = Path(path)
        was = "file" if there.is_file() else "folder" if there.is_dir() else "other" if there.exists() else "nothing"
        if was == "file":  # as it is, whatever `open` says in this world
            with io.FileIO(path) as content, io.FileIO(copy, "w") as kept:
                shutil.copyfileobj(content, kept)
            shutil.copystat(path, copy)
        line = json.dumps({"at": time.monotonic_ns(), "path": path, "was": was, "copy": str(copy)})
        with (self.folder / MANIFEST).open("a", encoding="utf-8") as manifest:
            manifest.write(f"{line}\n")


def put_back(folders: Iterable[Path]) -> None:
    """Undo what the processes of these folders wrote elsewhere, the last thing first; they have ended."""
    lines: list[dict[str, Any]] = []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):  # a process may have been killed in the last line
            lines.extend(map(json.loads, (folder / MANIFEST).read_text(encoding="utf-8").splitlines()))
    for line in sorted(lines, key=lambda line: int(line["at"]), reverse=True):
        path = Path(line["path"])
        with contextlib.suppress(OSError):
            if line["was"] == "file" and _is_another(path, Path(line["copy"])):
                shutil.copy2(line["copy"], path)
            elif line["was"] == "folder":
                path.mkdir(exist_ok=True)
            elif line["was"] == "nothing" and path.is_dir() and not path.is_symlink():
                path.rmdir()  # if nothing else came into it meanwhile
            elif line["was"] == "nothing":
                path.unlink()


def _is_another(path: Path, copy: Path) -> bool:
    if not path.exists():
        return True
    now, before = path.stat(), copy.stat()
    return (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size)
