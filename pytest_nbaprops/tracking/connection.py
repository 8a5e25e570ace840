"""One guarded door to MLflow: every call has short timeouts, every failure is one line without passwords."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pytest_nbaprops.errors import NBAPropsError, TrackingError
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking.database import (
    check_server_database,
    check_writable,
    prepare_sqlite,
    sqlite_path,
    sqlite_uri,
)
from pytest_nbaprops.tracking.explain import explained, one_line
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.retries import PatientClient, RetryingClient

with quiet():  # under -W error the import itself would fail
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

T = TypeVar("T")

DEFAULT_TRACKING_URI: Final = "sqlite:///mlflow.db"

_API_SECONDS = 10
_ARTIFACT_SECONDS = 20
_SQLITE_SECONDS = 60  # MLflow tries 100 where it can't open one
_CREATING_SECONDS = 600  # takes 3, and minutes on a busy machine or a slow disk
_TELL_SECONDS = 10.0
_DATABASES = ("postgresql", "mysql", "mssql")
_FILES = (".db", ".sqlite", ".sqlite3")


class Store:
    """A tracking store that answered: its client, and `calling`, inside which every call to it is made.

    Once the store stops answering, later calls fail at once instead of waiting again.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.name = redact(uri)
        self.lost: str | None = None
        # The registry is the same store: MLFLOW_REGISTRY_URI must not send versions elsewhere than the runs.
        client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if self.is_remote:
            client = RetryingClient(client)
        elif uri.startswith("sqlite"):
            client = PatientClient(client)
        self.client: MlflowClient = client

    @property
    def is_remote(self) -> bool:
        """Whether an MLflow server answers, which then decides where artifacts are kept."""
        return self.uri.startswith(("http://", "https://"))

    def check_writable(self) -> None:
        """Ask before the first change: whoever only reads needs no right to write."""
        if self.uri.startswith("sqlite"):
            check_writable(sqlite_path(self.uri))

    @contextmanager
    def calling(self, what: str, *, artifacts: bool = False) -> Iterator[MlflowClient]:
        """Give the client for one piece of work; `what` completes "could not …".

        Raises:
            TrackingError: One line with what was tried, the store (no password) and its answer.
        """
        if self.lost is not None:
            raise TrackingError(f"could not {what}: the tracking store {self.name} stopped answering ({self.lost})")
        try:
            # Older MLflow asks the environment, not the client, where a server's artifacts are.
            with (
                limits(_ARTIFACT_SECONDS if artifacts else _API_SECONDS),
                environment({"MLFLOW_TRACKING_URI": self.uri}),
                quiet(),
                nullcontext() if self.is_remote else interrupts_wait(),
            ):
                yield self.client
        except NBAPropsError:
            raise
        except Exception as error:
            reason = one_line(error)
            if _is_lost(error):
                self.lost = reason
            raise TrackingError(f"could not {what} in the tracking store {self.name}: {reason}") from error


def connect(  # noqa: PLR0913 - where, how long, and what may be made
    uri: str | None = None,
    *,
    timeout: float = 5.0,
    artifact_root: Path | None = None,
    root: Path | None = None,
    create: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Store:
    """Open the tracking store after one short try; a new sqlite file is created and migrated at once.

    Args:
        uri: `http(s)://…`, `sqlite:///…`, `postgresql://…`, `mysql://…` or `mssql://…`; None: what MLflow is set to
            (`mlflow.set_tracking_uri`, MLFLOW_TRACKING_URI), else `sqlite:///mlflow.db` in `root`.
        timeout: Seconds that a server may take to answer.
        artifact_root: Folder for the artifacts of stores without a server; only used when a sqlite file is created.
        root: Folder that relative sqlite paths start from; None: the working directory.
        create: Whether a sqlite file that is missing or empty is made a store.
        tell: Gets a line now and then while it waits for more than some seconds.

    Raises:
        TrackingError: The store does not answer, is not a tracking store, or is of a kind that cannot be used.
    """
    uri = _resolved(uri, root or Path.cwd())
    _check_scheme(uri)
    # Half made, a new database would be made a second time beside the first by whoever asks again.
    waits = interrupts_wait() if uri.startswith("sqlite") else nullcontext()
    with limits(max(1, round(timeout)), retries=0), quiet(), waits:
        try:
            seconds, what = _patience(uri, timeout)
            if uri.startswith(_DATABASES):
                within(seconds, lambda: check_server_database(uri, timeout), uri=uri, what=what, tell=tell)
            opened = partial(_opened, uri, artifact_root, create=create)
            return within(seconds, opened, uri=uri, what=what, tell=tell)
        except NBAPropsError:
            raise
        except Exception as error:
            raise _unreachable(uri, *explained(error)) from error


def _opened(uri: str, artifact_root: Path | None, *, create: bool) -> Store:
    if uri.startswith("sqlite"):
        prepare_sqlite(sqlite_path(uri), artifact_root, create=create)
    store = Store(uri)
    store.client.search_experiments(max_results=1)
    return store


def within(
    seconds: float, work: Callable[[], T], *, uri: str, what: str, tell: Callable[[str], None] | None = None
) -> T:
    """Do the work in a thread that is left behind after so many seconds: name lookups and drivers have no timeout."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as error:  # noqa: BLE001  raised again in the caller's thread
            answer.set_exception(error)

    begun = time.monotonic()
    threading.Thread(target=run, name="nbaprops-probe", daemon=True).start()
    left = seconds + 1  # whatever has a timeout of its own gives the better reason
    while not answer.done() and left > 0:
        wait([answer], min(left, _TELL_SECONDS))
        left = seconds + 1 - (time.monotonic() - begun)
        if not answer.done() and left > 0 and tell is not None:
            tell(f"waiting for {what} ({time.monotonic() - begun:.0f} s) ...")
    if not answer.done():
        raise _unreachable(uri, f"no answer within {seconds:g} seconds, waiting for {what}")
    return answer.result()


def _patience(uri: str, timeout: float) -> tuple[float, str]:
    """For how many seconds is waited at most, and for what."""
    if not uri.startswith("sqlite"):
        return timeout, f"an answer of the tracking store {redact(uri)}"
    path, is_new = sqlite_path(uri), False
    with suppress(OSError):
        is_new = not path.exists() or path.stat().st_size == 0
    if is_new:
        return _CREATING_SECONDS, f"the new tracking store {path} to be made"
    return _SQLITE_SECONDS, f"the tracking store {path} to be opened"


def _resolved(uri: str | None, root: Path) -> str:
    if uri is None:
        uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else DEFAULT_TRACKING_URI
    if uri.startswith("sqlite"):
        path = sqlite_path(uri)
        return uri if path.is_absolute() else sqlite_uri((root / path).resolve())
    return uri


def _check_scheme(uri: str) -> None:
    try:
        scheme = urlsplit(uri).scheme
    except ValueError:  # its text may hold the password
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} can't be read: its host is none; use http(s)://host:port,"
            " sqlite:///mlflow.db, postgresql://…, mysql://… or mssql://…"
        ) from None
    if scheme in ("http", "https", "databricks") or scheme.split("+")[0] in ("sqlite", *_DATABASES):
        return
    if scheme == "" and uri.endswith(_FILES):
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} is a path: write sqlite:///{redact(uri).removeprefix('./')}"
        )
    if scheme in ("", "file"):
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} is a folder, and MLflow's file store has no model registry to rely on"
            " (MLflow 3.13 dropped it): use a database file instead, such as sqlite:///mlflow.db"
        )
    raise TrackingError(
        f"the tracking URI {redact(uri)!r} is of an unknown kind: use http(s)://…, sqlite:///mlflow.db,"
        " postgresql://…, mysql://… or mssql://…"
    )


def _unreachable(uri: str, reason: str, way_out: str | None = None) -> TrackingError:
    usual = "start it" if uri.startswith("http") else "check the address and the rights"
    return TrackingError(
        f"the tracking store {redact(uri)} can't be used: {reason}; {way_out or usual},"
        " or name another one with --nbaprops-tracking-uri or MLFLOW_TRACKING_URI (for example sqlite:///mlflow.db)"
    )


def _is_lost(error: BaseException) -> bool:
    """Whether the store itself is gone, rather than this one request refused."""
    if isinstance(error, MlflowException):
        return error.error_code == "TEMPORARILY_UNAVAILABLE" or bool(
            re.match(r"API request to \S+ failed with (timeout )?exception", str(error))
        )
    return isinstance(error, ConnectionError | TimeoutError)


@contextmanager
def limits(seconds: int, *, retries: int = 1) -> Iterator[None]:
    """MLflow's network patience while the block runs; what the user set in the environment stays."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    # Printing the run's address would show passwords that are part of it.
    forced = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    with environment({**{key: os.environ.get(key, value) for key, value in wanted.items()}, **forced}):
        yield


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the block, put back as they were."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """A Ctrl-C comes through when the block is done; a second one at once.

    In the midst of a transaction it would leave a connection that has the database locked, also for this process.

    Raises:
        KeyboardInterrupt: there was one.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            signal.default_int_handler(number, frame)
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            raise KeyboardInterrupt


def as_store(store: Store | None, tracking_uri: str | None, **options: Any) -> Store:
    """The store that was given, or the one at the address."""
    return store if store is not None else connect(tracking_uri, **options)
