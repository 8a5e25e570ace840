"""Many finished runs written at once: MLflow's calls take 100 times as long as the rows themselves.

MLflow logs at best some 10,000 values a second; 1,000 runs with 20 metrics of 200 steps are four million. Where the
store is a database its rows are inserted in the tables that MLflow's own models describe, a whole run or nothing of it.
To a server the same goes in as few requests as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, Table

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.payload import batches
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.search import ALL, every, experiments

with quiet():
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag

COMPLETE: Final = "complete"
_METRIC_COLUMNS: Final = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
_SENDERS: Final = 4


@dataclass(kw_only=True)
class RunRows:
    """A finished run as it is to be written; `metrics` holds (timestamp, value, step) in the order of the steps.

    A server gives it another id than `run_id`.
    """

    run_id: str = ""
    experiment_id: str = ""
    name: str
    status: str
    start_time: int
    end_time: int
    user: str = ""
    deleted: bool = False
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[tuple[int, float, int]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ImportedRun:
    """A run that an earlier import wrote; `whole` is False where it was interrupted before the files were there."""

    run_id: str
    origin: str
    place: str
    whole: bool
    deleted: bool = False


class DatabaseWriter:
    """Rows into the tables; nothing is read from or written to any other. The experiments are there already."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.engine = sqlalchemy.create_engine(store.uri)
        if store.uri.startswith("sqlite"):
            sqlalchemy.event.listen(self.engine, "connect", _tune_sqlite)

    @contextmanager
    def _doing(self, what: str) -> Iterator[Connection]:
        try:
            with quiet(), self.engine.begin() as connection:
                yield connection
        except sqlalchemy.exc.SQLAlchemyError as error:
            cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else None
            reason = one_line(cause or error)
            raise TrackingError(f"could not {what} in the tracking store {self.store.name}: {reason}") from error

    def imported(self) -> list[ImportedRun]:
        """What earlier imports wrote, deleted runs included."""
        table: Table = SqlTag.__table__
        wanted = (tags.IMPORTED_RUN, tags.IMPORTED_FROM, tags.IMPORTED_STATE)
        found: dict[str, dict[str, str]] = {}
        with self._doing("look for imported runs") as connection:
            query = sqlalchemy.select(table.c.run_uuid, table.c.key, table.c.value).where(table.c.key.in_(wanted))
            for run_id, key, value in connection.execute(query):
                found.setdefault(run_id, {})[key] = value
            runs: Table = SqlRun.__table__
            gone = sqlalchemy.select(runs.c.run_uuid).where(runs.c.lifecycle_stage == "deleted")
            deleted = set(connection.execute(gone).scalars())
        whole = {run_id: values for run_id, values in found.items() if tags.IMPORTED_RUN in values}
        return [_imported(run_id, values, deleted=run_id in deleted) for run_id, values in whole.items()]

    def write(self, runs: Sequence[RunRows]) -> list[str]:
        """Write the runs and give the ids that they got."""
        with self._doing(f"write {len(runs)} runs") as connection:
            query = sqlalchemy.text("SELECT experiment_id, artifact_location FROM experiments")
            locations = {str(row[0]): str(row[1]) for row in connection.execute(query)}
            _insert(connection, SqlRun.__table__, [_run_row(run, locations[run.experiment_id]) for run in runs])
            for table, kind in ((SqlParam.__table__, "params"), (SqlTag.__table__, "tags")):
                rows = [
                    {"key": key, "value": value, "run_uuid": run.run_id}
                    for run in runs
                    for key, value in getattr(run, kind).items()
                ]
                _insert(connection, table, rows)
            self._insert_metrics(connection, runs)
        return [run.run_id for run in runs]

    @staticmethod
    def _insert_metrics(connection: Connection, runs: Sequence[RunRows]) -> None:
        """All values of one metric after another, as the table's key has them: a third of the time."""
        rows: list[tuple[object, ...]] = []
        latest: list[tuple[object, ...]] = []
        for key in sorted({key for run in runs for key in run.metrics}):
            for run in runs:
                points = run.metrics.get(key, ())
                values = [
                    (key, value, timestamp, step, False, run.run_id)
                    if value == value  # noqa: PLR0124 - NaN; a call takes longer, and there are millions
                    else (key, 0.0, timestamp, step, True, run.run_id)
                    for timestamp, value, step in points
                ]
                rows += values
                # What MLflow takes for the last one.
                latest += [max(values, key=lambda row: (row[3], row[2], row[1]))] if values else []
        _insert_tuples(connection, SqlMetric.__table__, rows)
        _insert_tuples(connection, SqlLatestMetric.__table__, latest)

    def complete(self, run_ids: Sequence[str], deleted: Sequence[str]) -> None:  # noqa: ARG002 - written as deleted
        """Mark the runs as whole, and delete those of them that were deleted where they came from."""
        rows = [{"key": tags.IMPORTED_STATE, "value": COMPLETE, "run_uuid": run_id} for run_id in run_ids]
        with self._doing("mark runs as imported") as connection:
            _insert(connection, SqlTag.__table__, rows)


def _tune_sqlite(connection: Any, _: object) -> None:
    connection.execute("PRAGMA cache_size = -200000")  # 200 MB: the keys of the metrics are inserted all over
    connection.execute("PRAGMA busy_timeout = 30000")


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sqlalchemy.insert(table), rows)


def _run_row(run: RunRows, location: str) -> dict[str, Any]:
    return {
        "run_uuid": run.run_id,
        "name": run.name,
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": run.user,
        "status": run.status,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "deleted_time": run.end_time if run.deleted else None,
        "source_version": "",
        "lifecycle_stage": "deleted" if run.deleted else "active",
        "artifact_uri": f"{location.rstrip('/')}/{run.run_id}/artifacts",
        "experiment_id": int(run.experiment_id),
    }


def _insert_tuples(connection: Connection, table: Table, rows: list[tuple[object, ...]]) -> None:
    """Rows in the order of `_METRIC_COLUMNS`; to sqlite without SQLAlchemy's work on each of them."""
    if connection.dialect.name != "sqlite":
        _insert(connection, table, [dict(zip(_METRIC_COLUMNS, row, strict=True)) for row in rows])
    elif rows:
        names = ", ".join(f'"{name}"' for name in _METRIC_COLUMNS)
        marks = ", ".join("?" * len(_METRIC_COLUMNS))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608


def _imported(run_id: str, values: Mapping[str, str], *, deleted: bool) -> ImportedRun:
    return ImportedRun(
        run_id=run_id,
        origin=values[tags.IMPORTED_RUN],
        place=values.get(tags.IMPORTED_FROM, ""),
        whole=values.get(tags.IMPORTED_STATE) == COMPLETE,
        deleted=deleted,
    )


class ServerWriter:
    """Requests to a server. A run that was begun and not completed is written again: that changes nothing there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._begun: dict[tuple[str, str], str] = {}

    def imported(self) -> list[ImportedRun]:
        condition = f"tags.`{tags.IMPORTED_RUN}` LIKE '%'"
        with self.store.calling("look for imported runs") as client:
            ids = [str(one.experiment_id) for one in experiments(client, ALL)]
            runs = every(client.search_runs, ids, condition, ALL, max_results=1000) if ids else []
            found = [
                _imported(run.info.run_id, run.data.tags, deleted=run.info.lifecycle_stage == "deleted") for run in runs
            ]
        self._begun = {(run.origin, run.place): run.run_id for run in found if not run.whole}
        return [run for run in found if run.whole]

    def write(self, runs: Sequence[RunRows]) -> list[str]:
        with self.store.calling(f"write {len(runs)} runs") as client, ThreadPoolExecutor(_SENDERS) as pool:
            return list(pool.map(lambda run: self._write(client, run), runs))

    def _write(self, client: Any, run: RunRows) -> str:
        origin = (run.tags[tags.IMPORTED_RUN], run.tags[tags.IMPORTED_FROM])
        run_id = self._begun.get(origin)
        if run_id is None:
            first = {tags.IMPORTED_RUN: origin[0], tags.IMPORTED_FROM: origin[1], "mlflow.user": run.user}
            created = client.create_run(run.experiment_id, run.start_time, first, run.name)
            run_id = str(created.info.run_id)
        params = [Param(key, value) for key, value in run.params.items()]
        entries = [RunTag(key, value) for key, value in run.tags.items()]
        metrics = [Metric(key, value, at, step) for key, points in run.metrics.items() for at, value, step in points]
        for batch in batches(params, entries, metrics):
            client.log_batch(run_id, **batch)
        client.set_terminated(run_id, run.status, run.end_time)
        return run_id

    def complete(self, run_ids: Sequence[str], deleted: Sequence[str]) -> None:
        with self.store.calling("mark runs as imported") as client:
            for run_id in run_ids:
                client.set_tag(run_id, tags.IMPORTED_STATE, COMPLETE)
            for run_id in deleted:
                client.delete_run(run_id)


BulkWriter = DatabaseWriter | ServerWriter
