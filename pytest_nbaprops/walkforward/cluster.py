"""Fits on a Dask cluster: the task is a fit's key with what it needs, data and results travel by digest.

Workers need this package, in the versions of the session; what they fit is bit for bit what a thread here would.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import tempfile
import threading
import time
from concurrent import futures
from concurrent.futures import Executor, Future, InvalidStateError
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.errors import SettingsError, StoreError
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.candidate import libraries
from pytest_nbaprops.walkforward.dataset import ARROW_FILES, Dataset, read_dataset
from pytest_nbaprops.walkforward.evaluate import unfitted
from pytest_nbaprops.walkforward.executor import PlannedFit
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.remote import RemoteFolder
from pytest_nbaprops.walkforward.store import FoldStore

OPTION = "--nbaprops-dask"
LONELY = 60.0  # seconds for a first or another worker: a cluster may have to start one
LOOK_EVERY = 2.0  # seconds


@dataclass(frozen=True, kw_only=True)
class SharedData:
    """Where workers find the session's data and leave models: a folder that they see, too, or a URL.

    Attributes:
        url: of the store; None where it is the folder.
        store: folder of the store.
        session: folder of the session's Arrow files.
        files: name and SHA-256 of each of these files.
    """

    url: str | None
    store: str
    session: str
    files: tuple[tuple[str, str], ...]
    target_columns: tuple[str, ...]


def share(dataset_folder: Path, store: FoldStore, target_columns: tuple[str, ...]) -> SharedData:
    """Leave the session's data where workers find it."""
    contents = {name: (dataset_folder / name).read_bytes() for name in ARROW_FILES}
    digests = tuple((name, hashlib.sha256(content).hexdigest()) for name, content in contents.items())
    if store.remote is not None:
        for name, digest in digests:
            if not store.remote.has(_remote_name(digest)):
                store.remote.write(_remote_name(digest), contents[name])
    url = store.remote.url if store.remote is not None else None
    folders = {"store": str(store.folder.resolve()), "session": str(dataset_folder.resolve())}
    return SharedData(url=url, files=digests, target_columns=target_columns, **folders)


@dataclass(frozen=True, kw_only=True)
class RemoteFit:
    """One fit, as it travels to a worker: call it there."""

    data: SharedData
    estimator: Any
    columns: tuple[str, ...]
    fitted_at: date
    train_start: date
    key: str
    libraries: tuple[tuple[str, str], ...]

    def __call__(self) -> float:
        """Fit, leave the model in the store under its key and give the seconds it took.

        Raises:
            StoreError: the worker has other versions, cannot see the store, or finds other data in it.
        """
        if tuple(libraries().items()) != self.libraries:
            other = (
                f"{name} {here} instead of {version}"
                for name, version in self.libraries
                if (here := libraries().get(name)) != version
            )
            raise StoreError(f"the worker has other versions: {', '.join(other)}")
        started = time.perf_counter()
        fold = Fold(number=1, dates=(self.fitted_at,), fitted_at=self.fitted_at, train_start=self.train_start)
        rows = _dataset(self.data).train(fold, self.columns, estimators.width_of(self.estimator))
        model = estimators.fit(self.estimator, rows, threads=1)
        content = estimators.to_bytes(model)
        if content is None:
            raise StoreError("the model cannot be kept in the store")
        if self.data.url is None:
            store = FoldStore(Path(self.data.store))
        else:
            mirror = Path(tempfile.gettempdir()) / f"nbaprops-{getpass.getuser()}"
            store = FoldStore(mirror, RemoteFolder(self.data.url))
        store.keep_model(self.key, content)
        return time.perf_counter() - started


def remote_fit(planned: PlannedFit, data: SharedData) -> RemoteFit:
    candidate, fold = planned.candidate, planned.fold
    return RemoteFit(
        data=data,
        estimator=unfitted(candidate, threads=1),
        columns=candidate.columns,
        fitted_at=fold.fitted_at,
        train_start=fold.train_start,
        key=planned.key,
        libraries=tuple(libraries().items()),
    )


class DaskExecutor(Executor):
    """A cluster as a `concurrent.futures` executor.

    A worker that dies takes its fit along at once, which is then made here, and does not take others with it; so do
    all fits where the scheduler goes away, or has had no worker for a minute.

    Raises:
        SettingsError: `distributed` is not installed, or nobody answers at the address.
    """

    patience = 10  # seconds for the scheduler's first answer

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client  # noqa: PLC0415 - an extra
        except ImportError:
            way_out = "pip install 'pytest-nbaprops[dask]'"
            raise SettingsError(f"{OPTION}: the package distributed is not installed: {way_out}") from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said by the session
        try:
            self._client = Client(address, timeout=self.patience, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise SettingsError(f"{OPTION}: no scheduler answers at {address} ({said}); start one there") from None
        self._allowed = self._client.run_on_scheduler(_allow_failures, 0)
        self._executor = self._client.get_executor(pure=False, retries=0)
        self._waiting: set[Future[Any]] = set()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="nbaprops-cluster", daemon=True).start()

    def submit(self, task: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        there: Future[Any] = self._executor.submit(task, *args, **kwargs)
        here: Future[Any] = Future()
        self._waiting.add(here)
        there.add_done_callback(lambda _: self._settle(here, there))
        return here

    def _settle(self, here: Future[Any], there: Future[Any]) -> None:
        """What came of it on the cluster, unless nobody waits for that any more."""
        self._waiting.discard(here)
        with contextlib.suppress(InvalidStateError):
            if there.cancelled():
                here.cancel()
            elif (error := there.exception()) is not None:
                here.set_exception(error)
            else:
                here.set_result(there.result())

    def _watch(self) -> None:
        """Give up what waits on a cluster where nobody works."""
        last = time.monotonic()
        while not self._closed.wait(LOOK_EVERY):
            with contextlib.suppress(Exception):  # of a scheduler that is gone the futures themselves will tell
                if self._client.nthreads() or not self._waiting:
                    last = time.monotonic()
            if time.monotonic() - last > LONELY:
                for here in list(self._waiting):
                    with contextlib.suppress(InvalidStateError):
                        here.set_exception(StoreError(f"the cluster has had no worker for {LONELY:.0f} seconds"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Wait for what was submitted, as long as anybody works on it, and leave the cluster as it was found."""
        if wait and not cancel_futures:
            futures.wait(list(self._waiting))
        self._closed.set()
        with contextlib.suppress(Exception):  # whatever a scheduler that is gone raises
            self._client.run_on_scheduler(_allow_failures, self._allowed)
        with contextlib.suppress(Exception):
            self._executor.shutdown(wait=False)
            self._client.close(timeout=self.patience)


def _allow_failures(number: int, dask_scheduler: Any = None) -> int:
    """Set how many deaths of workers a task may be blamed for, and give what it was."""
    before = int(dask_scheduler.allowed_failures)
    dask_scheduler.allowed_failures = number
    return before


# on a worker


@lru_cache(maxsize=2)
def _dataset(data: SharedData) -> Dataset:
    """The session's data, mapped into memory once, if it is what the session has."""
    folder = Path(data.session)
    if data.url is not None:
        folder = Path(tempfile.mkdtemp(prefix="nbaprops-"))
        remote = RemoteFolder(data.url)
        for name, digest in data.files:
            (folder / name).write_bytes(remote.read(_remote_name(digest)) or b"")
    for name, digest in data.files:
        path = folder / name
        if not path.is_file():
            raise StoreError(f"the worker does not see {path}; name a place that it sees with --nbaprops-store")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise StoreError(f"{path} holds other data on the worker")
    digest_only = DatasetDigest(full="", dates=(), date_digests=(), chained=())  # the key was made by the session
    return read_dataset(folder, digest=digest_only, target_columns=data.target_columns, root=folder)


def _remote_name(digest: str) -> str:
    return f"data/{digest[:2]}/{digest}"
