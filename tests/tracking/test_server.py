"""Against a real `mlflow server` process: what a database file can't show."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker
from tests import mlflow_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from xgboost import XGBRegressor


@pytest.fixture(scope="module")
def running(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow_server.Server]:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server.running(shutil.copyfile(migrated, folder / "mlflow.db"), folder) as started:
        yield started


@pytest.fixture
def mortal(migrated: Path, tmp_path: Path) -> Iterator[mlflow_server.Server]:
    """A server of one's own, to be killed."""
    with mlflow_server.running(shutil.copyfile(migrated, tmp_path / "mlflow.db"), tmp_path) as started:
        yield started


def test_a_whole_life_over_http(  # noqa: PLR0917
    running: mlflow_server.Server,
    features: pd.DataFrame,
    booster: XGBRegressor,
    predictions: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Log, store, register, promote, read back and predict, without a word on the terminal."""
    import mlflow.pyfunc  # noqa: PLC0415  as a user would

    store = connect(running.uri.replace("://", "://bob:hunter2@"))
    with StandardNBAPropsTracker("League/Phase1", store=store) as tracker:
        run_id = tracker.start_run("v1")
        for fold in range(160):
            tracker.log_walk_forward_fold(fold, "2024-01-05", predictions)
        tracker.log_predictions(predictions)
        uri = tracker.log_model(booster, "xgboost", input_example=features.head(), content="c1")
    registry = ModelRegistry(store=store)
    version = registry.register_model(uri, "League", alias="staging")
    assert registry.promote_model("League", version, "staging", expected_version=None).changed
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    assert champion.run_id == run_id
    assert registry.load_predictions(champion).equals(predictions)
    assert registry.champion("Nobody", "staging") is None
    with store.calling("look") as client:
        assert len(client.get_metric_history(run_id, "fold_mae")) == 160
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.uri)
    with quiet():
        back = mlflow.pyfunc.load_model("models:/League@staging")
    np.testing.assert_array_equal(back.predict(features.astype(np.float64)), booster.predict(features))


def test_a_server_killed_in_mid_session_is_noticed_at_once(
    mortal: mlflow_server.Server, predictions: pd.DataFrame, tmp_path: Path
) -> None:
    """The next call fails within seconds, the ones after it at once, and the run can be resumed later."""
    tracker = StandardNBAPropsTracker("League", tracking_uri=mortal.uri)
    run_id = tracker.start_run("v1", {"nbaprops.candidate": "c"})
    tracker.log_walk_forward_fold(0, "2024-01-05", predictions)
    tracker.flush()
    mortal.kill()
    tracker.log_walk_forward_fold(1, "2024-01-06", predictions)
    start = time.monotonic()
    with pytest.raises(TrackingError, match="nothing answers at this address"):
        tracker.flush()
    assert time.monotonic() - start < 10
    start = time.monotonic()
    with pytest.raises(TrackingError, match="stopped answering"):
        tracker.log_predictions(predictions)
    assert time.monotonic() - start < 1
    again = StandardNBAPropsTracker("League", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert again.start_run(run_id=run_id) == run_id


def test_a_server_that_hangs_in_mid_session_is_given_up(
    running: mlflow_server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen server takes the connection and never answers: the call ends with the limits."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    tracker = StandardNBAPropsTracker("Frozen", tracking_uri=running.uri)
    tracker.start_run("v1")
    start = time.monotonic()
    with running.frozen(), pytest.raises(TrackingError, match="does not answer in time"):
        tracker.end_run()
    assert time.monotonic() - start < 10


def test_a_deleted_experiment_is_told_over_http(running: mlflow_server.Server) -> None:
    """The server's answer about a deleted experiment becomes the same line."""
    store = connect(running.uri)
    tracker = StandardNBAPropsTracker("gone", store=store)
    with store.calling("delete") as client:
        client.delete_experiment(tracker.experiment_id)
    with pytest.raises(TrackingError, match="'gone' was deleted"):
        StandardNBAPropsTracker("gone", store=store)
