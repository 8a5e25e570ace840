"""Files that are written beside their place and moved there: whoever reads one sees all of it or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Final

from pytest_nbaprops.processes import is_alive

PREFIX: Final = ".tmp-"
# Folders can be shared by machines, whose process ids say nothing here.
MACHINE: Final = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_MINE: Final = f"{PREFIX}{MACHINE}-"
_OPENED_SECONDS: Final = 5.0


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put the content there, or where a link leads to what may be written; a device or a pipe is written to.

    Raises:
        OSError: it cannot be written; what was there stays, and nothing else is left.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        path.write_bytes(content)
        return
    if path.is_symlink() and path.exists() and path.stat().st_mode & stat.S_IWUSR:  # not into a cache of DVC's
        path = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{_MINE}{os.getpid()}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(mode)
        move(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # what is written to a handle has no name
        raise


def move(file: Path, place: Path) -> None:
    """Move a file to where another may be; Windows waits for those who have the other open.

    Raises:
        OSError: it cannot be moved there.
    """
    end = time.monotonic() + (_OPENED_SECONDS if sys.platform == "win32" else 0)
    while True:
        try:
            file.replace(place)
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
        else:
            return


def remove_leftovers(folder: Path, prefix: str = _MINE) -> None:
    """Take away what processes of this machine left in the folder that were killed: named by prefix and process."""
    for path in folder.glob(f"{prefix}*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        if not pid.isdecimal() or is_alive(int(pid)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def file_digest(path: str | Path) -> str | None:
    """SHA-256 (hex) of a file; None where it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
