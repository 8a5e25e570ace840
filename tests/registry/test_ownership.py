"""Whether a run left RUNNING may be taken over."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pytest_nbaprops.registry import publication
from pytest_nbaprops.registry.publication import Publication, RunRecord
from pytest_nbaprops.tracking import ownership, tags
from pytest_nbaprops.tracking.ownership import STALE_SECONDS, Owner, owners, take_over
from pytest_nbaprops.tracking.runs import ensure_experiment, find_running

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_nbaprops.tracking.connection import Store


def dead() -> Owner:
    """A process of this machine that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return replace(Owner.myself(), pid=process.pid)


def elsewhere(*, silent: float) -> Owner:
    """A session on another machine that gave its last sign of life so many seconds ago."""
    return replace(Owner.myself(), machine="another", at=time.time() - silent)


def left(store: Store, experiment: str, *there: Owner) -> str:
    """A run that is RUNNING, of these owners."""
    told = {tags.CANDIDATE: "c"}
    for owner in there:
        told |= owner.to_tag()
    with store.calling("prepare") as client:
        return str(client.create_run(experiment, tags=told).info.run_id)


def test_who_lives_is_told_by_the_process_here_and_by_the_heartbeat_elsewhere() -> None:
    """A process id that is used again is another process."""
    here = Owner.myself()
    assert here.lives
    assert replace(here, at=0.0).lives
    assert not dead().lives
    assert not here.born or not replace(here, born="1").lives
    assert elsewhere(silent=STALE_SECONDS / 2).lives
    assert not elsewhere(silent=STALE_SECONDS * 2).lives


def test_a_claim_comes_back_from_its_tag() -> None:
    """And what is none is no owner."""
    owner = replace(Owner.myself(), at=5.0)
    assert owners({**owner.to_tag(), f"{tags.OWNER_PREFIX}x": "{}", "other": "1"}) == [owner]


@pytest.mark.parametrize("owner", [None, dead, lambda: elsewhere(silent=STALE_SECONDS * 2)])
def test_a_killed_sessions_run_is_taken_over(store: Store, owner: Callable[[], Owner] | None) -> None:
    """Also one of an older version, which said nothing; the new owner is the only one then."""
    experiment = ensure_experiment(store, "a")
    run_id = left(store, experiment, *([owner()] if owner else []))
    claim = Owner.myself()
    assert take_over(store, experiment, "c", claim) == run_id
    with store.calling("look") as client:
        assert [one.key for one in owners(client.get_run(run_id).data.tags)] == [claim.key]


@pytest.mark.parametrize("owner", [Owner.myself, lambda: elsewhere(silent=1)])
def test_a_living_sessions_run_is_left_alone(store: Store, owner: Callable[[], Owner]) -> None:
    """An older one that was killed is taken over instead."""
    experiment = ensure_experiment(store, "a")
    old = left(store, experiment, dead())
    left(store, experiment, owner())
    assert take_over(store, experiment, "c", Owner.myself()) == old
    assert take_over(store, experiment, "c", Owner.myself()) is None


@pytest.mark.parametrize("finished", [False, True])
def test_of_two_that_take_over_at_once_one_withdraws(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    finished: bool,  # noqa: FBT001
) -> None:
    """Who finds another's claim beside its own, or the run at its end, takes its claim back."""
    experiment = ensure_experiment(store, "a")
    run_id = left(store, experiment, dead())
    rival = elsewhere(silent=0)
    found = find_running(store, experiment, "c")
    with store.calling("be faster") as client:
        for key, value in rival.to_tag().items():
            client.set_tag(run_id, key, value)
        if finished:
            client.delete_tag(run_id, rival.key)
            client.set_terminated(run_id)
    monkeypatch.setattr(ownership, "find_running", lambda *_: found)
    claim = Owner.myself()
    assert take_over(store, experiment, "c", claim) is None
    with store.calling("look") as client:
        assert claim.key not in client.get_run(run_id).data.tags


@pytest.fixture
def start(uri: str) -> Callable[..., Publication]:
    """Starts the run of a candidate in a session of its own."""
    games = pd.DataFrame({"PTS": [1.0]})

    def one(candidate: str, *, digest: str = "d" * 64, **params: object) -> Publication:
        session = Publication(uri=uri, experiment="a", model_name="League")
        record = RunRecord(identity="same", run_name="run_v{n}", params={"depth": 3, **params}, tags={"phase": "p1"})
        session.start(candidate, record, games, "games.csv", digest)
        return session

    return one


def stored(session: Publication, candidate: str = "c") -> Any:
    run_id = session.run_id(candidate)
    assert run_id is not None
    with session.registry().store.calling("look") as client:
        return client.get_run(run_id)


def test_two_sessions_of_one_commit_have_a_run_each(start: Callable[..., Publication]) -> None:
    """Nobody's verdict is overwritten."""
    first, second = start("c"), start("c")
    assert first.run_id("c") != second.run_id("c")
    assert [stored(session).info.run_name for session in (first, second)] == ["run_v1", "run_v2"]


def test_a_killed_sessions_run_is_resumed_only_where_no_param_differs(
    start: Callable[..., Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow refuses another value: the same candidate on data that has grown, or spelled otherwise, is another run."""
    killed = dead()
    monkeypatch.setattr(Owner, "myself", lambda: killed)
    first = start("c")
    assert start("c", digest="e" * 64).run_id("c") != first.run_id("c")
    assert start("c", test="last 8 dates").run_id("c") != first.run_id("c")
    assert start("c").run_id("c") == first.run_id("c")


def test_a_flush_now_and_then_carries_a_sign_of_life(
    start: Callable[..., Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same request as the fold's metrics."""
    session = start("c")
    monkeypatch.setattr(publication, "FLUSH_SECONDS", -1.0)
    before = owners(stored(session).data.tags)
    session.fold("c", 1, date(2024, 1, 5), {"mae": 5.8})
    assert owners(stored(session).data.tags) == before
    monkeypatch.setattr(publication, "BEAT_SECONDS", -1.0)
    session.fold("c", 2, date(2024, 1, 6), {"mae": 5.7})
    (owner,) = owners(stored(session).data.tags)
    assert (owner.key, owner.at > before[0].at) == (before[0].key, True)


def test_a_broken_session_leaves_no_run_that_is_running(start: Callable[..., Publication]) -> None:
    """FAILED with the verdict ERROR, whatever waits; and its id stays known."""
    session = start("c")
    tracker = session.tracker("c")
    tracker.log_params({"late": 4})
    with tracker.store.calling("log") as client:
        client.log_param(tracker.run_id, "late", 3)  # what waits will be refused
    session.fail("c")
    session.fail("c")
    session.fail("unknown")
    run = stored(session)
    assert (run.info.status, run.data.tags["verdict"]) == ("FAILED", "ERROR")


def test_a_run_that_ended_is_not_failed(start: Callable[..., Publication]) -> None:
    """And a store that is lost is no error."""
    session = start("c")
    session.tracker("c").end_run()
    session.fail("c")
    assert stored(session).info.status == "FINISHED"
    other = start("c")
    other.registry().store.lost = "gone"
    other.fail("c")
