"""Conditions that a session meets in its own process: limits, a full or read-only disk, another clock."""

from __future__ import annotations

import ctypes
import datetime as dt
import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn

import time_machine

CLONE_NEWNS = 0x20000


def no_file_larger_than(size: int) -> None:
    """Writes fail beyond it, as on a full disk, for every process of the session."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def so_many_files(more: int) -> None:
    """File handles are used up after so many more."""
    used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - numbers
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def set_back(days: float) -> None:
    """The clock goes on from some days ago."""
    time_machine.travel(dt.datetime.now(dt.UTC) - dt.timedelta(days=days), tick=True).start()


def no_space() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@cache
def can_mount() -> bool:
    """Whether this process may mount disks, in a namespace of its own from then on."""
    try:
        if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
            return False
        _mount("--make-rprivate", "/")
    except (AttributeError, OSError, subprocess.SubprocessError):
        return False
    return True


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes."""
    _mount("-t", "tmpfs", "-o", f"size={size}", "nbaprops-faults", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - the system's own


def remount(folder: Path, options: str) -> None:
    """The same disk, with other options: `ro`, `size=…`."""
    _mount("-o", f"remount,{options}", str(folder))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)  # noqa: S607 - the system's own
