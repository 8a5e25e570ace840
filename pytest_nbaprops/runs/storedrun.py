"""What a stored run tells of itself: data, window, features, predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import LINEAGE, PREDICTIONS, read_predictions
from pytest_nbaprops.tracking.connection import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

_DIGEST_TAGS: Final = (tags.DATASET_DIGEST, tags.DATASET)
_COMMIT_TAGS: Final = (tags.COMMIT, tags.SOURCE_COMMIT)
WINDOW: Final = ("target", "first_test_date", "last_test_date")
"""Params that say what was predicted, and for which dates."""
_INFINITE: Final = 1e300  # MLflow stores infinity as 1.8e308
_UNDECIDED: Final = ("INCONCLUSIVE", "ERROR")


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """One run. `metrics` are the finite ones of the whole validation; `lineage` is its feature_lineage.json.

    `status` is MLflow's: RUNNING, FINISHED, FAILED or KILLED.
    """

    run_id: str
    name: str
    started: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    digest: str | None
    commit: str | None
    verdict: str | None
    status: str
    imported: bool = False
    lineage: Mapping[str, Any] | None = None
    predictions: pd.DataFrame | None = None

    @property
    def label(self) -> str:
        """How a table calls it."""
        return self.run_id[:8]

    @property
    def window(self) -> str | None:
        """Target and test dates, None where the run does not say."""
        known = [self.params[name] for name in WINDOW if name in self.params]
        return " ".join(known) if len(known) == len(WINDOW) else None

    @property
    def n_predictions(self) -> int | None:
        """How many player-games it was tested on, None where the run does not say."""
        if "n_predictions" in self.metrics:
            return int(self.metrics["n_predictions"])
        return None if self.predictions is None else len(self.predictions)

    @property
    def doubt(self) -> str | None:
        """Why the run may not have got to its end: its status or its verdict; None where nothing says so."""
        if self.status != "FINISHED":
            return self.status
        return self.verdict if self.verdict in _UNDECIDED else None

    @property
    def features(self) -> int | None:
        if (logged := self.params.get("n_features", "")).isdecimal():
            return int(logged)
        return len(self.columns) or None

    @property
    def columns(self) -> frozenset[str]:
        """Names of the feature columns, as its lineage lists them."""
        categories = (self.lineage or {}).get("feature_categories", {})
        return frozenset(column for columns in categories.values() for column in columns)

    @property
    def groups(self) -> Lineage | None:
        """The lineage by feature group, None where the run's own script logged only names."""
        if not self.lineage or "groups" not in self.lineage:
            return None
        try:
            return Lineage.from_dict(self.lineage)
        except (KeyError, TypeError):
            return None


def started(run: Run) -> str:
    """When the run began, to the minute, UTC."""
    return f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M}"


def stored_run(run: Run) -> StoredRun:
    """What the run's own entries tell, without its files."""
    values = run.data.tags
    return StoredRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        started=started(run),
        metrics={  # NaN is not at most anything
            key: value
            for key, value in run.data.metrics.items()
            if not key.startswith("fold_") and abs(value) <= _INFINITE
        },
        params=dict(run.data.params),
        digest=next((values[key] for key in _DIGEST_TAGS if key in values), None),
        commit=next((values[key] for key in _COMMIT_TAGS if key in values), None),
        verdict=values.get(tags.VERDICT),
        status=run.info.status,
        imported=tags.IMPORTED_RUN in values,
    )


def with_files(store: Store, run: StoredRun) -> StoredRun:
    """The same with lineage and predictions, where the run has kept them."""
    with store.calling(f"read the files of the run {run.label}", artifacts=True) as client:
        there = {file.path for file in client.list_artifacts(run.run_id)}
        lineage = predictions = None
        if LINEAGE in there:
            document = json.loads(Path(client.download_artifacts(run.run_id, LINEAGE)).read_text(encoding="utf-8"))
            lineage = document if isinstance(document, dict) else None
        if PREDICTIONS in there:
            predictions = read_predictions(client, run.run_id)
    return replace(run, lineage=lineage, predictions=predictions)


def mae_by_date(store: Store, run: StoredRun) -> dict[str, float]:
    """MAE of each test date: from the predictions, else from the folds' own metric."""
    frame = run.predictions
    if frame is not None and {"GAME_DATE", "actual", "predicted"} <= set(frame.columns):
        error = (frame["predicted"].astype("float64") - frame["actual"].astype("float64")).abs()
        by_date = error.groupby(pd.to_datetime(frame["GAME_DATE"]).dt.strftime("%Y-%m-%d")).mean()
        return {str(day): float(value) for day, value in by_date.dropna().items()}
    with store.calling(f"read the folds of the run {run.label}") as client:
        history = client.get_metric_history(run.run_id, "fold_mae")
    return {f"{datetime.fromtimestamp(point.timestamp / 1000, UTC):%Y-%m-%d}": point.value for point in history}
