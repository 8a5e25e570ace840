"""A run that is to be repeated, as the store has it."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.tracking.artifacts import PREDICTIONS

if TYPE_CHECKING:
    from pytest_nbaprops.tracking.connection import Store


class ReproduceError(NBAPropsError):
    """A run that cannot be repeated."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run of the store: what it recorded, and its predictions."""

    run_id: str
    run_name: str
    document: Mapping[str, Any]
    predictions: pd.DataFrame

    @property
    def candidate(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["candidate"]
        return found

    @property
    def digest(self) -> DatasetDigest:
        return DatasetDigest.from_dict(self.document["dataset"]["digest"])

    @property
    def settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["settings"]
        return found


def read_run(store: Store, run_id: str, run_name: str) -> Recorded:
    """What a run kept of how it came about.

    Raises:
        ReproduceError: it kept no predictions or no provenance.
    """
    document = json.loads(_artifact(store, run_id, run_name, provenance.PROVENANCE))
    if document.get("schema_version") != provenance.SCHEMA_VERSION:
        raise ReproduceError(
            f"the run {run_name} ({run_id}) was recorded by another version of pytest-nbaprops (schema "
            f"{document.get('schema_version')}, here {provenance.SCHEMA_VERSION}); repeat it with pytest-nbaprops "
            f"{document.get('libraries', {}).get('pytest-nbaprops', 'of that time')}"
        )
    predictions = pd.read_parquet(io.BytesIO(_artifact(store, run_id, run_name, PREDICTIONS)))
    return Recorded(run_id=run_id, run_name=run_name, document=document, predictions=predictions)


def _artifact(store: Store, run_id: str, run_name: str, name: str) -> bytes:
    with (
        tempfile.TemporaryDirectory() as folder,
        store.calling(f"read {name} of the run {run_id}", artifacts=True) as client,
    ):
        if name in {entry.path for entry in client.list_artifacts(run_id)}:
            return Path(client.download_artifacts(run_id, name, folder)).read_bytes()
    raise ReproduceError(
        f"the run {run_name} ({run_id}) has no {name}: only runs that pytest --nbaprops-train made, and that "
        "predicted at least one fold, can be repeated"
    )
