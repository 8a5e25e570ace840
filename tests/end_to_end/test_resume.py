"""Nothing is lost: killed sessions, stores that go away, stores that come back."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pytest_nbaprops.registry.verify import verify
from pytest_nbaprops.tracking.connection import connect
from tests.end_to_end.conftest import CONFTEST, Train
from tests.mlflow_server import Server, running

KILLED = """
import os, pathlib, pytest

@pytest.mark.walk_forward(recipe="quick")
def test_it(fold):
    fold.evaluate()
    if fold.number == 12 and pathlib.Path("kill").exists():
        os.kill(os.{victim}(), 9)
"""


def test_a_killed_session_goes_on_where_it_stopped(train: Train, project: pytest.Pytester) -> None:
    """Killed with -9 half way: the next session takes what is there, fits the rest and resumes the same run."""
    project.makepyfile(KILLED.format(victim="getpid"))
    (project.path / "kill").touch()
    assert train(process=True).code != 0
    (project.path / "kill").unlink()
    uri = f"sqlite:///{project.path / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    (experiment,) = client.search_experiments(filter_string="name LIKE 'NBA%'")
    (running,) = client.search_runs([experiment.experiment_id])
    assert running.info.status == "RUNNING"
    session = train()
    assert session.code == 0, session.output
    assert session.candidate["folds"]["cached"] == 12
    assert session.candidate["folds"]["executed"] == 12
    assert session.candidate["run_id"] == running.info.run_id
    assert client.get_run(running.info.run_id).info.status == "FINISHED"
    assert list((project.path / ".nbaprops" / "sessions").iterdir()) == []


KILLED_AFTER_THE_PROMOTION = """
import os, pathlib

def pytest_runtest_logreport(report):
    if report.nodeid.startswith("promotion::") and pathlib.Path("kill").exists():
        os.kill(os.getpid(), 9)
"""


def test_killed_after_the_promotion_the_next_session_ends_the_run(train: Train, project: pytest.Pytester) -> None:
    """The version is there already: its run gets its verdict and a decision.json, and everything agrees again."""
    project.makeconftest(CONFTEST + KILLED_AFTER_THE_PROMOTION)
    (project.path / "kill").touch()
    assert train("--nbaprops-promote=enforce", process=True).code != 0
    (project.path / "kill").unlink()
    store = connect(f"sqlite:///{project.path / 'mlflow.db'}")
    assert [finding.what for finding in verify(store, "NBAPropsModel") if not finding.agrees] == ["version v1"]
    session = train("--nbaprops-promote=enforce")
    assert session.code == 0, session.output
    assert "already v1" in session.output
    with store.calling("look") as client:
        run = client.get_run(client.get_model_version("NBAPropsModel", "1").run_id)
        assert "decision.json" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert (run.info.status, run.data.tags["verdict"]) == ("FINISHED", "PROMOTE")
    assert all(finding.agrees for finding in verify(store, "NBAPropsModel"))


def test_a_killed_worker_is_survived(train: Train, project: pytest.Pytester) -> None:
    """A worker killed after it stored its fold: the fold is missing, the rest runs, and the next session is whole."""
    project.makepyfile(KILLED.format(victim="getpid"))
    (project.path / "kill").touch()
    session = train("-n", "2")
    assert session.code == 10, session.output
    assert session.candidate["folds"]["missing"] == 1
    (project.path / "kill").unlink()
    again = train("-n", "2")
    assert again.code == 0, again.output
    assert again.candidate["folds"]["cached"] == 24


def test_a_changed_game_recomputes_what_came_after(train: Train, project: pytest.Pytester, league: Path) -> None:
    """Folds before the changed game stay in the store; folds after it are new."""
    train()
    games = pd.read_csv(league, dtype={"GAME_ID": str})
    changed = project.path / "changed.csv"
    row = games.index[games["GAME_DATE"] == "2024-04-02"][0]
    games.loc[row, "PTS"] += 1
    games.to_csv(changed, index=False)
    session = train("--nbaprops-data", str(changed))
    cached = session.candidate["folds"]["cached"]
    before = {day for day in session.predictions["GAME_DATE"].dt.strftime("%Y-%m-%d") if day < "2024-04-02"}
    assert cached == len(before)


def test_a_store_that_cannot_be_reached_is_said_before_the_first_fit(train: Train, workers: tuple[str, ...]) -> None:
    """ERROR, exit code 11, within seconds and without a fold."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    session = train("--nbaprops-tracking-uri", address, *workers)
    assert session.code == 11, session.output + session.errors
    assert session.decision["verdict"] == "ERROR"
    assert address in session.decision["reasons"][0]
    assert "test_walk_forward" not in session.output


@pytest.fixture
def server(tmp_path: Path, migrated: Path) -> Iterator[Server]:
    """A real MLflow server on a free port."""
    shutil.copy(migrated, tmp_path / "server.db")
    with running(tmp_path / "server.db", tmp_path) as server:
        yield server


def test_a_server_that_goes_away_loses_nothing(train: Train, project: pytest.Pytester, server: Server) -> None:
    """The folds go on, the verdict is ERROR, and the same command elsewhere logs them without a fit."""
    project.makepyfile(
        "import os, signal, pytest\n\n@pytest.mark.walk_forward(recipe='quick')\ndef test_it(fold):\n"
        "    fold.evaluate()\n    if fold.number == 12 and os.path.exists('kill'):\n"
        f"        os.unlink('kill'); os.killpg({server.process.pid}, signal.SIGKILL)\n"
    )
    (project.path / "kill").touch()
    session = train("--nbaprops-tracking-uri", server.uri, "--nbaprops-promote", "enforce")
    assert session.code == 11, session.output
    assert session.candidate["folds"]["executed"] == 24
    assert session.decision["promoted"] is False
    again = train("--nbaprops-promote", "enforce")
    assert again.code == 0, again.output
    assert again.candidate["folds"]["cached"] == 24


def test_a_server_is_as_good_as_a_file(train: Train, server: Server) -> None:
    """Promotion through a real MLflow server; workers, who never speak with it, change nothing about that."""
    session = train("--nbaprops-tracking-uri", server.uri, "--nbaprops-promote", "enforce", "-n", "2")
    assert session.code == 0, session.output
    client = mlflow.MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)
    assert str(client.get_model_version_by_alias("NBAPropsModel", "staging").version) == "1"
