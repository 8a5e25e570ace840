"""Database files and servers behind a tracking store, looked at before MLflow does (it would wait and retry).

A sqlite store may have been moved or copied with its folder: MLflow keeps absolute places, so they are set right.
Everything that lay in `mlartifacts` beside the store is looked for beside the store as it is used now.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking.quiet import quiet

ARTIFACTS: Final = "mlartifacts"
_MAGIC: Final = b"SQLite format 3\x00"
_IN_MEMORY: Final = (None, "", ":memory:")
_REVISION_TABLE: Final = "alembic_version"
_SHOWN: Final = 3
_WAY_OUT: Final = "choose another file with --nbaprops-tracking-uri (tracking_uri=) sqlite:///PATH"
_PLACES: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_LOCKED_SECONDS: Final = 30


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

    Where `create` is set, a file that is missing or empty is made a store with its artifacts in `artifact_root`.
    """
    try:
        if _is_store(path):
            follow_the_store(path)
            return
        if not create:
            raise TrackingError(f"the tracking store {path} is empty: run pytest --nbaprops-train first")
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, artifact_root or path.parent / ARTIFACTS)
    except OSError as error:
        raise TrackingError(f"the tracking store {path} can't be used: {error.strerror}; {_WAY_OUT}") from error


def check_sqlite(path: Path) -> None:
    """See that what lies at the path, if anything, can be a store to write to: what takes no MLflow to know."""
    try:
        if _is_store(path):
            check_writable(path)
    except sqlite3.Error:  # damaged, or locked by another program: said when it is opened
        return
    except OSError as error:
        raise TrackingError(f"the tracking store {path} can't be used: {error.strerror}; {_WAY_OUT}") from error


def check_writable(path: Path) -> None:
    """Sqlite writes into the folder, too."""
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise TrackingError(f"the tracking store {path} can't be written: {_WAY_OUT}")


def _is_store(path: Path) -> bool:
    """Whether a store lies there rather than nothing; what is no store is refused: MLflow would migrate it."""
    if not path.exists() or not (path.is_dir() or path.stat().st_size):
        return False
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
    return True


def _create(path: Path, artifact_root: Path) -> None:
    """Migrate a file of another name, then move it in: sessions that start at once or die half way break nothing."""
    with quiet(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415  0.5 s, rarely needed

        fresh = Path(folder) / "fresh.db"
        store = SqlAlchemyStore(sqlite_uri(fresh), artifact_root.resolve().as_uri())
        store.engine.dispose()
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


# moved or copied


@dataclass(frozen=True, kw_only=True)
class Place:
    """An experiment's artifact folder: as the store names it, and as it would be beside the store."""

    uri: str
    was: Path
    now: Path


def follow_the_store(path: Path) -> None:
    """Set the places in the store right after it was moved or copied together with its artifacts.

    Raises:
        TrackingError: That is needed, and the store cannot be written; the line names both places.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_LOCKED_SECONDS)) as database:
        try:
            locations = [row[0] for row in database.execute("SELECT artifact_location FROM experiments")]
        except sqlite3.OperationalError:  # no table yet
            return
    places = [place for location in locations if (place := _place(path, location)) is not None]
    moved = [one for one in places if one.now.exists() and not (one.was.exists() and one.was.samefile(one.now))]
    empty = [one for one in places if not one.now.exists() and not one.was.exists()]  # nothing written yet, or gone
    wrong = [*moved, *empty]
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if not wrong or (not writable and not moved):
        return
    if not writable:
        raise TrackingError(
            f"the tracking store {path} was moved or copied: it names {moved[0].was} for its files, which lie in"
            f" {moved[0].now} now, and it can't be written to say so: make it writable, or use it at its old place"
        )
    try:
        _rewrite(path, wrong)
    except sqlite3.OperationalError as error:
        raise TrackingError(
            f"the tracking store {path} was moved, and can't be set right: {error}; run again"
        ) from None


def artifacts_of_another_store(path: Path, location: str) -> Path | None:
    """The artifact folder of another store that this copy of it would write to; None where there is no such thing."""
    place = _place(path, location)
    if place is None or place.now.exists() or not (_home(place.was) / path.name).exists():
        return None
    return place.was


def _place(path: Path, location: str | None) -> Place | None:
    """None where the location is no `mlartifacts` folder of another place."""
    parts = urlsplit(location or "")
    if parts.scheme not in ("", "file") or not parts.path:
        return None
    was, here = Path(url2pathname(parts.path) if parts.scheme else parts.path), path.resolve().parent
    if ARTIFACTS not in was.parts or not was.is_absolute() or _home(was) == here:
        return None
    return Place(uri=str(location), was=was, now=here / was.relative_to(_home(was)))


def _home(folder: Path) -> Path:
    """The folder that the last `mlartifacts` of the path is in."""
    while folder.name != ARTIFACTS:
        folder = folder.parent
    return folder.parent


def _rewrite(path: Path, moved: list[Place]) -> None:
    with closing(sqlite3.connect(path, timeout=_LOCKED_SECONDS)) as database, database:
        database.execute("BEGIN IMMEDIATE")
        for table, column in _PLACES:
            if column not in {row[1] for row in database.execute(f"PRAGMA table_info({table})")}:
                continue  # an older MLflow's
            for place in moved:
                was, now = place.uri.rstrip("/"), place.now.as_uri()
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608 - names of our own
                    f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (now, len(was) + 1, was, len(was) + 1, f"{was}/"),
                )
