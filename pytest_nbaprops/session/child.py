"""The same pytest command in a process of its own, for the leak guard: it asks groups, or runs some folds again.

Plugins, initial conftests and hooks are loaded as in any session, so nothing has to be rebuilt or put back. What it is
to do stands in a file that the environment names; what came of it is left in that file's folder and nowhere else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import joblib
import joblib.parallel
import pytest
from joblib.externals import loky
from threadpoolctl import threadpool_limits

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.leaks.leak import detail_of
from pytest_nbaprops.leaks.listener import Listener
from pytest_nbaprops.leaks.outside import install
from pytest_nbaprops.leaks.reads import Read, is_library_file
from pytest_nbaprops.leaks.restored import Restorer, put_back
from pytest_nbaprops.processes import REHEARSAL
from pytest_nbaprops.reports.progress import work_progress
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.fixtures import variables_key
from pytest_nbaprops.wholefile import MACHINE, remove_leftovers

# Files in a child's folder.
ORDER, RESULT, ERROR, OUTPUT, TICKS, HEARD = "order", "result", "error", "output", "ticks", "heard"
# Reports of other plugins would overwrite the session's own: where they go instead, by the option's place.
REPORTS = {
    "xmlpath": "--junit-xml",
    "htmlpath": "--html",
    "report_log": "--report-log",
    "log_file": "--log-file",
    "json_report_file": "--json-report-file",
    "allure_report_dir": "--alluredir",
}
# Groups are asked by forks, which threads must not hold up; folds run again as they ran.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PARENT_DEATH_SIGNAL, KILL = 1, 9  # of Linux's prctl, and what it sends
NOT_IN_CHILDREN = ("PYTEST_XDIST", "COV_CORE", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")
NOT_AGAIN = ("--pdb", "--trace", "--lf", "--last-failed", "--ff", "--failed-first", "--sw", "--stepwise", "--nf")


@contextmanager
def folder_for_children() -> Iterator[Path]:
    """A temporary folder, named by this process; those of processes that were killed go: games lie in them."""
    mine = f"nbaprops-{MACHINE}-"
    remove_leftovers(Path(tempfile.gettempdir()), mine)
    with tempfile.TemporaryDirectory(prefix=f"{mine}{os.getpid()}-", ignore_cleanup_errors=True) as name:
        yield Path(name)


# in the child


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a child has to do, and what it listens with since before the first conftest."""

    told: Mapping[str, Any]
    listener: Listener

    @property
    def folder(self) -> Path:
        return Path(self.told["folder"])

    def leave(self, result: object) -> None:
        """Hand a result to the session that waits for it."""
        (self.folder / RESULT).write_bytes(pickle.dumps(result))

    def leave_heard(self) -> None:
        """Where a conftest has ended everything before there is a result: what it read until then."""
        if not (self.folder / RESULT).exists():
            (self.folder / HEARD).write_bytes(pickle.dumps(self.listener.take()))

    def fail(self, error: BaseException) -> None:
        """Say why there is no result."""
        why = error if isinstance(error, NBAPropsError) else detail_of(error)["detail"]
        (self.folder / ERROR).write_text(str(why), encoding="utf-8")

    def tick(self) -> None:
        """One more piece is done, or nearly: the session that waits counts them to tell the time left."""
        with (self.folder / TICKS).open("ab") as ticks:
            ticks.write(b".")


order_key = pytest.StashKey[Order]()


def main() -> None:
    """The child's own pytest: it listens before the first plugin is imported, those of `-p` and PYTEST_PLUGINS, too."""
    file = Path(os.environ[REHEARSAL])
    told = pickle.loads(file.read_bytes())  # noqa: S301 - written by the session that started this one
    _end_with(told["parent"])
    ignored = (str(file.parent), told["context"], *told["ignored"])
    listener = Listener(
        Path(told["root"]),
        project=told["project"],
        declared=told["declared"],
        ignored=ignored,
        data=Path(told["data"]) if told["data"] else None,
    )
    listener.notes, listener.began = file.parent, told["began"]
    for name, module in list(sys.modules.items()):  # what Python imported unheard as it started is imported again
        if name != "__main__" and not is_library_file(getattr(module, "__file__", None) or "<frozen"):
            del sys.modules[name]
    install(listener, other=told["other"])
    sys.addaudithook(Restorer(file.parent, listener.unheard))
    _tame_joblib()
    if not told.get("asserts", True):
        sys.meta_path.insert(0, _Unasserted())
        _assert_nothing("numpy.testing", "pandas.testing")
    order = Order(told={**told, "folder": str(file.parent)}, listener=listener)
    try:
        raise SystemExit(pytest.main(plugins=[_Beginning(order)]))
    finally:
        order.leave_heard()


def _end_with(parent: int) -> None:
    """On Linux this process ends with the session that started it, however that ends."""
    if sys.platform.startswith("linux") and os.getppid() == parent:
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, KILL, 0, 0, 0)


def _tame_joblib() -> None:
    """What joblib keeps on disk is computed anew: a cache that is right changes nothing, and a stale one shows.

    That it has no workers here is no reason to say that there is one core, and scikit-learn sums by their number; and
    what workers would compute is computed with the threads that each of them would have: neighbours, for one, come out
    otherwise on another number.
    """
    joblib.cpu_count = joblib.parallel.cpu_count = loky.cpu_count
    real = joblib.Memory.__init__

    def __init__(self: joblib.Memory, location: Any = None, *rest: Any, **named: Any) -> None:  # noqa: ARG001, N807
        real(self, None, *rest, **named)

    joblib.Memory.__init__ = __init__
    joblib.Parallel.__init__, joblib.Parallel.__call__ = _noting_processes(joblib.Parallel.__init__), _as_a_worker


def _noting_processes(real: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Any, *rest: Any, **named: Any) -> None:  # noqa: N807
        real(self, *rest, **named)
        threads = named.get("prefer") == "threads" or named.get("require") == "sharedmem"
        self.has_processes = not threads and named.get("backend") not in ("threading", "sequential")

    return __init__


def _as_a_worker(parallel: Any, iterable: Any, *, real: Callable[..., Any] = joblib.Parallel.__call__) -> Any:
    """Compute it here, with the threads that one of its processes would have."""
    wanted = parallel.n_jobs or 1
    processes = wanted if wanted > 0 else max(1, loky.cpu_count() + 1 + wanted)
    if processes == 1 or not parallel.has_processes or parallel.return_generator:
        return real(parallel, iterable)
    with threadpool_limits(int(os.environ.get("OMP_NUM_THREADS") or max(1, loky.cpu_count() // processes))):
        return real(parallel, iterable)


def _assert_nothing(*modules: str) -> None:
    for module in map(import_module, modules):
        for name in filter(lambda name: name.startswith("assert"), dir(module)):
            setattr(module, name, lambda *_, **__: None)


class _Unasserted(MetaPathFinder):
    """Imports the project's modules without their assertions."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or is_library_file(str(spec.origin)):
            return None
        spec.loader = _UnassertedLoader(spec.loader.name, spec.loader.path)
        return spec


class _UnassertedLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = compile(self.get_data(path), path, "exec", dont_inherit=True, optimize=1)
        return code


class _Beginning:
    """Hands the order over as soon as pytest has a place for it."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        early_config.stash[order_key] = self.order


# in the session


@dataclass
class Child:
    """One process of the guard's, and what it left in its folder."""

    folder: Path
    order: Mapping[str, Any]
    hash_seed: str = "1"

    @property
    def result(self) -> Any:
        """What it left; None where it broke off."""
        file = self.folder / RESULT
        return pickle.loads(file.read_bytes()) if file.exists() else None  # noqa: S301 - written by our own process

    @property
    def failure(self) -> str:
        """Why it has left nothing, in a line."""
        said = self.folder / ERROR
        if said.exists():
            return said.read_text(encoding="utf-8")
        lines = (self.folder / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        told = fatal or [line for line in lines if line.startswith(("E ", "ERROR", "INTERNALERROR"))]
        return " ".join((told or lines or ["it ended without a word"])[-1].split())

    @property
    def heard(self) -> list[Read]:
        """What was read before it broke off."""
        file = self.folder / HEARD
        return pickle.loads(file.read_bytes()) if file.exists() else []  # noqa: S301 - as above

    @property
    def planned(self) -> int:
        """Into how many pieces its work falls: folds, or dates of each group."""
        if self.order["nodeids"] is not None:
            return len(self.order["nodeids"])
        plans = (self.order.get("plan") or {}).values()
        return sum(len(plan["dates"]) + len(plan["few_dates"]) for plan in plans)

    def done(self, *, ended: bool) -> int:
        """How many of them are done; all where it has ended."""
        ticks = self.folder / TICKS
        return self.planned if ended else min(self.planned, ticks.stat().st_size if ticks.exists() else 0)

    def start(self, config: pytest.Config) -> subprocess.Popen[bytes]:
        """Start the session's own command again; it writes into the folder only."""
        self.folder.mkdir(parents=True)
        (self.folder / ORDER).write_bytes(pickle.dumps({**self.order, "parent": os.getpid()}))
        variables = config.stash.get(variables_key, os.environ)
        environment = {
            **{name: value for name, value in variables.items() if not name.startswith(NOT_IN_CHILDREN)},
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow.db'}",  # what a test logs itself is logged once
            **(ONE_THREAD if self.order["nodeids"] is None else {}),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # no server answers, and minutes would be spent on asking again
            "JOBLIB_MULTIPROCESSING": "0",  # what its workers read would not be heard
            REHEARSAL: str(self.folder / ORDER),
            "PYTHONHASHSEED": self.hash_seed,
            "ARROW_DEFAULT_MEMORY_POOL": "system",  # jemalloc has a thread of its own
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        with (self.folder / OUTPUT).open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - the command that started this session
                [sys.executable, "-m", __package__, *self._arguments(config)],
                cwd=config.invocation_params.dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _arguments(self, config: pytest.Config) -> Iterator[str]:
        """The session's own arguments, and after them whatever keeps it from writing where the session does."""
        yield from (text for text in map(str, config.invocation_params.args) if text not in NOT_AGAIN)
        yield from (
            f"--rootdir={config.rootpath}",
            "--maxfail=1000000",
            "--continue-on-collection-errors",  # a module that cannot do without a server is one of several
            f"--basetemp={self.folder / 'tmp'}",
            "--color=no",
        )
        if config.pluginmanager.hasplugin("cacheprovider"):  # whose key it is
            yield from ("-o", f"cache_dir={self.folder / 'cache'}")
        yield from (f"{flag}={self.folder / name}" for name, flag in REPORTS.items() if config.getoption(name, None))
        if config.pluginmanager.hasplugin("xdist"):
            yield from ("-n0", "--dist=no")
        if config.getoption("no_cov", None) is not None:
            yield "--no-cov"
        if isinstance(seed := config.getoption("randomly_seed", None), int):
            yield f"--randomly-seed={seed}"
        # Listening begins before pytest, and some of what it takes has a plugin of pytest's.
        yield from ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        yield from ("-W", "ignore:joblib backend:UserWarning")  # there are no workers
        if not self.order.get("asserts", True):
            yield "--assert=plain"


def run_all(config: pytest.Config, children: Sequence[Child]) -> None:
    """Run them, as many at once as there are cores (two at the most), and wait; none outlives this session.

    What they wrote elsewhere is as it was before.
    """
    waiting, running = list(children), list[tuple[Child, subprocess.Popen[bytes]]]()
    with work_progress(config, "looking for leaks", sum(child.planned for child in children)) as show:
        try:
            while waiting or running:
                while waiting and len(running) < min(2, os.cpu_count() or 1):
                    child = waiting.pop(0)
                    running.append((child, child.start(config)))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running[0][1].wait(0.05)
                running = [(child, process) for child, process in running if process.poll() is None]
                unfinished = [*waiting, *(child for child, _ in running)]
                show(sum(child.done(ended=child not in unfinished) for child in children))
        finally:
            for _, process in running:
                process.kill()
                process.wait()
            put_back(child.folder for child in children)


def order_for(context: Context, *, nodeids: Collection[str] | None = None, **more: Any) -> dict[str, Any]:
    """What a process of the guard has to know: to ask groups, or to run these tests again."""
    settings, root = context.settings, context.root
    database = settings.tracking_uri.removeprefix("sqlite:///") if settings.tracking_uri.startswith("sqlite") else ""
    return {
        "nodeids": nodeids,
        "context": str(context.folder),
        "root": str(root),
        "project": (),
        "data": _folder_of(settings.data),
        "declared": settings.sources,
        # A group's tables arrive cut, as arguments: who opens one himself is heard, and this package's reading is not.
        "ignored": [str(context.resources.store.folder), *filter(None, [database]), *context.declared],
        "other": None,
        "began": time.time(),  # others that run beside it may share a cache on disk with it
        **more,
    }


def _folder_of(data: str | None) -> str | None:
    """Where the games lie; None where a hook brings them."""
    if data is None:
        return None
    path = Path(data)
    folders = (folder for folder in (path, *path.parents) if folder.is_dir())
    return str(next(folders, None) or "") or None
