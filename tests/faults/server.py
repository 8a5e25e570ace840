"""MLflow's server in a fork of this process, which can be told to misbehave at a request."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.server import app
from mlflow.server.constants import (
    ARTIFACT_ROOT_ENV_VAR,
    ARTIFACTS_DESTINATION_ENV_VAR,
    BACKEND_STORE_URI_ENV_VAR,
    SERVE_ARTIFACTS_ENV_VAR,
)
from werkzeug.serving import make_server

Answer = Iterable[bytes]
SLOW_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """How the server answers its `at`-th request, and so many after it."""

    how: str = "none"
    at: int = 0
    times: int = 1

    def concerns(self, number: int) -> bool:
        return self.how != "none" and self.at <= number < self.at + self.times


@dataclass(kw_only=True)
class Misbehaving:
    """MLflow's application with one trouble."""

    trouble: Trouble
    requests: Any
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        if environ["PATH_INFO"] == "/health":
            return self._real(environ, start)
        with self.lock:
            self.requests.value += 1
            number = self.requests.value
        if not self.trouble.concerns(number):
            return self._real(environ, start)
        return getattr(self, f"_{self.trouble.how}")(environ, start)  # type: ignore[no-any-return]

    def _real(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        answer: Answer = app(environ, start)
        return answer

    def _refused(self, start: Callable[..., Any], status: str) -> Answer:
        body = f'{{"error_code": "OTHER", "message": "{status}"}}'.encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer_500(self, _: dict[str, Any], start: Callable[..., Any]) -> Answer:
        return self._refused(start, "500 INTERNAL SERVER ERROR")

    def _done_and_500(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        b"".join(self._real(environ, lambda *_: None))
        return self._refused(start, "500 INTERNAL SERVER ERROR")

    def _answer_429(self, _: dict[str, Any], start: Callable[..., Any]) -> Answer:
        return self._refused(start, "429 TOO MANY REQUESTS")

    def _expired_token(self, _: dict[str, Any], start: Callable[..., Any]) -> Answer:
        return self._refused(start, "401 UNAUTHORIZED")

    def _after_30_s(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        time.sleep(SLOW_SECONDS)
        return self._real(environ, start)

    def _half_a_body(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        told: list[Any] = []
        body = b"".join(self._real(environ, lambda status, headers, *_: told.extend((status, headers))))
        kept = [(name, value) for name, value in told[1] if name.lower() != "content-length"]
        start(told[0], [*kept, ("Content-Length", str(len(body)))])
        return [body[: len(body) // 2]]


HOW = ("answer_500", "done_and_500", "answer_429", "half_a_body", "after_30_s")


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that runs."""

    uri: str
    pid: int
    requests: Any

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int, trouble: Trouble | None = None) -> Iterator[Server]:
    """Serve the project's own sqlite file."""
    requests = multiprocessing.Value("i", 0)
    child = os.fork()
    if child == 0:
        try:
            _serve(folder, port, Misbehaving(trouble=trouble or Trouble(), requests=requests))
        finally:
            os._exit(1)
    server = Server(uri=f"http://127.0.0.1:{port}", pid=child, requests=requests)
    try:
        _wait(port)
        yield server
    finally:
        server.kill()


def _serve(folder: Path, port: int, application: Misbehaving) -> None:
    os.setsid()
    output = os.open(folder.parent / "server.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ |= {
        BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder / 'mlflow.db'}",
        ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    make_server("127.0.0.1", port, application, threaded=True).serve_forever()


def _wait(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("the server did not start")
