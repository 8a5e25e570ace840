"""An `mlflow.db`, of whatever schema: copied first, then read as it is. Nothing is migrated, the source is not opened.

SQLite would write beside a database that it opens (locks, a log that is not yet folded in), so only the copy is.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing.places import Places, local_parts, logged_model_id
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
    shown,
)
from pytest_nbaprops.importing.texts import millis_of, text_of, version_of

MAGIC: Final = b"SQLite format 3\x00"
_NOT_IMPORTED: Final = {"datasets": "datasets", "trace_info": "traces"}

Row = Mapping[str, Any]


class Database:
    def __init__(self, path: Path) -> None:
        """Copy the file and look whether it is a tracking store.

        Raises:
            TrackingError: It is none, or damaged.
        """
        self.path = path.resolve()
        self.place = str(self.path)
        self.findings = Findings()
        home = self.path.parent
        roots = [home, *(folder for name in ("mlruns", "mlartifacts") if (folder := home / name).is_dir())]
        self.places = Places(home, roots)
        self._folder = tempfile.TemporaryDirectory(prefix="nbaprops-import-")
        try:
            self._database = self._opened()
        except BaseException:
            self._folder.cleanup()
            raise

    def _opened(self) -> sqlite3.Connection:
        copy = Path(self._folder.name) / "mlflow.db"
        try:
            shutil.copyfile(self.path, copy)
            for suffix in ("-wal", "-journal"):
                if (beside := self.path.with_name(self.path.name + suffix)).is_file():
                    shutil.copyfile(beside, copy.with_name(copy.name + suffix))
            database = sqlite3.connect(copy)
            database.row_factory = sqlite3.Row
            database.text_factory = lambda data: data.decode("utf-8", errors="replace")
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except (OSError, sqlite3.Error) as error:
            raise TrackingError(f"{self.path} can't be read: {error}; import from a copy that is whole") from None
        if not {"experiments", "runs"} <= tables:
            raise TrackingError(f"{self.path} is a database, but not one of MLflow: name the mlflow.db to import from")
        self._tables = tables
        return database

    def release(self, run: SourceRun) -> None:
        """Nothing was fetched."""

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()

    def _rows(self, table: str, condition: str = "1", *values: object) -> list[Row]:
        """Rows as mappings, whatever columns this version has; none where it has no such table."""
        if table not in self._tables:
            return []
        query = f"SELECT * FROM {table} WHERE {condition}"  # noqa: S608 - names of our own
        return [dict(row) for row in self._database.execute(query, values)]

    def _texts(self, table: str, condition: str, *values: object) -> dict[str, str]:
        return {str(row["key"]): str(row["value"] or "") for row in self._rows(table, condition, *values)}

    # experiments and runs

    def experiments(self) -> list[SourceExperiment]:
        for table, kind in _NOT_IMPORTED.items():
            if count := len(self._rows(table)):
                self.findings.left_out(kind, f"{count} {kind}", "only runs and models are imported")
        return [
            SourceExperiment(
                key=str(row["experiment_id"]),
                name=str(row["name"]),
                deleted=row.get("lifecycle_stage") == "deleted",
                tags=self._texts("experiment_tags", "experiment_id = ?", row["experiment_id"]),
            )
            for row in self._rows("experiments", "1 ORDER BY experiment_id")
        ]

    def run_ids(self, experiment: SourceExperiment) -> list[str]:
        rows = self._rows("runs", "experiment_id = ? ORDER BY start_time, run_uuid", int(experiment.key))
        return [str(row["run_uuid"]) for row in rows]

    def run(self, experiment: SourceExperiment, run_id: str) -> SourceRun | None:
        try:
            return self._run(experiment, run_id)
        except sqlite3.Error as error:
            self.findings.left_out(f"run {run_id}", f"a damaged part of the database ({error})", "can't be read")
            return None

    def _run(self, experiment: SourceExperiment, run_id: str) -> SourceRun | None:
        row, where = self._rows("runs", "run_uuid = ?", run_id)[0], f"run {run_id}"
        tags = self._texts("tags", "run_uuid = ?", run_id)
        metrics = self._metrics(run_id)
        start = millis_of(row.get("start_time"))
        ended = ending(self.findings, where, text_of(row, "status").upper(), start, metrics)
        if ended is None:
            return None
        status, last = ended
        return SourceRun(
            run_id=run_id,
            experiment=experiment.key,
            name=tags.get("mlflow.runName", "").strip() or text_of(row, "name"),
            status=status,
            start_time=start or last or None,
            end_time=millis_of(row.get("end_time")) or (last if status == KILLED else None) or start,
            user=text_of(row, "user_id"),
            deleted=experiment.deleted or row.get("lifecycle_stage") == "deleted",
            params=self._texts("params", "run_uuid = ?", run_id),
            tags=tags,
            metrics=metrics,
            files=self._artifacts(where, run_id, text_of(row, "artifact_uri")),
            models=self._logged_models(run_id),
        )

    def _metrics(self, run_id: str) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for row in self._rows("metrics", "run_uuid = ?", run_id):
            value = math.nan if row.get("is_nan") else read_value(float(row["value"]))
            point = Point(int(row.get("timestamp") or 0), value, int(row.get("step") or 0))
            found.setdefault(str(row["key"]), []).append(point)
        for points in found.values():
            points.sort(key=lambda point: (point.step, point.timestamp))
        return found

    def _artifacts(self, where: str, run_id: str, uri: str) -> Path | None:
        found = self.places.run_files(uri, run_id) if uri else None
        if uri and found is None:
            parts = local_parts(uri)
            # MLflow makes a run's folder with its first file: where the store's own root is, nothing is amiss.
            above = [root.joinpath(*(parts or ())[-length:-2]) for root in self.places.roots for length in (3, 4)]
            if parts is None or not any(folder.is_dir() for folder in above):
                what = f"artifacts named as {shown(uri)}"
                self.findings.left_out(where, what, "not there, or not a place to read from")
        return found

    def _logged_models(self, run_id: str) -> dict[str, Path]:
        rows = self._rows("logged_models", "source_run_id = ?", run_id)
        folders = {f"models/{row['model_id']}": self._model_folder(text_of(row, "artifact_location")) for row in rows}
        return {name: folder for name, folder in folders.items() if folder is not None}

    def _model_folder(self, uri: str) -> Path | None:
        """`<experiment>/models/m-…/artifacts`, taken only below the database's folder."""
        parts = local_parts(uri) or ()
        return next((found for length in (4, 5, 3) if (found := self.places.below_roots(parts, length))), None)

    # registered models

    def models(self) -> Iterator[SourceModel]:
        for row in self._rows("registered_models", "1 ORDER BY name"):
            name = str(row["name"])
            aliases = self._rows("registered_model_aliases", "name = ?", name)
            versions = self._rows("model_versions", "name = ? ORDER BY version", name)
            kept = [version for version in versions if text_of(version, "current_stage") != "Deleted_Internal"]
            yield SourceModel(
                name=name,
                description=text_of(row, "description"),
                tags=self._texts("registered_model_tags", "name = ?", name),
                aliases={str(alias["alias"]): int(alias["version"]) for alias in aliases},
                versions=[self._version(name, version) for version in kept],
            )

    def _version(self, name: str, row: Row) -> SourceVersion:
        tags = self._texts("model_version_tags", "name = ? AND version = ?", name, row["version"])
        files = self._version_files(text_of(row, "storage_location", "source"))
        return version_of(row, int(row["version"]), row.get("creation_time"), tags, files)

    def _version_files(self, source: str) -> Path | None:
        wanted = logged_model_id(source)
        for row in self._rows("logged_models", "model_id = ?", wanted) if wanted else []:
            if (folder := self._model_folder(text_of(row, "artifact_location"))) is not None:
                return folder
        return self.places.version_files(source, self._experiment_folders)

    @cached_property
    def _experiment_folders(self) -> list[Path]:
        folders = {folder for root in self.places.roots for folder in root.iterdir() if folder.is_dir()}
        return sorted(folder for folder in folders if not folder.is_symlink())
