"""Whether two versions were judged on the same data, by the digests that were recorded when they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.registry.versions import found, known_version, run_of
from pytest_nbaprops.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pytest_nbaprops.tracking.connection import Store

BY_DATE: Final = "data_digests"
"""Tag of a version: for each date it was tested on, a digest of all data through that date (JSON)."""

_WHOLE: Final = ("dataset_digest", tags.DATASET_DIGEST)
_SHOWN: Final = 12


@dataclass(frozen=True, kw_only=True)
class JudgedData:
    """The data that a version was judged on; empty and None where nobody wrote it down."""

    label: str
    by_date: Mapping[str, str]
    digest: str | None


def other_data(store: Store, name: str, version: str, champion: str) -> str | None:
    """Why the two cannot be compared by what their runs have kept; None where the data is the same, or not known.

    Where it is not known the gate still compares the outcomes of all player-games.

    Raises:
        TrackingError: A version is not there, or the registry cannot be read.
    """
    with store.calling(f"read the data that v{version} and v{champion} of {name} were judged on") as client:
        ours, theirs = _judged_data(client, name, version), _judged_data(client, name, champion)
    way_out = "walk both forward again in a session on one version of the data"
    shared = sorted(ours.by_date.keys() & theirs.by_date.keys())
    if shared:
        apart = [day for day in shared if ours.by_date[day] != theirs.by_date[day]]
        before = f"{theirs.label} was judged on other data than {ours.label}"
        return f"{before}, from {apart[0]} on; {way_out}" if apart else None
    if ours.digest is None or theirs.digest is None or ours.digest == theirs.digest:
        return None
    digests = f"{theirs.digest[:_SHOWN]}, not {ours.digest[:_SHOWN]}"
    return f"{theirs.label} was judged on other data than {ours.label} ({digests}); {way_out}"


def _judged_data(client: MlflowClient, name: str, number: str) -> JudgedData:
    version = known_version(client, name, number)
    run_id = run_of(version)
    run = found(client.get_run, run_id) if run_id else None
    told = {**(run.data.tags if run is not None else {}), **version.tags}
    digest = next((told[key] for key in _WHOLE if told.get(key)), None)
    return JudgedData(label=f"v{version.version}", by_date=_by_date(version.tags.get(BY_DATE)), digest=digest)


def _by_date(text: str | None) -> dict[str, str]:
    try:
        return {str(day): str(digest) for day, digest in json.loads(text or "{}").items()}
    except (ValueError, AttributeError):
        return {}
