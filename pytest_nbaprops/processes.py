"""Which processes are alive, on POSIX and on Windows, what is theirs and lasts as long. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

QUERY: Final = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
STILL_ACTIVE: Final = 259
ACCESS_DENIED: Final = 5
REHEARSAL: Final = "NBAPROPS_REHEARSAL"
"""The environment variable that names the order of a process of the leak guard's."""


@contextmanager
def lasting() -> Iterator[None]:
    """What is imported here stays as long as the process: the garbage collector need not look at it, now or later.

    Looking through the quarter of a million objects of MLflow and its libraries again and again takes a quarter of a
    session that has nothing to fit.
    """
    enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:  # not where sessions follow one another in a process: theirs is garbage
            gc.freeze()
        if enabled:
            gc.enable()


def interrupted_by_termination() -> Callable[[], None]:
    """Let a SIGTERM end this process as Ctrl-C does, and what is begun be ended: call what is returned to undo it.

    Processes that are forked from this one, and those that handle the signal already, are left alone.
    """
    mine = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() == mine:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def undo() -> None:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, interrupt)
    return undo


def thread_share(workers: int) -> int:
    """Threads for one of this many processes: never more threads than cores in all.

    A session that runs inside an xdist worker shares the cores with that worker's fellows, too.
    """
    workers *= int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, workers))


def end_offspring(pid: int) -> None:
    """End all that the process has started, and what that has started; where the system does not tell, nothing."""
    started: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := stat_of(folder.name):  # else ended meanwhile
            started.setdefault(int(fields[1]), []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        for child in started.get(waiting.pop(), ()):
            waiting.append(child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)


def files_only_written() -> set[str]:
    """Paths of what a process of this user's has open to write and not to read; none where the system does not tell."""
    found = set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # closed meanwhile, or another user's
            told = (handle.parents[1] / "fdinfo" / handle.name).read_text(encoding="ascii")
            flags = int(told.split("flags:")[1].split()[0], 8)
            if flags & os.O_ACCMODE == os.O_WRONLY:
                found.add(str(handle.readlink()))
    return found


def stat_of(pid: int | str) -> list[str]:
    """Fields 3 and on of proc(5)'s stat, from behind the name, which may hold spaces; none where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Whether the process exists, whoever owns it.

    `os.kill(pid, 0)`, which asks on POSIX, ends the process on Windows.
    """
    if pid <= 0:
        return False  # to kill, these are groups of processes
    if sys.platform == "win32":
        return alive_on_windows(pid, ctypes.WinDLL("kernel32", use_last_error=True), ctypes.get_last_error)
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def alive_on_windows(pid: int, kernel: Any, last_error: Any) -> bool:
    """The same by the functions of kernel32, as `kernel`."""
    handle = kernel.OpenProcess(QUERY, False, pid)  # noqa: FBT003 - a C function
    if not handle:
        return bool(last_error() == ACCESS_DENIED)  # somebody else's
    code = ctypes.c_ulong()
    try:
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    finally:
        kernel.CloseHandle(handle)
    return not known or code.value == STILL_ACTIVE
