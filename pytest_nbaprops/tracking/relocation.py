"""A sqlite store that was moved or copied with its folder: MLflow keeps absolute places, so they are set right.

Everything that lay in `mlartifacts` beside the store is looked for beside the store as it is used now.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pytest_nbaprops.errors import TrackingError

ARTIFACTS: Final = "mlartifacts"
_PLACES: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_LOCKED_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Place:
    """An experiment's artifact folder: as the store names it, and as it would be beside the store."""

    uri: str
    was: Path
    now: Path

    @property
    def came_along(self) -> bool:
        """Whether the folder was moved or copied with the store."""
        return self.now.exists() and not (self.was.exists() and self.was.samefile(self.now))

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing was written there yet, or what was is gone."""
        return not self.now.exists() and not self.was.exists()


def follow_the_store(path: Path) -> None:
    """Set the places in the store right after it was moved or copied together with its artifacts.

    Raises:
        TrackingError: That is needed, and the store cannot be written; the line names both places.
    """
    places = _elsewhere(path)
    moved = [place for place in places if place.came_along]
    wrong = [*moved, *(place for place in places if place.is_nowhere)]
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


def _elsewhere(path: Path) -> list[Place]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_LOCKED_SECONDS)) as database:
        try:
            locations = [row[0] for row in database.execute("SELECT artifact_location FROM experiments")]
        except sqlite3.OperationalError:  # no table yet
            return []
    return [place for location in locations if (place := _place(path, location)) is not None]


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
