"""Runs the tests of some folds of every candidate a second time, on games that end otherwise. Where tests run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pytest_nbaprops.code.reached import is_project
from pytest_nbaprops.leaks.audit import watched
from pytest_nbaprops.leaks.company import company_of, company_of_estimator
from pytest_nbaprops.leaks.leak import NO_EXAMPLE, Leak
from pytest_nbaprops.leaks.leakage import GUARD_VERSION
from pytest_nbaprops.leaks.rehearsal import (
    EVERYTHING,
    KINDS,
    MIRRORED,
    Changes,
    Rehearsal,
    moved_prediction,
    rehearsal,
    sampled_fold,
    sampled_folds,
)
from pytest_nbaprops.leaks.row_picking import Fits, picked_rows
from pytest_nbaprops.leaks.state import Kept, as_first
from pytest_nbaprops.leaks.weightless import weightless_rows
from pytest_nbaprops.session.rerunning import Nowhere, code_of, forget_fixtures, handed_by_others, phase, quiet
from pytest_nbaprops.walkforward.active import ActiveFold
from pytest_nbaprops.walkforward.candidate import Candidate, content_key
from pytest_nbaprops.walkforward.evaluate import Workbench
from pytest_nbaprops.walkforward.plan import Fold

if TYPE_CHECKING:
    from pytest_nbaprops.session.collection import FoldCollector

CHECK_PROPERTY = "nbaprops_check"
REHEARSAL_VERSION = "2"  # with another one nothing is taken from the store
DATA_READ = (
    "open ", "sqlite3.connect", "socket.connect", "urllib.Request", "http.client.connect", "mmap.__new__", "glob.glob",
    "gc.get_objects", "gc.get_referrers", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
    "pty.spawn",
)  # fmt: skip
# What libraries start to count the cores before they use them.
COUNTS_CORES = ("subprocess.Popen 'lscpu'", "subprocess.Popen 'sysctl'", "subprocess.Popen 'powershell.exe'")
USUAL_FOLDS = 4
LOCK_OF_TMP_PATH = "/.lock'"
# More folds than one are run again while that is cheap.
FREE_SECONDS, SHARE_OF_FOLDS = 2.0, 0.1
NOISE = "its predictions differ from run to run; seed everything random, or set random_state"
STATE = (
    "it keeps state from fold to fold, and its predictions depend on it, so they cannot be checked; "
    "let every fold stand on its own"
)


@dataclass(kw_only=True)
class Rehearsed:
    """What one rehearsal left behind; `problem` says why there are no predictions."""

    data: Rehearsal
    active: ActiveFold | None = None
    reads: list[str] = field(default_factory=list)
    fits: Fits = field(default_factory=Fits)
    company: tuple[str, ...] = ()
    problem: str | None = None
    seconds: float = 0.0

    @property
    def predictions(self) -> pd.DataFrame | None:
        result = self.active.result if self.active is not None else None
        return None if result is None else result.predictions


@dataclass(kw_only=True)
class Found:
    """What the check of one fold comes to."""

    group: str
    leaks: list[Leak] = field(default_factory=list)
    unknown: str | None = None

    def leak(self, kind: str | None, detail: str, example: Mapping[str, object] | None = None) -> None:
        """Note a leak, if there is a kind and something to say of it."""
        if kind is not None and (detail or example):
            said = {**NO_EXAMPLE, "detail": detail} if example is None else example
            self.leaks.append(Leak(group=self.group, columns=(), kind=kind, example=said))


class Rehearsals:
    """Rehearsals of some folds of each candidate; the collector asks for its bench and its verdicts."""

    def __init__(self, collector: FoldCollector) -> None:
        self.collector = collector
        self.bench: Workbench | None = None  # in place of the session's, while a rehearsal runs
        self._current: Rehearsed | None = None
        self._done: dict[str, Rehearsed] = {}
        self._costs: dict[str, list[float]] = {}
        self._code: list[object] = []
        self._first: Kept | None = None

    # before the fold's own run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Rehearse first, so that whatever the true run leaves behind is left last."""
        if self._first is None:  # before any fold ran
            recipes = [one.recipe.estimator for one in self.collector.candidates.values() if one.recipe is not None]
            self._code = [*code_of(item.session.items), *recipes]
            self._first = Kept(self._code)
        chosen = self._chosen(item)
        if chosen is not None and self._known(*chosen) is None and self._affordable(*chosen):
            self._done[item.nodeid] = self._rehearse(item, *chosen)
        return (yield)

    def _chosen(self, item: pytest.Item) -> tuple[Candidate, Fold] | None:
        found = self.collector.candidate_of(item)
        if found is None:
            return None
        name, fold = found
        candidate = self.collector.candidates[name]
        return (candidate, fold) if fold in self._folds(candidate) else None

    def _folds(self, candidate: Candidate) -> tuple[Fold, ...]:
        """The folds to look at: one is enough where all the code is ours, since it does not know which one it runs."""
        context, plan = self.collector.context, self.collector.plans[candidate.name]
        count = 1 if _is_built_in(candidate) else context.settings.leak_dates
        identity = content_key({"candidate": candidate.identity(plan, context.dataset.digest)})
        return sampled_folds(plan, context.dataset, count=count, identity=identity)

    def _is_main(self, candidate: Candidate, fold: Fold) -> bool:
        return sampled_fold(self.collector.plans[candidate.name], self.collector.context.dataset) == fold

    def _affordable(self, candidate: Candidate, fold: Fold) -> bool:
        """Whether another rehearsal still costs little beside the folds themselves, the main one included."""
        costs = self._costs.get(candidate.name, [])
        asked = self.collector.context.settings.leak_dates > USUAL_FOLDS
        if not costs or asked or self._is_main(candidate, fold):
            return True
        expected = sum(costs) + 2 * sum(costs) / len(costs)
        fits = len({planned.fitted_at for planned in self.collector.plans[candidate.name]})  # a rehearsal shares none
        return expected <= max(FREE_SECONDS, SHARE_OF_FOLDS * min(costs) * fits)

    def _rehearse(self, item: pytest.Item, candidate: Candidate, fold: Fold) -> Rehearsed:
        started = time.perf_counter()
        done = Rehearsed(data=self._changed(fold, self._everything(candidate)))
        self.bench, self._current = self._bench_of(done.data), done
        properties = list(item.user_properties)
        try:
            with self._as_first():
                self._run(item, done)
        finally:
            self.bench = self._current = None
            item.user_properties[:] = properties
        if candidate.recipe is not None:
            done.company += company_of_estimator(candidate.recipe.estimator)
        done.seconds = time.perf_counter() - started
        return done

    def _everything(self, candidate: Candidate) -> Changes:
        """Whoever uses groups that are known at tip-off may know who plays."""
        return replace(EVERYTHING, presence=all(group.known_at != "tipoff" for group in candidate.groups))

    def _as_first(self) -> AbstractContextManager[None]:
        """The state in which the session began: what earlier folds left behind came from true games."""
        return nullcontext() if self._first is None else as_first(self._first, self._code)

    def _run(self, item: Any, done: Rehearsed) -> None:
        """The item's setup, call and teardown, without a report; then as if it had never run."""
        sections = len(getattr(item, "_report_sections", ()))
        forget_fixtures(item)
        with watched(done.reads, libraries=False), done.fits.counted():
            done.problem = phase(item, "setup", lambda: item.ihook.pytest_runtest_setup(item=item))
            if done.problem is None:
                quiet(item)
                code = [where for part in code_of([item]) for where in company_of(part, {})]
                done.company = tuple(dict.fromkeys([*company_of(item.obj, handed_by_others(item)), *code]))
                done.problem = phase(item, "call", lambda: item.ihook.pytest_runtest_call(item=item))
        phase(item, "teardown", lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=item.parent))
        forget_fixtures(item)
        item._initrequest()  # noqa: SLF001 - the only way to run an item once more, as rerun plugins do
        del item._report_sections[sections:]  # noqa: SLF001 - what the rehearsal printed is not the test's

    def _changed(self, fold: Fold, changes: Changes, **train: Any) -> Rehearsal:
        dataset, settings = self.collector.context.dataset, self.collector.context.settings
        known = settings.known_columns
        return rehearsal(dataset, fold, seed=settings.seed, changes=changes, known=known, **train)

    def _bench_of(self, data: Rehearsal) -> Workbench:
        """A bench without models or folds of its own: everything is done anew."""
        return Workbench(dataset=data, store=Nowhere(), threads=self.collector.context.threads, use_cache=False)

    def note(self, active: ActiveFold) -> None:
        """The fold that the rehearsed test was handed."""
        if self._current is not None:
            self._current.active = active

    # after it

    def properties(self, item: pytest.Item, active: ActiveFold) -> list[tuple[str, object]]:
        """The check's verdict for the report, if this fold was rehearsed; the test is set up still."""
        chosen = self._chosen(item)
        done = self._done.pop(item.nodeid, None)
        if chosen is None or active.result is None:
            return []
        known = self._known(*chosen)
        if done is None:
            return [] if known is None else [(CHECK_PROPERTY, json.dumps({**known, "seconds": 0.0}))]
        found = self._judged(item, done, active, chosen[0])
        self._costs.setdefault(chosen[0].name, []).append(found["seconds"])
        self._keep(*chosen, found)
        return [(CHECK_PROPERTY, json.dumps(found))]

    def _judged(self, item: pytest.Item, done: Rehearsed, active: ActiveFold, candidate: Candidate) -> dict[str, Any]:
        started = time.perf_counter()
        train = done.active.train if done.active is not None and done.fits.rows else None
        found = Found(group=active.candidate_name)
        found.leak("undeclared source", "; ".join([*dict.fromkeys(filter(_is_data, done.reads)), *done.company]))
        if train is not None and (picked := picked_rows(self.collector.context.dataset.games, train, done.fits)):
            found.leak("rows picked by outcome", str(picked["detail"]))
        if done.predictions is None:
            found.unknown = f"its test could not be run again on changed games: {done.problem or 'it recorded nothing'}"
        elif (move := self._move(done.data, _predicted(active), done.predictions)) is not None:
            kind, found.unknown = self._kind(item, done, active)
            found.leak(kind, "", move)
        elif not found.leaks and self._is_main(candidate, active.plan_fold):
            self._look_closer(item, active, candidate, found)
        return {
            "leaks": [leak.to_dict() for leak in found.leaks],
            "unknown": found.unknown,
            "warning": done.fits.left_out(len(train)) if train is not None else None,
            "seconds": done.seconds + time.perf_counter() - started,
        }

    def _kind(self, item: Any, done: Rehearsed, active: ActiveFold) -> tuple[str | None, str | None]:
        """What moves the predictions, one change at a time, or why nobody knows: they move with nothing changed."""
        true, plain = _predicted(active), self._changed(active.plan_fold, Changes())
        still = self._again(item, active, plain)
        if still is None or self._move(plain, true, still) is not None:
            twice = self._again(item, active, plain)
            if still is None or twice is None or self._move(plain, still, twice) is not None:
                return None, NOISE
            if done.predictions is not None and self._move(done.data, still, done.predictions) is None:
                return None, STATE
            true = still
        found = (kind for kind, changes in KINDS.items() if self._moves(item, active, changes, true))
        kind = next(found, "test outcomes")
        alone = kind == "same-day presence" and self.collector.candidates[active.candidate_name].spec.code is None
        return "test rows" if alone else kind, None  # an estimator knows its batch, not who plays

    def _look_closer(self, item: Any, active: ActiveFold, candidate: Candidate, found: Found) -> None:
        """What one combined change may not show: a choice by the outcomes, and training rows without weight."""
        true = _predicted(active)
        if not _is_built_in(candidate) and self._moves(item, active, MIRRORED, true, otherwise=False):
            found.leak("test outcomes", "chooses among predictions by the outcomes")
        elif not _is_built_in(candidate) or _is_own(candidate.recipe.estimator if candidate.recipe else None):
            found.leak("rows picked by outcome", self._weightless(item, active) or "")

    def _weightless(self, item: Any, active: ActiveFold) -> str | None:
        dataset, fold = self.collector.context.dataset, active.plan_fold
        rows = dataset.positions(fold.train_start, fold.fitted_at)
        y = dataset.targets["actual"].iloc[rows].rename("+".join(dataset.target_columns))

        def moves(y: pd.Series[float], mixed: pd.Index[Any] | None = None) -> bool:
            data = self._changed(fold, Changes(), train=(y, mixed))
            again = self._again(item, active, data)
            return again is None or self._move(data, _predicted(active), again) is not None

        return weightless_rows(dataset.games.iloc[rows], y, moves)

    def _moves(
        self, item: Any, active: ActiveFold, changes: Changes, true: pd.DataFrame, *, otherwise: bool = True
    ) -> bool:
        data = self._changed(active.plan_fold, changes)
        again = self._again(item, active, data)
        return otherwise if again is None else self._move(data, true, again) is not None

    def _again(self, item: Any, active: ActiveFold, data: Rehearsal) -> pd.DataFrame | None:
        """What the test, which is set up still, records on other data; None if nothing."""
        again = active.on(self._bench_of(data))
        replaced = {"fold": again, "nbaprops_games": data.games, "nbaprops_features": data.all_features}
        handed = dict(item.funcargs)
        item.funcargs.update({name: value for name, value in replaced.items() if name in handed})
        quiet(item)
        try:
            with self._as_first():
                item.ihook.pytest_pyfunc_call(pyfuncitem=item)
        except Exception:  # noqa: BLE001, S110 - what was recorded before counts
            pass
        finally:
            item.funcargs.update(handed)
        return None if again.result is None else again.result.predictions

    def _move(self, data: Rehearsal, true: pd.DataFrame, again: pd.DataFrame) -> dict[str, object] | None:
        """The largest move; `true` may be of all rows to predict, or of those that are there."""
        shown = data.shown
        before = true[shown] if len(true) == len(shown) else true
        return moved_prediction(self.collector.context.dataset.games, before, again, data.kept[shown])

    # what is known from earlier sessions

    def _known(self, candidate: Candidate, fold: Fold) -> dict[str, Any] | None:
        bench = self.collector.context.bench
        return bench.store.check(self._key(candidate, fold)) if bench.use_cache and _is_built_in(candidate) else None

    def _keep(self, candidate: Candidate, fold: Fold, found: Mapping[str, Any]) -> None:
        if _is_built_in(candidate):
            self.collector.context.bench.store.keep_check(self._key(candidate, fold), found)

    def _key(self, candidate: Candidate, fold: Fold) -> str:
        digest = self.collector.context.dataset.digest
        return content_key(
            {
                "rehearsal": [GUARD_VERSION, REHEARSAL_VERSION],
                "fold": candidate.fold_key(fold, digest),
                "data": digest.full,
            }
        )


def _is_data(read: str) -> bool:
    """Whether something that was heard may tell a test about games; not where libraries look for libraries."""
    modules = tuple(f"open {path!r}" for path in sys.path if path)
    harmless = read.startswith(COUNTS_CORES) or read.endswith(LOCK_OF_TMP_PATH) or read in modules
    return read.startswith(DATA_READ) and not harmless


def _predicted(active: ActiveFold) -> pd.DataFrame:
    if active.result is None:
        raise RuntimeError("only folds with a result are judged")
    return active.result.predictions


def _is_built_in(candidate: Candidate) -> bool:
    """Whether the test is ours, so that the fold's key says all about it; fixtures of other tests have no digest."""
    return candidate.spec.code is None


def _is_own(estimator: Any) -> bool:
    """Whether an estimator, or one inside of it, is the project's code."""
    parameters: Mapping[str, Any] = getattr(estimator, "get_params", dict)()
    parts = [part for value in parameters.values() for part in (value if isinstance(value, list | tuple) else [value])]
    inside = [piece for part in parts for piece in (part if isinstance(part, tuple) else [part])]
    return estimator is not None and any(is_project(type(part)) for part in [estimator, *inside])
