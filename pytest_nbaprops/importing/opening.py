"""Which kind of store a SOURCE is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing.database import MAGIC, Database
from pytest_nbaprops.importing.filestore import FileStore
from pytest_nbaprops.importing.places import is_absolute_here
from pytest_nbaprops.importing.server import Server
from pytest_nbaprops.importing.texts import META
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking.connection import connect

if TYPE_CHECKING:
    from pytest_nbaprops.importing.source import Source

_EXPECTED: Final = "name an mlruns folder, an mlflow.db or a tracking server's address (http://host:5000)"


def open_source(text: str) -> Source:
    """The store that the text names: a folder, a database file, or an address.

    Raises:
        TrackingError: There is none; the line says what was expected.
    """
    if "://" in text and not text.startswith(("file:", "sqlite:")):
        return Server(connect(text, create=False))
    path = _path(text)
    if path.is_dir():
        return FileStore(_store_in(path))
    if not path.exists():
        raise TrackingError(f"there is no {redact(text)}: {_EXPECTED}")
    try:
        with path.open("rb") as file:
            is_sqlite = file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise TrackingError(f"{path} can't be read: {error.strerror}; {_EXPECTED}") from None
    if not is_sqlite:
        raise TrackingError(f"{path} is no SQLite database: {_EXPECTED}")
    return Database(path)


def _path(text: str) -> Path:
    if text.startswith("sqlite:"):
        return Path(text.removeprefix("sqlite:///"))
    if text.startswith("file:"):
        return is_absolute_here(text) or Path(text.removeprefix("file:"))
    return Path(text).expanduser()


def _store_in(folder: Path) -> Path:
    """The folder itself, or the `mlruns` in it where it is the project's.

    Raises:
        TrackingError: Neither looks like a file store.
    """
    if (folder / META).is_file():
        raise TrackingError(f"{folder} is one experiment or run of a store: name the mlruns folder above it")
    for candidate in (folder, folder / "mlruns"):
        if candidate.is_dir() and _is_store(candidate):
            return candidate
    if (folder / "mlflow.db").is_file():
        raise TrackingError(f"{folder} has no runs in it, but an mlflow.db: name {folder / 'mlflow.db'}")
    raise TrackingError(f"{folder} holds no experiments: {_EXPECTED}")


def _is_store(folder: Path) -> bool:
    inside = [path for path in folder.iterdir() if path.is_dir()]
    if any(path.name in ("models", ".trash") or path.name.isdecimal() for path in inside):
        return True
    return any((path / META).is_file() for path in inside)
