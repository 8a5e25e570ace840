"""Asks feature groups in a process of the leak guard: every question gets an interpreter in which nothing was asked."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_nbaprops.code.reached import parts_of_digest
from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.leaks.answers import Found, difference
from pytest_nbaprops.leaks.groups import ALL, BUILT_IN, FEW, Call, Examination, Heard, Material
from pytest_nbaprops.leaks.leak import detail_of
from pytest_nbaprops.leaks.sealed import reach_no_server
from pytest_nbaprops.processes import end_offspring
from pytest_nbaprops.session.child import Child, Order, run_all
from pytest_nbaprops.session.context import read_context

PATIENCE, SUSPICION = 600.0, 20.0  # seconds for one answer; where other threads may have held a lock
SLOWER = 10  # times, that an answer may take longer than one about fewer games did by the row
SECONDS_A_GROUP = 1.0  # of work at the least: a quick one needs less for all of its dates, however many there are
SECONDS_A_DATE = 2.0  # of work that all groups together may be, for each of --nbaprops-leak-dates; of a few games, too
FEWER_DATES = 8  # of the few games, where every call needs an interpreter of its own
SPAWN = "NBAPROPS_SANDBOX"  # in the environment, as "spawn": an interpreter for every call, as where nothing can fork


class Sandbox:
    """Every question is answered by a fork of this process; where a fork is not safe, by a new interpreter."""

    def __init__(self, config: pytest.Config, order: Order) -> None:
        self.config, self.order = config, order
        self.looked: set[tuple[str, str, object]] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Answer, and end this process: there is nothing to collect."""
        try:
            self.order.leave(self._answer())
        except BaseException as error:  # noqa: BLE001 - the session that waits has to hear of it
            self.order.fail(error)
        finally:
            os._exit(0)

    def _answer(self) -> object:
        told = self.order.told
        context = read_context(self.config, Path(told["context"]), threads=1)
        self.imported = self.order.listener.take()  # also what the hooks read that brought the groups
        games = context.dataset.games
        if missing := sorted(context.columns.keys() - {group.name for group in context.groups}):
            raise FeatureError(
                f"{', '.join(missing)}: no such feature group where the command is started again; "
                "bring groups by a conftest.py or a plugin that -p names"
            )
        self.material = Material.with_built_in(
            context.own_groups,
            groups=context.groups,
            games=games,
            features=context.dataset.features,
            columns=context.columns,
            root=context.root,
            data=context.settings.data,
            listener=self.order.listener,
            seed=context.settings.seed,
            known=(*context.settings.known_columns, *told.get("known", ())),
            few=games["GAME_ID"].isin(told["few_games"]),
        )
        if "call" in told:
            return _answered(self.material, Call(**told["call"]))
        gc.freeze()  # forks copy what the collector touches
        # Windows cannot fork, and macOS with its frameworks should not.
        self.forks = sys.platform.startswith("linux") and os.environ.get(SPAWN) != "spawn"
        self.patience = PATIENCE if _only_thread() else SUSPICION
        own = {*context.own_groups} & {*(told["plan"] or ())}
        self.seconds = max(SECONDS_A_GROUP, SECONDS_A_DATE * context.settings.leak_dates / max(1, len(own)))
        self.pace: dict[str, float] = {}
        return {name: self._group(name) for name in told["groups"]}

    def _group(self, name: str) -> dict[str, Any]:
        plan = self.order.told["plan"]
        if plan is None:  # in another interpreter only its answer counts
            heard = self._asked(Call(group=name, league=FEW))
            reads = [*self.imported, *heard.reads]
            return {"few": heard.answers[0], "reads": reads, "moved": self._moved(name) if reads else None}
        dates, few_dates = (list(map(date.fromisoformat, plan[name][part])) for part in ("dates", "few_dates"))
        started = time.perf_counter()
        few_dates = few_dates if self.forks else few_dates[:FEWER_DATES]
        found = Examination(self.material, name, self._asked, {ALL: dates, FEW: few_dates}, self.seconds)
        reads = [*self.imported, *found.reads]
        return {
            "leaks": found.leaks,
            "few": found.few,
            "reads": reads,
            "dates": found.looked[ALL],
            "few_dates": found.looked[FEW],
            "seconds": time.perf_counter() - started,
            "made_of": parts_of_digest(self.material.groups[name].function) if name != BUILT_IN else [],
        }

    def _moved(self, name: str) -> Found | None:
        """How a group's answer for all games differs here from what the folds were given."""
        games, answer = self.material.games, self._asked(Call(group=name, league=ALL)).answers[0]
        rows = np.arange(len(games))
        return difference(games, self.material.given(name), rows, answer, rows)

    def _asked(self, call: Call) -> Heard:
        """The answer of a fork; where one hangs, because a library's threads held a lock, of new interpreters."""
        looked = (call.group, call.league, call.date)
        if call.date is not None and looked not in self.looked:
            self.looked.add(looked)
            self.order.tick()
        answer = self._forked(call) if self.forks else self._spawned(call)
        if not isinstance(answer, Heard):
            raise RuntimeError(str(answer))  # noqa: TRY004 - what another process said
        rows = len(self.material.league(call.league).games) * call.times
        self.pace[call.group] = max(self.pace.get(call.group, 0.0), answer.seconds / max(1, rows))
        return answer

    def _forked(self, call: Call) -> object:
        self.material.league(call.league).scene(call.change, call.date)  # made here, so that others can use it
        here, there = multiprocessing.Pipe(duplex=False)
        process = os.fork()
        if process == 0:
            try:
                _send(there, self.material, call)
            finally:
                os._exit(0)
        there.close()
        rows = len(self.material.league(call.league).games) * call.times
        patience = min(PATIENCE, self.patience + SLOWER * rows * self.pace.get(call.group, 0.0))
        try:
            if here.poll(patience):
                return here.recv()
        except EOFError:
            return "its interpreter ended without an answer"
        finally:
            here.close()
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if self.patience == PATIENCE:
            return f"no answer within {PATIENCE:.0f} seconds"
        self.forks = False
        return self._spawned(call)

    def _spawned(self, call: Call) -> object:
        folder = self.order.folder / f"call-{time.monotonic_ns()}"
        order = {**self.order.told, "call": asdict(call)}
        child = Child(folder, order, hash_seed=os.environ.get("PYTHONHASHSEED", "0"))
        run_all(self.config, [child])
        return child.result or child.failure


def _only_thread() -> bool:
    """Whether no other thread can hold a lock while this process is forked."""
    tasks = Path("/proc/self/task")
    return threading.active_count() == 1 and tasks.exists() and len(list(tasks.iterdir())) == 1


def _answered(material: Material, call: Call) -> Heard:
    """In a process that answers nothing else."""
    material.listener.begin()
    if call.is_offline:
        reach_no_server()
    return material.heard(call)


def _send(pipe: Connection, material: Material, call: Call) -> None:
    gc.disable()
    answer: object
    try:
        answer = _answered(material, call)
    except BaseException as error:  # noqa: BLE001 - told to the process that waits
        answer = detail_of(error)["detail"]
    with contextlib.suppress(ChildProcessError):  # there are none
        os.waitpid(-1, os.WNOHANG)
        end_offspring(os.getpid())  # before this process is ended, without a word to the workers that a group started
    pipe.send(answer)
