"""Runs the test of one fold of every candidate a second time, on games that end otherwise. Where tests run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pytest

from pytest_nbaprops.features.code import is_project
from pytest_nbaprops.gate.leakage import GUARD_VERSION
from pytest_nbaprops.gate.leaks.audit import watched
from pytest_nbaprops.gate.leaks.company import company_of, company_of_estimator
from pytest_nbaprops.gate.leaks.leak import NO_EXAMPLE, Leak
from pytest_nbaprops.gate.leaks.rehearsal import (
    EVERYTHING,
    KINDS,
    Changes,
    Rehearsal,
    moved_prediction,
    rehearsal,
    sampled_fold,
)
from pytest_nbaprops.gate.leaks.row_picking import Fits, picked_rows
from pytest_nbaprops.walkforward.active import ActiveFold
from pytest_nbaprops.walkforward.candidate import Candidate, content_key
from pytest_nbaprops.walkforward.evaluate import Workbench
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.store import FoldEntry, FoldStore

if TYPE_CHECKING:
    from pytest_nbaprops.session.collection import FoldCollector

CHECK_PROPERTY = "nbaprops_check"
OURS = ("fold", "nbaprops_games", "nbaprops_features")
DATA_READ = (
    "open ", "sqlite3.connect", "socket.connect", "urllib.Request", "http.client.connect", "mmap.__new__", "glob.glob",
    "gc.get_objects", "gc.get_referrers",
)  # fmt: skip


class Nowhere(FoldStore):
    """A fold store that keeps nothing: what is rehearsed is no result."""

    def __init__(self) -> None:
        self.folder = Path()

    def fold(self, key: str) -> FoldEntry | None:
        del key
        return None

    def keep_fold(self, key: str, entry: FoldEntry) -> None:
        del key, entry

    def model(self, key: str) -> bytes | None:
        del key
        return None

    def keep_model(self, key: str, content: bytes) -> None:
        del key, content


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


class Rehearsals:
    """One rehearsal for each candidate; the collector asks for its bench and its verdict."""

    def __init__(self, collector: FoldCollector) -> None:
        self.collector = collector
        self.bench: Workbench | None = None  # in place of the session's, while a rehearsal runs
        self._current: Rehearsed | None = None
        self._done: dict[str, Rehearsed] = {}

    # before the fold's own run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Rehearse first, so that whatever the true run leaves behind is left last."""
        chosen = self._chosen(item)
        if chosen is not None:
            candidate, fold = chosen
            if self._known(candidate, fold) is None:
                self._done[item.nodeid] = self._rehearse(item, candidate, fold)
        return (yield)

    def _chosen(self, item: pytest.Item) -> tuple[Candidate, Fold] | None:
        found = self.collector.candidate_of(item)
        if found is None:
            return None
        name, fold = found
        chosen = sampled_fold(self.collector.plans[name], self.collector.context.dataset) == fold
        return (self.collector.candidates[name], fold) if chosen else None

    def _rehearse(self, item: pytest.Item, candidate: Candidate, fold: Fold) -> Rehearsed:
        started = time.perf_counter()
        done = Rehearsed(data=self._changed(fold, EVERYTHING))
        self.bench, self._current = self._bench_of(done.data), done
        properties = list(item.user_properties)
        try:
            self._run(item, done)
        finally:
            self.bench = self._current = None
            item.user_properties[:] = properties
        if candidate.recipe is not None:
            done.company += company_of_estimator(candidate.recipe.estimator)
        done.seconds = time.perf_counter() - started
        return done

    def _run(self, item: Any, done: Rehearsed) -> None:
        """The item's setup, call and teardown, without a report; then as if it had never run."""
        sections = len(getattr(item, "_report_sections", ()))
        _forget_fixtures(item)
        with watched(done.reads, libraries=False), done.fits.counted():
            done.problem = _phase(item, "setup", lambda: item.ihook.pytest_runtest_setup(item=item))
            if done.problem is None:
                done.company = company_of(item.obj, _handed_by_others(item))
                done.problem = _phase(item, "call", lambda: item.ihook.pytest_runtest_call(item=item))
        _phase(item, "teardown", lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=item.parent))
        _forget_fixtures(item)
        item._initrequest()  # noqa: SLF001 - the only way to run an item once more, as rerun plugins do
        del item._report_sections[sections:]  # noqa: SLF001 - what the rehearsal printed is not the test's

    def _changed(self, fold: Fold, changes: Changes) -> Rehearsal:
        context = self.collector.context
        return rehearsal(context.dataset, fold, seed=context.settings.seed, changes=changes)

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
        if chosen is None or active.result is None:
            return []
        known = self._known(*chosen)
        found = {**known, "seconds": 0.0} if known is not None else None
        if found is None:
            found = self._judged(item, self._done.pop(item.nodeid), active)
            self._keep(*chosen, found)
        return [(CHECK_PROPERTY, json.dumps(found))]

    def _judged(self, item: pytest.Item, done: Rehearsed, active: ActiveFold) -> dict[str, Any]:
        group, leaks, unknown = active.candidate_name, [], None
        if sources := [*dict.fromkeys(read for read in done.reads if read.startswith(DATA_READ)), *done.company]:
            example = {**NO_EXAMPLE, "detail": "; ".join(sources)}
            leaks.append(Leak(group=group, columns=(), kind="undeclared source", example=example))
        train = done.active.train if done.active is not None and done.fits.rows else None
        if train is not None and (picked := picked_rows(self.collector.context.dataset.games, train, done.fits)):
            leaks.append(Leak(group=group, columns=(), kind="rows picked by outcome", example=picked))
        if done.predictions is None:
            unknown = f"its test could not be run again on changed games: {done.problem or 'it recorded nothing'}"
        elif (move := _moved(done.data, active, done.predictions)) is not None:
            kind = self._kind(item, active)
            if kind is None:
                unknown = "its predictions differ from run to run; seed everything random, or set random_state"
            else:
                leaks.append(Leak(group=group, columns=(), kind=kind, example=move))
        said = done.fits.left_out(len(train)) if train is not None else None
        return {
            "leaks": [leak.to_dict() for leak in leaks],
            "unknown": unknown,
            "warning": said,
            "seconds": done.seconds,
        }

    def _kind(self, item: Any, active: ActiveFold) -> str | None:
        """What moves the predictions, one change at a time; None where they move with nothing changed."""
        if self._moves(item, active, Changes()):
            return None
        found = (kind for kind, changes in KINDS.items() if self._moves(item, active, changes))
        return next(found, "test outcomes")

    def _moves(self, item: Any, active: ActiveFold, changes: Changes) -> bool:
        data = self._changed(active.plan_fold, changes)
        again = active.on(self._bench_of(data))
        replaced = {"fold": again, "nbaprops_games": data.games, "nbaprops_features": data.all_features}
        handed = dict(item.funcargs)
        item.funcargs.update({name: value for name, value in replaced.items() if name in handed})
        try:
            item.ihook.pytest_pyfunc_call(pyfuncitem=item)
        except Exception:  # noqa: BLE001, S110 - what was recorded before counts; nothing recorded counts as moved
            pass
        finally:
            item.funcargs.update(handed)
        return again.result is None or _moved(data, active, again.result.predictions) is not None

    # what is known from earlier sessions

    def _known(self, candidate: Candidate, fold: Fold) -> dict[str, Any] | None:
        bench = self.collector.context.bench
        return bench.store.check(self._key(candidate, fold)) if bench.use_cache and _is_built_in(candidate) else None

    def _keep(self, candidate: Candidate, fold: Fold, found: Mapping[str, Any]) -> None:
        if _is_built_in(candidate):
            self.collector.context.bench.store.keep_check(self._key(candidate, fold), found)

    def _key(self, candidate: Candidate, fold: Fold) -> str:
        digest = self.collector.context.dataset.digest
        return content_key({"rehearsal": GUARD_VERSION, "fold": candidate.fold_key(fold, digest), "data": digest.full})


def _moved(data: Rehearsal, active: ActiveFold, again: pd.DataFrame) -> dict[str, object] | None:
    if active.result is None:
        return None
    return moved_prediction(data.games, active.result.predictions, again, data.kept)


def _phase(item: pytest.Item, when: Literal["setup", "call", "teardown"], run: Callable[[], object]) -> str | None:
    """One phase of an item without its report being told; what went wrong, if anything did."""
    call = pytest.CallInfo.from_call(run, when, reraise=(KeyboardInterrupt, pytest.exit.Exception))
    item.ihook.pytest_runtest_makereport(item=item, call=call)  # other plugins' fixtures look at it
    return None if call.excinfo is None else " ".join(call.excinfo.exconly(tryshort=True).split())


def _is_built_in(candidate: Candidate) -> bool:
    """Whether the test is ours, so that the fold's key says all about it; fixtures of other tests have no digest."""
    return candidate.spec.code is None


def _definitions(item: Any) -> dict[str, Any]:
    """The fixture definitions behind an item by name; pytest has no public way to see them."""
    return {name: found[-1] for name, found in item._fixtureinfo.name2fixturedefs.items() if found}  # noqa: SLF001


def _forget_fixtures(item: Any) -> None:
    """Let our fixtures and the project's be made anew, also those of a module or session."""
    for name, definition in _definitions(item).items():
        if name in OURS or is_project(definition.func):
            definition.finish(item._request)  # noqa: SLF001 - as above


def _handed_by_others(item: Any) -> dict[str, object]:
    """Fixture values that are made without ours, so that changed games cannot reach them."""
    definitions = _definitions(item)

    def made_of_ours(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in OURS or name in seen:
            return name in OURS
        arguments = definitions[name].argnames if name in definitions else ()
        return any(made_of_ours(argument, seen | {name}) for argument in arguments)

    own = (name for name, definition in definitions.items() if is_project(definition.func))
    return {name: item.funcargs[name] for name in own if name in item.funcargs and not made_of_ours(name)}
