"""A champion as files: what an enforcing session leaves for sessions that cannot reach the registry."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.registry.registry import ChampionVersion
from pytest_nbaprops.reports.decision_file import write_bytes, write_text
from pytest_nbaprops.wholefile import remove_leftovers

FOLDER, VERSION, PREDICTIONS = "champion", "version.json", "predictions.parquet"
OPTION = "--nbaprops-champion"
SCHEMA = 1
_WAYS = (
    "give an alias, a run by its name or the beginning of its id, or the folder "
    f"{FOLDER!r} that a session with --nbaprops-promote=enforce wrote into its report"
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A version, and the predictions that its run kept."""

    version: ChampionVersion
    predictions: pd.DataFrame


def write_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Write `version.json` and `predictions.parquet`, the former last: it names the latter by its digest.

    Raises:
        SettingsError: the folder cannot be written.
    """
    remove_leftovers(folder)
    buffer = io.BytesIO()
    snapshot.predictions.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    write_bytes(folder / PREDICTIONS, content)
    version = {**asdict(snapshot.version), "tags": dict(snapshot.version.tags)}
    document = {"schema_version": SCHEMA, "predictions": hashlib.sha256(content).hexdigest(), "version": version}
    return write_text(folder / VERSION, json.dumps(document, indent=2) + "\n")


def read_snapshot(folder: Path) -> Snapshot:
    """The snapshot in a folder, or of its `version.json`.

    Raises:
        SettingsError: it is not there, not whole, or of another make; one line.
    """
    folder = folder.parent if folder.name == VERSION else folder
    try:
        document = json.loads((folder / VERSION).read_text(encoding="utf-8"))
        content = (folder / PREDICTIONS).read_bytes()
    except (OSError, ValueError) as error:
        raise _refused(folder, f"cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA:
        raise _refused(folder, "is of another version of pytest-nbaprops")
    if document.get("predictions") != hashlib.sha256(content).hexdigest():
        raise _refused(folder, f"is not whole: {PREDICTIONS} is not the file that {VERSION} names")
    try:
        return Snapshot(version=_version(document["version"]), predictions=pd.read_parquet(io.BytesIO(content)))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _refused(folder, f"is not a champion snapshot ({type(error).__name__}: {error})") from None


def _version(plain: dict[str, Any]) -> ChampionVersion:
    return ChampionVersion(**plain)


def no_such_champion(text: str, store: str) -> SettingsError:
    """What to say of a text that is no alias, no run of the store and no path."""
    if set("/\\") & set(text):
        return SettingsError(
            f"{OPTION}: the champion snapshot {text} is not there, nor a run of this name in {store}; {_WAYS}"
        )
    return SettingsError(f"{OPTION}: there is no run {text!r} in {store}, and no alias can be called so; {_WAYS}")


def _refused(folder: Path, problem: str) -> SettingsError:
    return SettingsError(f"{OPTION}: the champion snapshot {folder} {problem}; {_WAYS}")
