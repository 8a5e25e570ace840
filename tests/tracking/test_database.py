from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.runs.lookup import Lookup
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.database import prepare_sqlite, sqlite_path, sqlite_uri
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from pytest_nbaprops.registry.registry import ModelRegistry


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////abs/mlflow.db", "/abs/mlflow.db"),
        ("sqlite+pysqlite:///x/y.db?timeout=5", "x/y.db"),
    ],
)
def test_the_file_of_a_uri(uri: str, path: str) -> None:
    """Three slashes are relative, four absolute."""
    assert sqlite_path(uri) == Path(path)


@pytest.mark.parametrize("name", ["plain.db", "with space.db", "Dončić.db", "100%20.db"])
def test_a_path_survives_the_way_through_its_uri(name: str) -> None:
    """Blanks, letters and percent signs of a path come back as they went in."""
    assert sqlite_path(sqlite_uri(Path("/folder") / name)) == Path("/folder") / name


def test_a_new_store_is_made_in_a_new_folder(tmp_path: Path) -> None:
    """The folder is made, the file is migrated, and the temporary one is gone."""
    path = tmp_path / "deep" / "mlflow.db"
    prepare_sqlite(path, None)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    database.close()
    assert list(path.parent.glob(".mlflow*")) == []


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """A file of no bytes is as good as none."""
    path = tmp_path / "mlflow.db"
    path.touch()
    prepare_sqlite(path, None)
    assert path.stat().st_size > 0


def test_sessions_that_start_at_once_get_the_same_good_store(tmp_path: Path) -> None:
    """Three processes open a store that is not there yet, and all of them find all of their experiments."""
    code = (
        "import sys; from pytest_nbaprops.tracking.connection import connect;"
        "from pytest_nbaprops.tracking.runs import ensure_experiment;"
        "ensure_experiment(connect(sys.argv[1]), sys.argv[2])"
    )
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    names = ["a", "b", "b"]
    started = [subprocess.Popen([sys.executable, "-c", code, uri, name], stderr=subprocess.PIPE) for name in names]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    with connect(uri).calling("look") as client:
        assert {e.name for e in client.search_experiments()} == {"Default", "a", "b"}


def test_another_file_is_not_touched(tmp_path: Path) -> None:
    """A file that is no database is refused and stays as it is."""
    path = tmp_path / "notes.db"
    path.write_text("my notes, not a database")
    with pytest.raises(TrackingError, match=r"notes\.db is no sqlite database"):
        prepare_sqlite(path, None)
    assert path.read_text() == "my notes, not a database"


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """A folder in place of the file is refused."""
    with pytest.raises(TrackingError, match="is no sqlite database"):
        prepare_sqlite(tmp_path, None)


def test_a_place_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    """A file in place of the folder is refused in one line."""
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match=r"can't be used: .*--nbaprops-tracking-uri"):
        prepare_sqlite(tmp_path / "file" / "mlflow.db", None)


def test_a_store_that_can_not_be_written_is_read(
    uri: str, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading needs no right to write; every way to change something is refused before it is tried."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = connect(uri)
    assert Lookup(store=store, model_name="League").experiment_ids()
    for change in (
        lambda: StandardNBAPropsTracker("League", store=store),
        lambda: registry.register_model("models:/m-1", "League"),
        lambda: registry.promote_model("League", 1, "staging"),
        lambda: registry.rollback_model("League", "staging", "why not"),
        lambda: registry.recover("League"),
    ):
        with pytest.raises(TrackingError, match="can't be written"):
            change()


def test_another_programs_database_is_not_migrated(tmp_path: Path) -> None:
    """A database without MLflow's table is refused, and stays as it is to the byte."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (name TEXT)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(TrackingError, match=r"other\.db is no MLflow store: .*tables customers; choose another file"):
        connect(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.parametrize("exists", [True, False])
def test_whoever_only_reads_makes_no_store(tmp_path: Path, *, exists: bool) -> None:
    """An empty or missing file stays so, where asked for."""
    path = tmp_path / "mlflow.db"
    if exists:
        path.touch()
    with pytest.raises(TrackingError, match="is empty: run pytest --nbaprops-train first"):
        connect(f"sqlite:///{path}", create=False)
    assert path.exists() == exists
    assert not exists or path.stat().st_size == 0


def test_a_store_of_a_newer_mlflow_is_refused(uri: str) -> None:
    """A schema that this MLflow does not know ends in the advice to upgrade."""
    with sqlite3.connect(sqlite_path(uri)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.execute("DROP TABLE metrics")
    database.close()
    with pytest.raises(TrackingError, match="newer MLflow"):
        connect(uri)
