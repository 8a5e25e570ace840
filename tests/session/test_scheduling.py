"""Handing out fits to xdist's workers, some of which die."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_nbaprops.session.scheduling import FitScheduling

FOLDS = [f"test_it[{fit}-{number}]" for fit in "abcd" for number in range(2)]


class Worker:
    """A worker's gateway as the scheduler sees it; a dead one raises what execnet does."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.dead = self.shutting_down = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.sent.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.fixture
def workers() -> list[Any]:
    return [Worker("gw0"), Worker("gw1")]


@pytest.fixture
def scheduling(pytestconfig: pytest.Config, workers: list[Any]) -> FitScheduling:
    """Four fits of two folds, handed out to two workers."""
    options = SimpleNamespace(loadscopereorder=False, tx=["popen", "popen"], verbose=0, debug=False)
    config: Any = SimpleNamespace(
        option=options, getvalue=lambda name: getattr(options, name), trace=pytestconfig.trace
    )
    scheduling = FitScheduling(config, None, lambda nodeid: nodeid[: len("test_it[a")])
    scheduling.numnodes = len(workers)
    for worker in workers:
        scheduling.add_node(worker)
        scheduling.add_node_collection(worker, FOLDS)
    return scheduling


def complete(scheduling: FitScheduling, worker: Any) -> None:
    """The worker runs everything that it was sent."""
    while worker.sent:
        scheduling.mark_test_complete(worker, worker.sent.pop(0))


def test_a_worker_that_is_dead_and_not_yet_missed_gets_no_work(scheduling: FitScheduling, workers: list[Any]) -> None:
    """No internal error, and of its fit not even the first fold counts as crashed: it never ran."""
    alive, dead = workers
    dead.dead = True
    scheduling.schedule()
    assert scheduling.remove_node(dead) is None
    complete(scheduling, alive)
    assert scheduling.tests_finished
    assert not scheduling.has_pending


def test_of_a_dead_worker_only_the_fold_that_ran_is_lost(scheduling: FitScheduling, workers: list[Any]) -> None:
    """It dies in the second fold of its first fit: all the others run, its next fit in the worker that replaces it."""
    alive, dead = workers
    scheduling.schedule()
    first = dead.sent.pop(0)
    dead.dead = True
    scheduling.mark_test_complete(dead, first)
    assert scheduling.remove_node(dead) == FOLDS[dead.sent[0]]
    fresh: Any = Worker("gw2")  # xdist's replacement
    scheduling.add_node(fresh)
    scheduling.add_node_collection(fresh, FOLDS)
    scheduling.schedule()
    ran = {first, *alive.sent, *fresh.sent}
    complete(scheduling, alive)
    complete(scheduling, fresh)
    assert len(ran) == len(FOLDS) - 1
    assert not scheduling.has_pending
