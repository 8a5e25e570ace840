"""A real `mlflow server` for the tests where the process matters."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 90


@dataclass(frozen=True, kw_only=True)
class Server:
    uri: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End the server and its workers, which are a process group of their own."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped without closing its socket: connections succeed, and nothing is ever answered."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


@contextmanager
def running(database: Path, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True)
        server = Server(uri=f"http://127.0.0.1:{port}", process=process)
        try:
            _wait(server, folder / "server.log")
            yield server
        finally:
            server.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(server: Server, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.uri}/health", timeout=2):  # noqa: S310  our own address
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"mlflow server did not start: {log.read_text(encoding='utf-8')[-2000:]}")
