"""An mlflow.db of an older schema than MLflow opens without migrating it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing.opening import open_source
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from tests.importing.conftest import bring, new_id
from tests.importing.old_store import START, experiment, fingerprint, run_id, write

# MLflow 1.x: no is_nan, no run names, no aliases, no logged models.
SCHEMA = """
CREATE TABLE alembic_version (version_num VARCHAR(32));
INSERT INTO alembic_version VALUES ('451aebb31d03');
CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR, artifact_location VARCHAR, lifecycle_stage VARCHAR);
CREATE TABLE runs (run_uuid VARCHAR, name VARCHAR, user_id VARCHAR, status VARCHAR, start_time BIGINT, end_time BIGINT,
    lifecycle_stage VARCHAR, artifact_uri VARCHAR, experiment_id INTEGER);
CREATE TABLE metrics (key VARCHAR, value FLOAT, timestamp BIGINT, run_uuid VARCHAR, step BIGINT);
CREATE TABLE params (key VARCHAR, value VARCHAR, run_uuid VARCHAR);
CREATE TABLE tags (key VARCHAR, value VARCHAR, run_uuid VARCHAR);
CREATE TABLE datasets (dataset_uuid VARCHAR);
INSERT INTO datasets VALUES ('d1');
CREATE TABLE registered_models (name VARCHAR, description VARCHAR);
CREATE TABLE model_versions (name VARCHAR, version INTEGER, current_stage VARCHAR, source VARCHAR, run_id VARCHAR);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "mlflow.db"
    write(path.parent / "mlruns" / "1" / run_id(1) / "artifacts" / "model" / "model.pkl", "no pickle at all")
    place = f"./mlruns/1/{run_id(1)}/artifacts"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = wal").fetchone()
        database.executescript(SCHEMA)
        database.execute("INSERT INTO experiments VALUES (1, 'Phase 2', './mlruns/1', 'active')")
        row = (run_id(1), "", "bob", "FINISHED", START, START + 1, "active", place, 1)
        database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        points = [("val_mae", 6.0 - step, START + step, run_id(1), step) for step in range(3)]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?)", points)
        database.execute("INSERT INTO metrics VALUES ('r2', ?, ?, ?, 0)", (1.7976931348623157e308, START, run_id(1)))
        database.execute("INSERT INTO tags VALUES ('mlflow.runName', 'opponent', ?)", (run_id(1),))
        database.execute("INSERT INTO registered_models VALUES ('Old', 'of old')")
        database.execute(
            "INSERT INTO model_versions VALUES ('Old', 1, 'Production', ?, ?)", (f"{place}/model", run_id(1))
        )
    return path


def test_an_old_schema_is_read_as_it_is(old: Path, store: Store) -> None:
    """Runs, histories, files and stages; the source is neither migrated nor touched, not even its folder."""
    before = fingerprint(old.parent)
    summary = bring(old, store)
    assert fingerprint(old.parent) == before
    assert (summary.imported["runs"], summary.imported["versions"]) == (1, 1)
    with store.calling("read", artifacts=True) as client:
        run = client.get_run(new_id(store, 1))
        history = client.get_metric_history(run.info.run_id, "val_mae")
        files = [entry.path for entry in client.list_artifacts(run.info.run_id, "model")]
    assert ("1 datasets", "left out") in {(one.what, one.outcome) for one in summary.ordered()}
    assert run.info.run_name == "2023-01-02_p2_opponent_v1"
    assert [(point.step, point.value) for point in history] == [(0, 6.0), (1, 5.0), (2, 4.0)]
    assert run.data.tags[tags.NOT_FINITE] == "r2"
    assert files == ["model/model.pkl"]
    assert ModelRegistry(store=store).aliases("Old") == {"production": "1"}
    assert bring(old, store).imported.total() == 0


def test_what_is_no_store_is_one_line(tmp_path: Path) -> None:
    """A missing path, an empty folder, another database, another file."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE shopping (list TEXT)")
    write(tmp_path / "text.db", "text")
    (tmp_path / "empty").mkdir()
    experiment(tmp_path / "mlruns", "1", "One")
    for name, said in (
        ("missing", "there is no .*missing: name an mlruns folder"),
        ("empty", "holds no experiments"),
        ("mlruns/1", "is one experiment or run of a store: name the mlruns folder above it"),
        ("other.db", "not one of MLflow"),
        ("text.db", "no SQLite database"),
    ):
        with pytest.raises(TrackingError, match=said):
            open_source(str(tmp_path / name))
