"""One real pytest session, in a fork of this process: what it imports is imported once."""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar, cast

import pytest

T = TypeVar("T")

MARK = "NBAPROPS_FAULTS"
PLUGINS = ("-p", "pytest_nbaprops.plugin", "-p", "xdist")
"""Others are not loaded: that takes as long as half a session."""
INTERRUPTED = 130
OTHERS = ("MLFLOW_TRACKING", "PYTEST_ADDOPTS", "PYTEST_CURRENT", "PYTEST_XDIST", "GITHUB_")
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
PATIENCE = 240.0


@dataclass(kw_only=True)
class Session:
    """A session that runs, or has ended."""

    pid: int
    log: Path
    mark: str
    began: float = field(default_factory=time.monotonic)
    code: int | None = None
    seconds: float = 0.0

    @classmethod
    def start(cls, folder: Path, arguments: tuple[str, ...], *, under: Callable[[], object] = bool) -> Self:
        """Fork; `under` makes the conditions that the session meets, in its process."""
        mark = secrets.token_hex(8)
        log = folder.parent / f"output-{mark}.txt"
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _run(folder, arguments, log, mark, under)
            finally:
                os._exit(code)
        return cls(pid=child, log=log, mark=mark)

    def wait(self) -> int:
        """Its exit code, negative for a signal; one that hangs is killed.

        Raises:
            TimeoutError: neither it nor a process of its has used the processor for long.
        """
        seen, since = -1.0, time.monotonic()
        while not self.poll():
            busy = sum(map(_busy, {self.pid, *self.processes()})) if time.monotonic() - since > PATIENCE / 2 else -1.0
            if busy > seen:
                seen, since = busy, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                self.send(signal.SIGKILL, everyone=True)
                os.waitpid(self.pid, 0)
                self.code = -signal.SIGKILL
                raise TimeoutError(f"the session does nothing since {PATIENCE:.0f} seconds")
            time.sleep(0.01)
        return int(self.code or 0)

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
                self.seconds = time.monotonic() - self.began
        return self.code is not None

    def sleep(self, seconds: float) -> bool:
        """Wait that long, or until it has ended; whether it still runs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.poll():
            time.sleep(min(0.005, seconds))
        return not self.poll()

    def work(self, seconds: float) -> bool:
        """Let it use the processor for so many seconds; whether it still runs."""
        while self.busy < seconds and not self.poll():
            time.sleep(0.005)
        return not self.poll()

    def until(self, come: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until something has come, or the session has ended; whether it still runs."""
        end = time.monotonic() + seconds
        while not come() and time.monotonic() < end and not self.poll():
            time.sleep(0.001)
        return not self.poll()

    def send(self, number: signal.Signals, *, everyone: bool = False) -> None:
        """A signal to its process, or to the whole group, as a terminal does."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if everyone else os.kill)(self.pid, number)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    @property
    def busy(self) -> float:
        """Seconds of the processor that it has used: a clock that goes as fast on a busy machine."""
        return _busy(self.pid)

    def processes(self) -> list[int]:
        """Processes that it started and that live."""
        return [pid for pid in _pids() if f"{MARK}={self.mark}" in _environment(pid) and _lives(pid)]

    def workers(self) -> list[int]:
        """Xdist's."""
        return [pid for pid in self.processes() if "execnet" in _command(pid)]


def aside(work: Callable[[], T]) -> T:
    """What the work gives, done in a fork: a database that is opened here would be handed on to every session.

    Raises:
        RuntimeError: it did not come to an end.
    """
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(there, "wb") as sink:
            sink.write(pickle.dumps(_answer(work)))
        os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as source:
        content = source.read()
    os.waitpid(child, 0)
    fine, answer = pickle.loads(content) if content else (False, "it ended without a word")  # noqa: S301 - our own fork
    if not fine:
        raise RuntimeError(answer)
    return cast("T", answer)


def _answer(work: Callable[[], object]) -> tuple[bool, object]:
    try:
        return True, work()
    except Exception as error:  # noqa: BLE001 - told to the process that waits
        return False, f"{type(error).__name__}: {error}"


def _run(folder: Path, arguments: tuple[str, ...], log: Path, mark: str, under: Callable[[], object]) -> int:
    os.setsid()
    os.chdir(folder)
    os.environ[MARK] = mark
    for name in (
        "MLFLOW_TRACKING_URI",
        "PYTEST_ADDOPTS",
        "PYTEST_CURRENT_TEST",
        "PYTEST_XDIST_WORKER",
        "GITHUB_ACTIONS",
    ):
        os.environ.pop(name, None)
    output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    under()
    try:
        code = int(pytest.main([*arguments, *PLUGINS]))
    except KeyboardInterrupt:  # the second Ctrl-C, outside pytest's own hands
        code = INTERRUPTED
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _busy(pid: int) -> float:
    """User and system time, fields 14 and 15 of proc(5)."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _pids() -> Iterator[int]:
    yield from (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _environment(pid: int) -> list[str]:
    return _read(pid, "environ").split("\0")


def _command(pid: int) -> str:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    state = _read(pid, "stat").rpartition(")")[2].split()
    return bool(state) and state[0] not in "ZX"
