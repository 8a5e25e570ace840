"""A tracking server, or any store that the installed MLflow opens, read through its client."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing.places import run_and_path
from pytest_nbaprops.importing.source import (
    KILLED,
    Findings,
    Point,
    SourceExperiment,
    SourceModel,
    SourceRun,
    SourceVersion,
    ending,
    read_value,
)
from pytest_nbaprops.importing.texts import millis_of
from pytest_nbaprops.tracking.registering import download_model
from pytest_nbaprops.tracking.search import ALL, every, experiments, versions

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pytest_nbaprops.tracking.connection import Store

_PAGE: Final = 1000


class Server:
    """Reads only: searches, histories and downloads."""

    def __init__(self, store: Store) -> None:
        self.store, self.place = store, store.name
        self.findings = Findings()
        self._folder = tempfile.TemporaryDirectory(prefix="nbaprops-import-")
        self._runs: dict[str, Run] = {}

    def close(self) -> None:
        self._folder.cleanup()

    def release(self, run: SourceRun) -> None:
        if run.files is not None:
            shutil.rmtree(run.files, ignore_errors=True)

    def experiments(self) -> list[SourceExperiment]:
        with self.store.calling("list the experiments") as client:
            found = experiments(client, ALL)
        return [
            SourceExperiment(
                key=str(one.experiment_id), name=one.name, deleted=one.lifecycle_stage == "deleted", tags=dict(one.tags)
            )
            for one in sorted(found, key=lambda one: int(one.experiment_id))
        ]

    def run_ids(self, experiment: SourceExperiment) -> list[str]:
        with self.store.calling(f"list the runs of {experiment.name!r}") as client:
            found = every(client.search_runs, [experiment.key], "", ALL, max_results=_PAGE)
            runs = {str(run.info.run_id): run for run in found}
        if count := sum(len(run.inputs.dataset_inputs) for run in runs.values() if run.inputs is not None):
            what = f"{count} datasets of its runs"
            self.findings.left_out(f"experiment {experiment.name[:80]}", what, "only runs and models are imported")
        self._runs |= runs
        return sorted(runs, key=lambda run_id: (runs[run_id].info.start_time or 0, run_id))

    def run(self, experiment: SourceExperiment, run_id: str) -> SourceRun | None:
        run, where = self._runs.pop(run_id), f"run {run_id}"
        metrics = {}
        with self.store.calling(f"read the run {run_id}") as client:
            for name in run.data.metrics:
                history = client.get_metric_history(run_id, name)
                points = [Point(one.timestamp, read_value(one.value), one.step) for one in history]
                metrics[name] = sorted(points, key=lambda point: (point.step, point.timestamp))
        start = millis_of(run.info.start_time)
        ended = ending(self.findings, where, str(run.info.status), start, metrics)
        if ended is None:
            return None
        status, last = ended
        return SourceRun(
            run_id=run_id,
            experiment=experiment.key,
            name=run.info.run_name or "",
            status=status,
            start_time=start,
            end_time=millis_of(run.info.end_time) or (last if status == KILLED else start),
            user=run.info.user_id or "",
            deleted=experiment.deleted or run.info.lifecycle_stage == "deleted",
            params=dict(run.data.params),
            tags=dict(run.data.tags),
            metrics={name: points for name, points in metrics.items() if points},
            files=self._downloaded(where, run_id),
        )

    def _downloaded(self, where: str, run_id: str) -> Path | None:
        try:
            with self.store.calling(f"fetch the files of the run {run_id}", artifacts=True) as client:
                if not client.list_artifacts(run_id):
                    return None
                folder = Path(self._folder.name) / run_id
                folder.mkdir(exist_ok=True)
                return Path(client.download_artifacts(run_id, "", str(folder)))
        except TrackingError as error:
            if self.store.lost is not None:
                raise
            self.findings.left_out(where, "artifacts that can't be fetched", str(error)[:200])
            return None

    # registered models

    def models(self) -> Iterator[SourceModel]:
        with self.store.calling("list the registered models") as client:
            found = list(every(client.search_registered_models, max_results=100))
        for model in sorted(found, key=lambda model: str(model.name)):
            with self.store.calling(f"read the versions of {model.name}") as client:
                known = sorted(versions(client, model.name), key=lambda version: int(version.version))
            yield SourceModel(
                name=model.name,
                description=model.description or "",
                tags=dict(model.tags),
                aliases={alias: int(number) for alias, number in model.aliases.items()},
                versions=[self._version(version) for version in known],
            )

    def _version(self, version: Any) -> SourceVersion:
        return SourceVersion(
            number=int(version.version),
            stage=version.current_stage or "None",
            run_id=version.run_id or run_and_path(version.source or "")[0],
            source=version.source or "",
            description=version.description or "",
            created=version.creation_timestamp or 0,
            tags=dict(version.tags),
            files=self._version_files(version),
        )

    def _version_files(self, version: Any) -> Path | None:
        where = f"model {version.name} v{version.version}"
        folder = Path(self._folder.name) / uuid.uuid4().hex
        try:
            return download_model(self.store, version.name, version.version, f"fetch the files of {where}", folder)
        except TrackingError as error:
            if self.store.lost is not None:
                raise
            self.findings.left_out(where, "files that can't be fetched", str(error)[:200])
            return None
