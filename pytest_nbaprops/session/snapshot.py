"""A champion as files: what an enforcing session leaves for sessions that cannot reach the registry."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pandas as pd

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.reports.decision_file import write_bytes, write_text
from pytest_nbaprops.wholefile import remove_leftovers

FOLDER, VERSION, PREDICTIONS = "champion", "version.json", "predictions.parquet"
OPTION = "--nbaprops-champion"
SCHEMA = 1
_TOLD = ("name", "alias", "version", "run_id", "content")
_WAYS = (
    "give an alias, a run by its name or the beginning of its id, or the folder "
    f"{FOLDER!r} that a session with --nbaprops-promote=enforce wrote into its report"
)


def write_snapshot(folder: Path, champion: Champion) -> Path:
    """Write `version.json` and `predictions.parquet`, the former last: it names the latter by its digest.

    Raises:
        ValueError: nobody has asked for its predictions yet.
        SettingsError: the folder cannot be written.
    """
    if champion.predictions is None:
        raise ValueError(f"no predictions of {champion.label}")
    remove_leftovers(folder)
    buffer = io.BytesIO()
    champion.predictions.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    write_bytes(folder / PREDICTIONS, content)
    version = {**{name: getattr(champion, name) for name in _TOLD}, "tags": dict(champion.tags)}
    document = {"schema_version": SCHEMA, "predictions": hashlib.sha256(content).hexdigest(), "version": version}
    return write_text(folder / VERSION, json.dumps(document, indent=2) + "\n")


def read_snapshot(folder: Path) -> Champion:
    """The champion in a folder, or of its `version.json`, with its predictions.

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
        return Champion(**document["version"], predictions=pd.read_parquet(io.BytesIO(content)))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _refused(folder, f"is not a champion snapshot ({type(error).__name__}: {error})") from None


def no_such_champion(text: str, store: str) -> SettingsError:
    """What to say of a text that is no alias, no run of the store and no path."""
    if set("/\\") & set(text):
        return SettingsError(
            f"{OPTION}: the champion snapshot {text} is not there, nor a run of this name in {store}; {_WAYS}"
        )
    return SettingsError(f"{OPTION}: there is no run {text!r} in {store}, and no alias can be called so; {_WAYS}")


def _refused(folder: Path, problem: str) -> SettingsError:
    return SettingsError(f"{OPTION}: the champion snapshot {folder} {problem}; {_WAYS}")
