"""Sessions that are killed: controller, worker and server, at random moments and at each call and write."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

from tests.faults.case import Case
from tests.faults.moments import Kind, Moments
from tests.faults.project import FOLDS, STORIES, Project, Story
from tests.faults.server import Server, Trouble, free_port, serving
from tests.faults.session import Session

SESSION_SECONDS, WITH_WORKERS_SECONDS = 2.6, 2.6  # of the processor, in the controller
# Shares of the kills: those that need xdist's workers take three times as long.
SHARES: dict[str, int] = {
    "controller killed at a random moment": 20,
    "controller killed at a call to the store": 30,
    "controller killed at a write": 15,
    "controller killed at a call to a server": 12,
    "controller with workers killed": 6,
    "worker killed at a random moment": 7,
    "worker killed as a fold is kept": 5,
    "server killed at a random moment": 5,
}


def moment(kind: Kind, story: Story, rng: random.Random) -> int:
    """One of the session's: nothing is registered where the candidate is rejected."""
    return rng.randint(1, 64 if kind == "write" or story.code else 118)


def kills(count: int, rng: random.Random) -> Iterator[Case]:
    """So many kills, of every kind by its share."""
    for fault in rng.choices(list(SHARES), list(SHARES.values()), k=count):
        yield _case(fault, rng)


def _case(fault: str, rng: random.Random) -> Case:
    story = rng.choice(STORIES)
    if "server" in fault:
        return _with_server(fault, story, rng)
    if "call" in fault or "write" in fault:
        kind: Kind = "call" if "call" in fault else "write"
        at = moment(kind, story, rng)
        return Case(fault=fault, story=story, meet=partial(_dies_at, kind=kind, at=at), said=f"at {at}")
    return _at_random(fault, story, rng)


def _at_random(fault: str, story: Story, rng: random.Random) -> Case:
    if "random" in fault and "controller" in fault:
        after = rng.uniform(0, SESSION_SECONDS)
        return Case(fault=fault, story=story, meet=partial(_killed, after=after), said=f"after {after:.2f} s")
    if "as a fold is kept" in fault:
        fold = rng.randint(0, FOLDS - 1)
        return Case(fault=fault, story=story, meet=partial(_worker_at_fold, fold=fold), said=f"at fold {fold}")
    after = rng.uniform(0, WITH_WORKERS_SECONDS)
    meet = _worker_killed if "worker killed" in fault else partial(_killed, workers=("-n", "2"))
    return Case(fault=fault, story=story, meet=partial(meet, after=after), said=f"after {after:.2f} s")


def _with_server(fault: str, story: Story, rng: random.Random) -> Case:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    on = partial(serve, port=port)
    if "call" in fault:
        at = moment("call", story, rng)
        meet: Callable[[Project, Story], Sequence[Session]] = partial(_dies_at, kind="call", at=at)
        return Case(fault=fault, story=story, meet=meet, around=on, afterwards=on, uri=uri, said=f"at {at}")
    after = rng.uniform(0, SESSION_SECONDS)
    meet = partial(_server_killed, port=port, after=after)
    return Case(fault=fault, story=story, meet=meet, afterwards=on, uri=uri, said=f"after {after:.2f} s")


def serve(project: Project, *, port: int, trouble: Trouble | None = None) -> AbstractContextManager[Server]:
    """MLflow's server on the project's own store."""
    return serving(project.folder, port, trouble)


def _dies_at(project: Project, story: Story, *, kind: Kind, at: int) -> list[Session]:
    moments = Moments(kind=kind, at=at, do=lambda: os.kill(os.getpid(), signal.SIGKILL))
    session = project.run(story, under=moments.install)
    session.wait()
    return [session]


def _killed(project: Project, story: Story, *, after: float, workers: tuple[str, ...] = ()) -> list[Session]:
    session = project.run(story, *workers)
    session.work(after)
    session.send(signal.SIGKILL)
    session.wait()
    return [session]


def _worker_killed(project: Project, story: Story, *, after: float) -> list[Session]:
    session = project.run(story, "-n", "2")
    session.until(lambda: bool(session.workers()))
    session.work(after)
    return [_kill_a_worker(session)]


def _worker_at_fold(project: Project, story: Story, *, fold: int) -> list[Session]:
    before = project.kept()
    session = project.run(story, "-n", "2")
    session.until(lambda: len(project.kept() - before) > fold)
    return [_kill_a_worker(session)]


def _kill_a_worker(session: Session) -> Session:
    for worker in session.workers()[:1]:
        os.kill(worker, signal.SIGKILL)
    session.wait()
    return session


def _server_killed(project: Project, story: Story, *, port: int, after: float) -> list[Session]:
    with serving(project.folder, port) as server:
        session = project.run(story)
        session.work(after)
        server.kill()
        session.wait()
    return [session]
