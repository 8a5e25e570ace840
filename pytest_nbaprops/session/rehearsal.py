"""Runs some folds again in a process of the leak guard, on a world that could have been."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.leaks.at_hand import data_at_hand, held_value
from pytest_nbaprops.leaks.fits import fits_counted
from pytest_nbaprops.leaks.reads import Read, is_library_file
from pytest_nbaprops.leaks.sealed import reach_no_server
from pytest_nbaprops.leaks.world import world
from pytest_nbaprops.session.child import Order
from pytest_nbaprops.session.collection import planned_key
from pytest_nbaprops.session.context import Context, read_context
from pytest_nbaprops.session.evidence import first_line
from pytest_nbaprops.session.fixtures import active_fold_key
from pytest_nbaprops.session.worker import register_collector
from pytest_nbaprops.walkforward.dataset import Dataset
from pytest_nbaprops.walkforward.evaluate import unfitted
from pytest_nbaprops.walkforward.store import FoldStore
from pytest_nbaprops.wholefile import file_digest


@dataclass(kw_only=True)
class FoldAgain:
    """One fold that was run again: what it predicts, why not, what it read and held, the rows its fits got, its time.

    `asserted`: it ended because an assertion did not hold.
    """

    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    failure: str = "it recorded nothing"
    reads: list[Read] = field(default_factory=list)
    fits: list[int] = field(default_factory=list)
    asserted: bool = False
    seconds: float = 0.0


@dataclass(kw_only=True)
class Again:
    """What a rehearsal leaves: its folds by node id, what was read around them, and the project's files by digest.

    `variables` are the names of environment variables that the project asked for.
    `failure` says why a fold is not there, `offline` whether no server could be reached.
    """

    folds: dict[str, FoldAgain] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    files: dict[str, str | None] = field(default_factory=dict)
    variables: list[str] = field(default_factory=list)
    failure: str = "it did not run"
    offline: bool = False


class Rehearsal:
    """Runs the folds that are asked for."""

    def __init__(self, config: pytest.Config, order: Order, pasted: tuple[str, ...]) -> None:
        self.config, self.order, self.pasted = config, order, pasted
        self.again = Again()
        self._holding: dict[str, list[Read]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self.again.reads += self.order.listener.take()
        try:
            context = read_context(self.config, Path(self.order.told["context"]), threads=self.order.told["threads"])
        except NBAPropsError as error:  # of a hook, where the files that it reads say something else
            self.again.failure = str(error)
            self._leave()
            raise
        self.world = world(context.dataset, **self.order.told["world"])
        in_world = _in_world(context, self.world.dataset, self.order.folder)
        self.collector = register_collector(self.config, in_world, pasted=self.pasted, worker="again", rehearses=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Before a test module is imported, and not earlier: plugins have servers of their own."""
        if self.order.told["other"]:
            self.again.offline = reach_no_server()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Only the folds that are asked for."""
        others = [item for item in items if item.nodeid not in self.order.told["nodeids"]]
        items[:] = [item for item in items if item not in others]
        for item in items:  # before anything is fitted, or handed from one test to the next
            self._held(item)
        if others:
            config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        """What a test's own call reads is its candidate's business; all else may reach every candidate."""
        fold = self.again.folds[item.nodeid] = FoldAgain(reads=self._held(item))
        self.again.reads += self.order.listener.take()
        began = time.perf_counter()
        try:
            with fits_counted(fold.fits) if _is_own(item) else nullcontext():
                return (yield)
        finally:  # what it recorded counts, whatever became of it afterwards
            fold.seconds = time.perf_counter() - began
            self.order.tick()
            fold.reads += self.order.listener.take()
            active = item.stash.get(active_fold_key, None)
            if active is not None and active.fits_all:  # or got a model that another fold of the fit has made
                fold.fits.clear()
            if active is not None and active.result is not None:
                fold.predictions = self.world.judged(active.result.predictions)

    def _held(self, item: Any) -> list[Read]:
        if planned_key not in item.stash:
            return []
        candidate, _ = item.stash[planned_key]
        if candidate.name not in self._holding:
            own = [item.function] if candidate.spec.code is not None else []
            recipe = [] if candidate.recipe is None else [unfitted(candidate, threads=1)]
            parameters = [value for name, value in item.callspec.params.items() if name != "fold"]
            held = [read for value in parameters for read in held_value(value)]
            held += data_at_hand(*own, *recipe, rows_declared=self.order.listener.rows_declared)
            self._holding[candidate.name] = held
        return list(self._holding[candidate.name])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported in another world leaves no fold."""
        if report.failed:
            self.again.failure = first_line(report)

    def pytest_exception_interact(self, node: Any, call: pytest.CallInfo[Any]) -> None:
        fold = self.again.folds.setdefault(node.nodeid, FoldAgain())
        if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
            fold.asserted = fold.predictions.empty

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.again.folds.setdefault(report.nodeid, FoldAgain()).failure = first_line(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Any:
        try:
            return (yield)
        finally:  # however a conftest ends it
            self._leave()

    def _leave(self) -> None:
        self.again.reads += self.order.listener.take()
        modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        files = {str(file) for file in modules if str(file).endswith(".py") and not is_library_file(str(file))}
        self.again.files = {file: file_digest(file) for file in sorted(files)}
        self.again.variables = sorted(self.order.listener.variables)
        self.order.leave(self.again)


def _is_own(item: pytest.Item) -> bool:
    """Whether a test is the user's, which may fit by itself."""
    return planned_key in item.stash and item.stash[planned_key][0].spec.code is not None


def _in_world(context: Context, dataset: Dataset, folder: Path) -> Context:
    """The session's context on other games, with a fold store of its own."""
    other = replace(context, settings=replace(context.settings, use_cache=False), dataset=dataset)
    store = FoldStore(folder / "store")
    other.__dict__["resources"] = replace(
        context.resources, dataset=dataset, store=store, use_cache=False, models=OrderedDict()
    )
    return other
