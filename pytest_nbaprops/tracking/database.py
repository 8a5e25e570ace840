"""Database files and servers behind a tracking store, looked at before MLflow does (it would wait and retry)."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.relocation import ARTIFACTS, follow_the_store

_MAGIC = b"SQLite format 3\x00"
_IN_MEMORY = (None, "", ":memory:")
_REVISION_TABLE = "alembic_version"
_SHOWN = 3
_WAY_OUT = "choose another file with --nbaprops-tracking-uri (tracking_uri=) sqlite:///PATH"


def sqlite_path(uri: str) -> Path:
    """The file of a sqlite URI, still relative where the URI is.

    Raises:
        TrackingError: The URI names no file.
    """
    try:
        database = sqlalchemy.make_url(uri).database
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise TrackingError(f"the tracking URI {redact(uri)!r} can't be read: write sqlite:///mlflow.db") from None
    if database in _IN_MEMORY:
        raise TrackingError(f"the tracking URI {redact(uri)!r} keeps nothing: name a file, such as sqlite:///mlflow.db")
    return Path(str(database))


def sqlite_uri(path: Path) -> str:
    """The URI of the file: how SQLAlchemy wants a `%` or `?` written depends on its version."""
    if set("%?").isdisjoint(str(path)):  # MLflow would make folders of the encoded name of an é
        return f"sqlite:///{path}"
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


def prepare_sqlite(path: Path, artifact_root: Path | None, *, create: bool = True) -> None:
    """Make sure that there is a sqlite tracking store at the path; that it can be written is not asked here.

    Args:
        path: The file.
        artifact_root: Folder for the artifacts of a new store.
        create: Whether a file that is missing or empty is made a store.

    Raises:
        TrackingError: The folder or file can't be written, or the file is something else.
    """
    try:
        if path.exists() and (path.is_dir() or path.stat().st_size):
            _refuse_other_file(path)
            follow_the_store(path)
            return
        if not create:
            raise TrackingError(f"the tracking store {path} is empty: run pytest --nbaprops-train first")
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, artifact_root or path.parent / ARTIFACTS)
    except OSError as error:
        raise TrackingError(f"the tracking store {path} can't be used: {error.strerror}; {_WAY_OUT}") from error


def check_writable(path: Path) -> None:
    """Sqlite writes into the folder, too.

    Raises:
        TrackingError: File or folder can't be written.
    """
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise TrackingError(f"the tracking store {path} can't be written: {_WAY_OUT}")


def _refuse_other_file(path: Path) -> None:
    """MLflow would migrate whatever database it is given."""
    is_sqlite = False
    if not path.is_dir():
        with path.open("rb") as file:
            is_sqlite = file.read(len(_MAGIC)) == _MAGIC
    if not is_sqlite:
        raise TrackingError(f"the tracking store {path} is no sqlite database: {_WAY_OUT}")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if names and _REVISION_TABLE not in names:
        shown = ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        raise TrackingError(f"{path} is no MLflow store: it is a database with the tables {shown}; {_WAY_OUT}")


def _create(path: Path, artifact_root: Path) -> None:
    """Migrate a file of another name, then move it in: sessions that start at once or die half way break nothing."""
    with quiet(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415  0.5 s, rarely needed

        fresh = Path(folder) / "fresh.db"
        store = SqlAlchemyStore(sqlite_uri(fresh), artifact_root.resolve().as_uri())
        store.engine.dispose()
        _move_in(fresh, path)


def _move_in(fresh: Path, path: Path) -> None:
    if path.exists() and path.stat().st_size == 0:
        fresh.replace(path)
        return
    try:
        path.hardlink_to(fresh)
    except FileExistsError:  # another session was first, and may have the file open
        return
    except OSError:  # a file system without hard links
        fresh.replace(path)


def check_server_database(uri: str, timeout: float) -> None:
    """Connect once: MLflow itself would try ten times, for more than a minute.

    Raises:
        TrackingError: The database's driver is not installed.
        Exception: Whatever the driver raises.
    """
    timeouts = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "timeout"}
    option = timeouts[sqlalchemy.make_url(uri).get_backend_name()]
    try:
        engine = sqlalchemy.create_engine(uri, connect_args={option: max(1, round(timeout))})
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"the tracking store needs the driver {error.name!r}, which is not installed: pip install it,"
            " or name another store with --nbaprops-tracking-uri"
        ) from error
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    engine.dispose()
