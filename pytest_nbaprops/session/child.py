"""The same pytest command in a process of its own, for the leak guard: it asks groups, or runs some folds again.

Plugins, initial conftests and hooks are loaded as in any session, so nothing has to be rebuilt or put back. What it is
to do stands in a file that the environment names; what came of it is left in that file's folder and nowhere else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_nbaprops.fixtures import active_fold_key
from pytest_nbaprops.leaks.at_hand import data_at_hand, held_value
from pytest_nbaprops.leaks.callers import is_library_file
from pytest_nbaprops.leaks.fits import fits_counted
from pytest_nbaprops.leaks.groups import Call, Examination, Heard, Material
from pytest_nbaprops.leaks.opened import Opened
from pytest_nbaprops.leaks.outside import Listener, Read, install
from pytest_nbaprops.leaks.world import world
from pytest_nbaprops.reports.progress import work_progress
from pytest_nbaprops.session.context import Context, read_context
from pytest_nbaprops.session.worker import register_collector
from pytest_nbaprops.walkforward.dataset import Dataset
from pytest_nbaprops.walkforward.store import FoldStore

ORDER = "NBAPROPS_REHEARSAL"  # names the file with the order
RESULTS, TICKS = "results.jsonl", "ticks"
PATIENCE, SUSPICION = 600.0, 20.0  # seconds for one answer; where other threads may have held a lock
FEW = 8  # dates of the few games, where every call needs an interpreter of its own
# Reports of other plugins would overwrite the session's own: where they go instead, by the option's place.
REPORTS = {"xmlpath": "--junit-xml", "htmlpath": "--html", "report_log": "--report-log", "log_file": "--log-file"}
REPORTS |= {"json_report_file": "--json-report-file", "allure_report_dir": "--alluredir"}
NOT_AGAIN = ("--pdb", "--trace", "--lf", "--last-failed", "--ff", "--failed-first", "--sw", "--stepwise", "--nf")
listener_key = pytest.StashKey["Outside"]()


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The order, and what is listened with since before the first conftest."""

    order: Mapping[str, Any]
    listener: Listener
    opened: Opened

    def reads(self) -> list[Read]:
        """What was asked for since the last time; files that only compiled code opened, too."""
        heard = self.listener.take()
        compiled = sorted(self.opened.take() - self.listener.opened - self.listener.declared)
        ours = (str(self.order["folder"]), str(self.order["context"]), *self.order["ignored"])
        return [
            *heard,
            *(Read(what="a file", path=path, tried=False) for path in compiled if not path.startswith(ours)),
        ]


def begin(config: pytest.Config) -> None:
    """Listen from now on, before the first conftest is imported."""
    order = json.loads(Path(os.environ.pop(ORDER)).read_text(encoding="utf-8"))
    listener = Listener(project=tuple(order["project"]), declared=frozenset(order["declared"]))
    install(listener, other=order["other"])
    config.stash[listener_key] = Outside(order=order, listener=listener, opened=Opened(Path(order["root"])))


class Sandbox:
    """Asks feature groups: every question is answered by a fork of this process, in which nothing was asked before.

    Where a fork is not safe (another thread may hold a lock), an interpreter is started for each question.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.outside = config.stash[listener_key]
        self.order = self.outside.order
        self.folder = Path(self.order["folder"])
        self.looked: set[tuple[str, str, str]] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Answer, and end this process: there is nothing to collect."""
        code = 1
        try:
            self._serve()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the session that waits has to hear of it
            (self.folder / "error").write_text(
                f"{type(error).__name__}: {' '.join(str(error).split())}", encoding="utf-8"
            )
        finally:
            os._exit(code)

    def _serve(self) -> None:
        imported = self.outside.reads()
        self.context = read_context(self.config, Path(self.order["context"]), threads=1)
        self.material = material_of(self.context, self.order, self.outside.listener)
        if self.order["call"] is not None:
            heard = self._heard(Call(**self.order["call"]))
            (self.folder / "heard").write_bytes(pickle.dumps(heard))
            return
        self.forks = can_fork() and not self.order["spawn"]
        self.patience = PATIENCE if only_thread() else SUSPICION
        with (self.folder / RESULTS).open("w", encoding="utf-8") as results:
            for name in self.order["groups"]:
                result = self._small(name) if self.order["small"] else self._examined(name)
                result["imported"] = [asdict(read) for read in imported]
                results.write(json.dumps({"group": name, **result}) + "\n")
                results.flush()

    def _asked(self, call: Call) -> Heard:
        """The answer of a fork; where one hangs, because a library's threads held a lock, of new interpreters."""
        if call.date is not None and (looked := (call.group, call.league, call.date)) not in self.looked:
            self.looked.add(looked)
            _tick(self.folder)
        if self.forks:
            try:
                return self._forked(call)
            except TimeoutError:
                self.forks = self.patience == PATIENCE
                if self.forks:
                    raise
        return self._spawned(call)

    def _examined(self, name: str) -> dict[str, Any]:
        dates, screened = (list(map(_date, self.order[part].get(name, ()))) for part in ("dates", "screened"))
        if not self.forks:  # an interpreter for each call takes seconds
            screened = screened[:: max(1, len(screened) // FEW)]
        looked = Examination(self.material, name, self._asked).looked(dates, screened)
        _keep(self.folder / f"{name}.pickle", looked.small)
        return {
            "leaks": [leak.to_dict() for leak in looked.leaks],
            "screened": [str(day) for day in screened],
            "hashes": looked.hashes,
            "reads": [asdict(read) for read in looked.reads],
        }

    def _small(self, name: str) -> dict[str, Any]:
        _keep(self.folder / f"{name}.pickle", self._asked(Call(group=name, league="small")).answers[0])
        return {}

    def _heard(self, call: Call) -> Heard:
        """Answer here; what compiled code opened meanwhile counts as asked for."""
        self.outside.reads()
        heard = self.material.heard(call)
        known = {read.path for read in heard.reads}
        compiled = [read for read in self.outside.reads() if read.path not in known]
        return Heard(**{**vars(heard), "reads": [*heard.reads, *compiled]})

    def _forked(self, call: Call) -> Heard:
        self.material.leagues[call.league].scene(call.change, call.date)  # made here, so that others can use it
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            _answer_and_exit(there, lambda: self._heard(call))
        os.close(there)
        try:
            answer = pickle.loads(_all_of(here, self.patience))  # noqa: S301 - written by our own fork just now
        finally:
            os.close(here)
            _end(child)
        return _unpacked(answer)

    def _spawned(self, call: Call) -> Heard:
        folder = self.folder / f"call-{time.monotonic_ns()}"
        folder.mkdir()
        order = {**self.order, "folder": str(folder), "call": asdict(call)}
        process = start(self.config, order, hash_seed=os.environ.get("PYTHONHASHSEED", "0"))
        process.wait(PATIENCE)
        if not (folder / "heard").exists():
            raise RuntimeError(failure(folder))
        return _unpacked(pickle.loads((folder / "heard").read_bytes()))  # noqa: S301 - written by our own process


def can_fork() -> bool:
    """Whether this process can be forked: Windows cannot, and macOS with its frameworks should not."""
    return sys.platform.startswith("linux")


def only_thread() -> bool:
    """Whether no other thread can hold a lock while this process is forked."""
    return threading.active_count() == 1 and len(list(Path("/proc/self/task").iterdir())) == 1


def _answer_and_exit(pipe: int, answer: Callable[[], object]) -> None:
    try:
        content = pickle.dumps(answer())
    except BaseException as error:  # noqa: BLE001 - told to the process that waits
        content = pickle.dumps(f"{type(error).__name__}: {' '.join(str(error).split())}")
    with contextlib.suppress(OSError), os.fdopen(pipe, "wb") as sink:
        sink.write(content)
    os._exit(0)


def _all_of(pipe: int, patience: float) -> bytes:
    parts: list[bytes] = []
    deadline = time.monotonic() + patience
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no answer within {patience:.0f} seconds")
        part = os.read(pipe, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, 9)
    os.waitpid(child, 0)


def _unpacked(answer: object) -> Heard:
    if not isinstance(answer, Heard):
        raise RuntimeError(str(answer))  # noqa: TRY004 - what another process said
    return answer


def _tick(folder: Path) -> None:
    """One more piece is done, or nearly: the session that waits counts them to tell the time left."""
    with (folder / TICKS).open("ab") as ticks:
        ticks.write(b".")


def _keep(path: Path, value: object) -> None:
    path.write_bytes(pickle.dumps(value))


def _date(text: str) -> Any:
    return np.datetime64(text, "D").item()


def material_of(context: Context, order: Mapping[str, Any], listener: Listener) -> Material:
    """What groups are asked about, from the session's own files."""
    games = context.dataset.games
    return Material.with_built_in(
        context.own_groups,
        groups=context.groups,
        games=games,
        features=context.dataset.features,
        columns=context.columns,
        root=context.root,
        listener=listener,
        seed=context.settings.seed,
        known=context.settings.known_columns,
        recent=games["SEASON"].isin(order["seasons"]),
        screened=games["GAME_ID"].isin(order["screened_games"]),
    )


def role_of(config: pytest.Config, pasted: tuple[str, ...]) -> object:
    """What this process has to do."""
    kind = config.stash[listener_key].order["kind"]
    return Sandbox(config) if kind == "groups" else Rehearsal(config, pasted)


class Rehearsal:
    """Runs some folds on a world that could have been, and leaves what they predict in the order's folder."""

    def __init__(self, config: pytest.Config, pasted: tuple[str, ...]) -> None:
        self.config, self.pasted = config, pasted
        self.outside = config.stash[listener_key]
        self.order = self.outside.order
        self.folder = Path(self.order["folder"])
        self.reads: dict[Read, None] = {}
        self.failures: dict[str, str] = {}
        self.held: dict[str, list[str]] = {}
        self.own_reads: dict[str, dict[Read, None]] = {}
        self.fits: dict[str, list[int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self._note_reads()
        context = read_context(self.config, Path(self.order["context"]), threads=1)
        self.world = world(context.dataset, **self.order["world"], known=context.settings.known_columns)
        self.collector = register_collector(
            self.config, in_world(context, self.world.dataset, self.folder), pasted=self.pasted, worker="again"
        )
        self.config.pluginmanager.register(_Recorder(self))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Only the folds that are asked for."""
        wanted = set(self.order["nodeids"])
        others = [item for item in items if item.nodeid not in wanted]
        items[:] = [item for item in items if item.nodeid in wanted]
        if others:
            config.hook.pytest_deselected(items=others)

    def note(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Keep what the fold recorded, whatever becomes of its test afterwards."""
        if call.when == "call":
            _tick(self.folder)
        active = item.stash.get(active_fold_key, None)
        if call.when == "call" and active is not None and active.result is not None:
            frame = active.result.predictions[["GAME_ID", "PLAYER_ID", "GAME_DATE", "predicted"]]
            _keep(self.folder / f"{self.order['nodeids'].index(item.nodeid)}.pickle", self.world.marked(frame))
        elif call.when == "call" and call.excinfo is None:
            self.failures[item.nodeid] = "it recorded nothing"
        if call.excinfo is not None and item.nodeid not in self.failures:
            self.failures[item.nodeid] = " ".join(call.excinfo.exconly(tryshort=True).split())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        """What a test's own call reads is its candidate's business; all else may reach every candidate."""
        self._note_reads()
        self._note_held(item)
        try:
            with fits_counted(self.fits.setdefault(item.nodeid, [])):
                return (yield)
        finally:
            candidate = self.collector.candidate_named(item)
            if candidate is not None:
                self.own_reads.setdefault(candidate.name, {}).update(dict.fromkeys(self.outside.reads()))

    def _note_held(self, item: Any) -> None:
        candidate = self.collector.candidate_named(item)
        if candidate is None or candidate.name in self.held:
            return
        parameters = [value for name, value in item.callspec.params.items() if name != "fold"]
        recipe = [] if candidate.recipe is None or self.order["trusted"] else [candidate.recipe.estimator]
        own = [item.function] if candidate.spec.code is not None else []
        held = [text for value in parameters if (text := held_value(value)) is not None]
        self.held[candidate.name] = [*held, *data_at_hand(*own, *recipe).data]

    def _note_reads(self) -> None:
        self.reads |= dict.fromkeys(self.outside.reads())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._note_reads()
        files = {str(path): digest for path, digest in project_files().items()}
        result = {
            "reads": [asdict(read) for read in self.reads],
            "own_reads": {name: [asdict(read) for read in reads] for name, reads in self.own_reads.items()},
            "fits": self.fits,
            "failures": self.failures,
            "held": self.held,
            "files": files,
        }
        (self.folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


class _Recorder:
    """Registered after the collector, and so asked before it has taken the fold away."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Note what a fold leaves."""
        self.rehearsal.note(item, call)
        return (yield)


def in_world(context: Context, dataset: Dataset, folder: Path) -> Context:
    """The session's context on other games, with a fold store of its own."""
    settings = replace(context.settings, use_cache=False)
    other = replace(context, settings=settings, dataset=dataset)
    store = FoldStore(folder / "store")
    other.__dict__["resources"] = replace(
        context.resources, dataset=dataset, store=store, use_cache=False, models=OrderedDict()
    )
    return other


def project_files() -> dict[str, str]:
    """Digests of the project's modules that are loaded, by path: what a test's answer may hang on."""
    found = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not is_library_file(file):
            with contextlib.suppress(OSError):
                found[file] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


# the parent's side


@dataclass(kw_only=False)
class Child:
    """One process of the guard's, and what it left in its folder."""

    folder: Path
    order: Mapping[str, Any]
    hash_seed: str = "1"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.order = {**self.order, "folder": str(self.folder)}

    @property
    def failure(self) -> str:
        """Why it has left no result, in a line."""
        return failure(self.folder)

    @property
    def planned(self) -> int:
        """Into how many pieces its work falls: folds, or dates of each group."""
        if self.order["kind"] == "tests":
            return len(self.order["nodeids"])
        dates = [self.order[part].get(group, ()) for part in ("dates", "screened") for group in self.order["groups"]]
        return 0 if self.order["small"] else sum(map(len, dates))

    def done(self, *, ended: bool) -> int:
        """How many of them are done; all where it has ended."""
        ticks = self.folder / TICKS
        return self.planned if ended else min(self.planned, ticks.stat().st_size if ticks.exists() else 0)

    def results(self) -> list[dict[str, Any]]:
        """One entry for each group that it was asked about."""
        file = self.folder / RESULTS
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def answer(self, name: str) -> Any:
        """What it kept under a name; None where it did not come so far."""
        file = self.folder / f"{name}.pickle"
        return pickle.loads(file.read_bytes()) if file.exists() else None  # noqa: S301 - written by our own process

    def result(self) -> dict[str, Any] | None:
        """What a rehearsal left; None where it broke off."""
        file = self.folder / "result.json"
        found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        return found


def run_all(config: pytest.Config, children: Sequence[Child]) -> None:
    """Run them, as many at once as there are cores (two at the most), and wait; none outlives this session."""
    waiting, running = list(children), list[tuple[Child, subprocess.Popen[bytes]]]()
    with work_progress(config, "looking for leaks", sum(child.planned for child in children)) as show:
        try:
            while waiting or running:
                while waiting and len(running) < min(2, os.cpu_count() or 1):
                    child = waiting.pop(0)
                    running.append((child, start(config, child.order, hash_seed=child.hash_seed)))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running[0][1].wait(0.05)
                running = [(child, process) for child, process in running if process.poll() is None]
                unfinished = [*waiting, *(child for child, _ in running)]
                show(sum(child.done(ended=child not in unfinished) for child in children))
        finally:
            for _, process in running:
                process.kill()
                process.wait()


def start(config: pytest.Config, order: Mapping[str, Any], *, hash_seed: str = "0") -> subprocess.Popen[bytes]:
    """Start the session's own command again, with an order; it writes into the order's folder only."""
    folder = Path(order["folder"])
    file = folder / "order.json"
    file.write_text(json.dumps(order), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_XDIST", "COV_CORE"))},
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        ORDER: str(file),
        "PYTHONHASHSEED": hash_seed,
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # jemalloc has a thread of its own
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the command that started this session
            [sys.executable, "-m", "pytest", *_arguments(config, folder)],
            cwd=config.invocation_params.dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def failure(folder: Path) -> str:
    """Why a child has left no result, in a line."""
    said = folder / "error"
    if said.exists():
        return said.read_text(encoding="utf-8")
    lines = (folder / "output").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    told = [line for line in lines if line.startswith(("E ", "ERROR", "INTERNALERROR"))]
    return " ".join((told or lines or ["it ended without a word"])[-1].split())


def _arguments(config: pytest.Config, folder: Path) -> Iterator[str]:
    """The session's own arguments, and after them whatever keeps it from writing where the session does."""
    yield from (text for text in map(str, config.invocation_params.args) if text not in NOT_AGAIN)
    yield from (f"--rootdir={config.rootpath}", "--maxfail=1000000", f"--basetemp={folder / 'tmp'}", "--color=no")
    yield from ("-o", f"cache_dir={folder / 'cache'}")
    yield from (f"{flag}={folder / name}" for name, flag in REPORTS.items() if config.getoption(name, None))
    if config.pluginmanager.hasplugin("xdist"):
        yield from ("-n0", "--dist=no")
    if config.getoption("no_cov", None) is not None:
        yield "--no-cov"
    if isinstance(seed := config.getoption("randomly_seed", None), int):
        yield f"--randomly-seed={seed}"
