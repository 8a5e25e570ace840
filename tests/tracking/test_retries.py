"""Requests whose answers are lost on the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import retries
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.retries import PatientClient, RetryingClient, create_once
from pytest_nbaprops.tracking.search import versions
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from xgboost import XGBRegressor

    from pytest_nbaprops.tracking.connection import Store

LOST = "API request to http://h/api failed with exception ('Connection aborted.', RemoteDisconnected('closed'))"


class Lossy:
    """A client of which every method does its work and loses its first answer."""

    def __init__(self, client: Any, methods: set[str]) -> None:
        self.client, self.methods, self.lost = client, methods, set[str]()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            if name in self.methods and name not in self.lost:
                self.lost.add(name)
                raise MlflowException(LOST)
            return answer

        return call


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(retries, "_PAUSES", (0, 0, 0))


def test_a_busy_server_is_asked_again() -> None:
    """As often as it takes a proxy to calm down, and no more; who refuses is not asked twice."""

    class Busy:
        def __init__(self, *answers: str) -> None:
            self.answers = list(answers)

        def get_run(self, run_id: str) -> str:
            if self.answers:
                raise MlflowException(self.answers.pop())
            return run_id

    assert RetryingClient(Busy(*["too many 429 error responses"] * 3)).get_run("a") == "a"
    with pytest.raises(MlflowException, match="503"):
        RetryingClient(Busy(*["error code 503 != 200"] * 4)).get_run("a")
    refusing = Busy("error code 400: no", "error code 400: no")
    with pytest.raises(MlflowException):
        RetryingClient(refusing).get_run("a")
    assert len(refusing.answers) == 1


def test_nothing_is_made_twice_where_an_answer_was_lost(store: Store, booster: XGBRegressor) -> None:
    """One run, one version and one entry of the journal, with everything that was to be in them."""
    methods = {"create_run", "create_model_version", "log_batch", "set_tag", "set_registered_model_alias", "update_run"}
    lossy = Lossy(store.client, methods)
    store.client = RetryingClient(lossy)  # as the store of a server has it
    with StandardNBAPropsTracker("League", store=store) as tracker:
        run_id = tracker.start_run("one")
        tracker.log_validation_metrics({"mae": 5.0})
        uri = tracker.log_model(booster, "xgboost", content="c1")
    registry = ModelRegistry(store=store)
    version = registry.register_model(uri, "League")
    lossy.lost.discard("create_model_version")
    registry.promote_model("League", version, "production")
    with store.calling("count") as client:
        assert [run.info.run_id for run in client.search_runs([tracker.experiment_id])] == [run_id]
        assert client.get_run(run_id).data.metrics == {"mae": 5.0}
        assert len(versions(client, "League")) == 1
        assert len(versions(client, "League.nbaprops-journal")) == 1
    assert registry.aliases("League") == {"production": version}
    assert len(lossy.lost) >= 5


def test_what_was_refused_is_not_sent_again() -> None:
    """Only an answer that was lost, or a server's own trouble, is worth another try."""
    calls = []

    def refused() -> None:
        calls.append(1)
        raise MlflowException("error code 400: bad name")

    with pytest.raises(MlflowException):
        create_once(refused, lambda: None)
    assert len(calls) == 1


def test_a_locked_sqlite_file_is_waited_for(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is locked when MLflow first opens its registry: what met the lock was not done."""
    monkeypatch.setattr(retries, "_PAUSE_SECONDS", 0.01)
    client, refusals = connect(uri).client, [RuntimeError("(sqlite3.OperationalError) database is locked")] * 2

    class Locked:
        def create_experiment(self, name: str) -> str:
            if refusals:
                raise refusals.pop()
            return str(client.create_experiment(name))

    assert PatientClient(Locked()).create_experiment("League")
    assert not refusals
    monkeypatch.setattr(retries, "_LOCKED_SECONDS", -1)
    refusals.append(RuntimeError("(sqlite3.OperationalError) database is locked"))
    with pytest.raises(RuntimeError):
        PatientClient(Locked()).create_experiment("League/2")
