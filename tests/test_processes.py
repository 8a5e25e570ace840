from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nbaprops.processes import ACCESS_DENIED, STILL_ACTIVE, alive_on_windows, end_offspring, is_alive


def test_this_process_is_alive_and_a_finished_one_is_not() -> None:
    """Asking leaves a process alive, and one that has ended is known as such; numbers that are no process are none."""
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert is_alive(child.pid)
        assert child.poll() is None
        child.communicate(b"\n")
    assert not is_alive(child.pid)
    assert not any(is_alive(pid) for pid in (0, -1, 2**70))


def test_what_is_imported_is_collected_no_more_and_what_is_not_stays_garbage() -> None:
    """Nothing is frozen where nothing was imported, and the collector is left as it was found."""
    program = """
import gc
from pytest_nbaprops.processes import lasting
frozen = gc.get_freeze_count()
with lasting():
    assert not gc.isenabled()
assert (gc.get_freeze_count(), gc.isenabled()) == (frozen, True)
gc.disable()
with lasting():
    import decimal
assert gc.get_freeze_count() > frozen and not gc.isenabled()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class Kernel:
    """kernel32 with one process in it."""

    def __init__(self, *, handle: int, code: int, known: int = 1) -> None:
        self.handle, self.code, self.known = handle, code, known
        self.closed: list[int] = []

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:  # noqa: N802, FBT001 - Windows' names
        assert (access, inherit, pid) == (0x1000, False, 7)
        return self.handle

    def GetExitCodeProcess(self, handle: int, code: object) -> int:  # noqa: N802
        assert handle == self.handle
        ctypes.cast(code, ctypes.POINTER(ctypes.c_ulong))[0] = self.code  # type: ignore[arg-type]
        return self.known

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)


@pytest.mark.parametrize(
    ("kernel", "error", "alive"),
    [
        (Kernel(handle=5, code=STILL_ACTIVE), 0, True),
        (Kernel(handle=5, code=0), 0, False),
        (Kernel(handle=5, code=0, known=0), 0, True),
        (Kernel(handle=0, code=0), ACCESS_DENIED, True),
        (Kernel(handle=0, code=0), 87, False),
    ],
)
def test_on_windows_it_is_asked_without_a_signal(kernel: Kernel, error: int, *, alive: bool) -> None:
    """The exit code says it; a process that may not be looked at is alive; no handle stays open."""
    assert alive_on_windows(7, kernel, lambda: error) is alive
    assert kernel.closed == ([kernel.handle] if kernel.handle else [])


STARTS = """
import subprocess, sys
waits = "import time; print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE)
child.stdout.readline()
print(1, flush=True)
print(child.wait())
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell who started whom")
def test_offspring_is_ended_and_the_process_itself_is_not() -> None:
    """It hears that its child was ended."""
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end_offspring(process.pid)
        assert int(process.stdout.readline()) == -signal.SIGTERM
