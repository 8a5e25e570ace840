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
    if text.startswith("sqlite:"):
        path = Path(text.removeprefix("sqlite:///"))
    elif text.startswith("file:"):
        path = is_absolute_here(text) or Path(text.removeprefix("file:"))
    else:
        path = Path(text).expanduser()
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


def _store_in(folder: Path) -> Path:
    """The folder itself, or the `mlruns` in it where it is the project's."""
    if (folder / META).is_file():
        raise TrackingError(f"{folder} is one experiment or run of a store: name the mlruns folder above it")
    for candidate in (folder, folder / "mlruns"):
        inside = [path for path in candidate.iterdir() if path.is_dir()] if candidate.is_dir() else []
        names = {path.name for path in inside}
        is_store = bool(names & {"models", ".trash"}) or any(map(str.isdecimal, names))
        if is_store or any((path / META).is_file() for path in inside):
            return candidate
    if (folder / "mlflow.db").is_file():
        raise TrackingError(f"{folder} has no runs in it, but an mlflow.db: name {folder / 'mlflow.db'}")
    raise TrackingError(f"{folder} holds no experiments: {_EXPECTED}")
