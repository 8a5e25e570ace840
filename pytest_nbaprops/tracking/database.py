"""Database files and servers behind a tracking store, looked at before MLflow does (it would wait and retry)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import sqlalchemy

from pytest_nbaprops.errors import TrackingError

_MAGIC = b"SQLite format 3\x00"
_IN_MEMORY = (None, "", ":memory:")


def sqlite_path(uri: str) -> Path:
    """The file of a sqlite URI, still relative where the URI is.

    Raises:
        TrackingError: The URI names no file.
    """
    database = sqlalchemy.make_url(uri).database
    if database in _IN_MEMORY:
        raise TrackingError(f"the tracking URI {uri!r} keeps nothing: name a file, such as sqlite:///mlflow.db")
    return Path(str(database))


def sqlite_uri(path: Path) -> str:
    """The URI of the file: how SQLAlchemy wants a `%` or `?` written depends on its version."""
    if set("%?").isdisjoint(str(path)):  # MLflow would make folders of the encoded name of an é
        return f"sqlite:///{path}"
    return sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string()


def prepare_sqlite(path: Path, artifact_root: Path | None) -> None:
    """Make sure that there is a sqlite tracking store at the path.

    Raises:
        TrackingError: The folder or file can't be written, or the file is something else.
    """
    way_out = "choose another file with --nbaprops-tracking-uri sqlite:///PATH"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size == 0:
            _create(path, artifact_root or path.parent / "mlartifacts")
        elif path.is_dir() or not _is_sqlite(path):
            raise TrackingError(f"the tracking store {path} is no sqlite database: {way_out}")
    except OSError as error:
        raise TrackingError(f"the tracking store {path} can't be created: {error.strerror}; {way_out}") from error
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise TrackingError(f"the tracking store {path} can't be written: {way_out}")


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _create(path: Path, artifact_root: Path) -> None:
    """Migrate a file of another name, then move it in: sessions that start at once or die half way break nothing."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415  0.5 s, rarely needed

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
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
