"""The import itself: what is new is read, recognised, repaired and written; what is there already is left alone."""

from __future__ import annotations

import gc
import json
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import NBAPropsError, TrackingError
from pytest_nbaprops.importing.prepared import LONG_VALUES, Prepared, prepare, shorten_name
from pytest_nbaprops.importing.source import DEFAULT_EXPERIMENT, Findings, Source, SourceExperiment, SourceRun
from pytest_nbaprops.importing.summary import Summary
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import write_predictions
from pytest_nbaprops.tracking.bulk import BulkWriter, ImportedRun, RunRows, bulk_writer
from pytest_nbaprops.tracking.runs import ensure_experiment, next_version_number
from pytest_nbaprops.tracking.search import every

if TYPE_CHECKING:
    from mlflow.entities import Experiment

    from pytest_nbaprops.importing.predictions import GamesIndex
    from pytest_nbaprops.tracking.connection import Store

_ID: Final = re.compile(r"[0-9a-f]{32}")
_RUNS_AT_ONCE: Final = 50
_VALUES_AT_ONCE: Final = 200_000
_EXPERIMENT_CHARACTERS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is imported: `pattern` is a shell pattern for names of experiments, None for all."""

    pattern: str | None = None
    dry_run: bool = False

    def wants(self, experiment: SourceExperiment) -> bool:
        return self.pattern is None or fnmatchcase(experiment.name.lower(), self.pattern.lower())


@dataclass(kw_only=True)
class Waiting:
    """A run that is to be written, under its new name."""

    prepared: Prepared
    run: SourceRun
    name: str = ""


def no_progress(done: int, total: int) -> None:
    """Nobody looks."""


class Importer:
    """Brings a source into a store. `store` is None only for a dry run where there is no store yet."""

    def __init__(  # noqa: PLR0913 - from where, to where, what, with what, and who looks on
        self,
        source: Source,
        store: Store | None,
        target: str,
        options: Options,
        *,
        games: GamesIndex | None = None,
        progress: Callable[[int, int], None] = no_progress,
    ) -> None:
        self.source, self.store, self.options, self.games, self.progress = source, store, options, games, progress
        self.summary = Summary(source=source.place, target=target, dry_run=options.dry_run)
        self.summary.findings = source.findings.found
        self.run_of: dict[str, str] = {}
        """Id in this store of each run of the source that is here, and not deleted."""
        self.seen: set[str] = set()
        """Ids in the source of the runs that are here, or will be."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._buffer: list[Waiting] = []
        self._parents: dict[str, str] = {}
        self._planned: dict[str, str] = {}
        """Id in this store of each run of the source that is here or about to be."""

    @property
    def findings(self) -> Findings:
        return self.source.findings

    @cached_property
    def writer(self) -> BulkWriter | None:
        return None if self.store is None else bulk_writer(self.store)

    # the runs

    def import_runs(self) -> None:
        """All runs of the experiments asked for.

        Raises:
            TrackingError: The store to write to does not take them, or no experiment has such a name.
        """
        known = self._known
        chosen = self._chosen()
        planned = [(experiment, self.source.run_ids(experiment)) for experiment in chosen]
        total, done = sum(len(ids) for _, ids in planned), 0
        self.progress(0, total)
        with _collector_paused():
            for experiment, run_ids in planned:
                self._open(experiment, len(run_ids))
                for run_id in run_ids:
                    self._one(experiment, run_id, known.get(self._key(run_id)))
                    done += 1
                    self.progress(done, total)
                self._flush(experiment)
                self._close(experiment)
        self._mend_parents()

    def _chosen(self) -> list[SourceExperiment]:
        every_one = self.source.experiments()
        chosen = [one for one in every_one if self.options.wants(one)]
        if not chosen and self.options.pattern is not None:
            there = ", ".join(sorted(one.name for one in every_one)[:20]) or "none"
            raise TrackingError(
                f"no experiment of {self.source.place} is called {self.options.pattern!r}; there: {there}"
            )
        return chosen

    @cached_property
    def _known(self) -> dict[tuple[str, str], ImportedRun]:
        found = {} if self.writer is None else {self._key(run.origin, run.place): run for run in self.writer.imported()}
        self._planned |= {run.origin: run.run_id for run in found.values()}
        self.run_of |= {run.origin: run.run_id for run in found.values() if run.whole and not run.deleted}
        return found

    def _key(self, origin: str, place: str | None = None) -> tuple[str, str]:
        """An id made by MLflow is the same run wherever the store was moved to; others only count in their place."""
        return (origin, "" if _ID.fullmatch(origin) else place if place is not None else self.source.place)

    def _one(self, experiment: SourceExperiment, run_id: str, known: ImportedRun | None) -> None:
        if known is not None and known.whole:
            self.summary.present["runs"] += 1
            if not known.deleted:
                self.seen.add(run_id)
            return
        try:
            run = self.source.run(experiment, run_id)
            prepared = None if run is None else prepare(run, experiment, self.source.place, self.games, self.findings)
        except NBAPropsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a strange file does, the others are imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.findings.left_out(f"run {run_id[:40]}", "a run that can't be read", reason[:200])
            prepared = run = None
        if run is None or prepared is None:
            self.summary.left_out["runs"] += 1
            return
        self._count(prepared)
        if not prepared.deleted:
            self.seen.add(run_id)
        waiting = Waiting(prepared=prepared, run=run)
        if self.options.dry_run:
            self.source.release(run)
        elif known is not None:  # interrupted after its rows were written: its files are still to come
            self._finish([(waiting, known.run_id)])
        else:
            waiting.name = self._name(prepared, experiment)
            self._buffer.append(waiting)
            values = sum(one.prepared.values for one in self._buffer)
            if len(self._buffer) >= _RUNS_AT_ONCE or values >= _VALUES_AT_ONCE:
                self._flush(experiment)

    def _count(self, prepared: Prepared, sign: int = 1) -> None:
        counts = self.summary.imported
        counts["runs"] += sign
        counts["metrics"] += sign * len(prepared.metrics)
        counts["metric values"] += sign * prepared.values
        counts["artifact files"] += sign * len(prepared.files)
        counts["predictions"] += sign * (prepared.predictions is not None)

    def _name(self, prepared: Prepared, experiment: SourceExperiment) -> str:
        """The standard name with the next free number, or the name as it was."""
        told = prepared.recognised
        if not told.standard or self.store is None:
            return shorten_name(prepared.name)
        experiment_id, template = self._ids[experiment.key], shorten_name(told.name)
        at = (experiment_id, template)
        if at not in self._numbers:
            self._numbers[at] = next_version_number(self.store, experiment_id, template)
        number = max(self._numbers[at], told.number or 0)
        self._numbers[at] = number + 1
        return template.replace("{n}", str(number))

    def _flush(self, experiment: SourceExperiment) -> None:
        if self._buffer and self.writer is not None:
            waiting, self._buffer = self._buffer, []
            self._finish(self._written(self.writer, waiting, experiment))

    def _written(
        self, writer: BulkWriter, waiting: list[Waiting], experiment: SourceExperiment
    ) -> list[tuple[Waiting, str]]:
        """Written together; where the store refuses something, one by one, so that only that one is left out."""
        rows = self._rows(waiting, experiment)
        try:
            return list(zip(waiting, writer.write(rows), strict=True))
        except TrackingError:
            if self.store is None or self.store.lost is not None:
                raise
        found: list[tuple[Waiting, str]] = []
        refused: list[TrackingError] = []
        for row, one in zip(rows, waiting, strict=True):
            try:
                found.append((one, writer.write([row])[0]))
            except TrackingError as error:
                refused.append(error)
                if self.store.lost is not None or len(refused) == len(rows) > 1:
                    raise
                self.findings.left_out(f"run {one.prepared.origin[:40]}", "refused by the store", str(error)[:300])
                self._count(one.prepared, -1)
                self.summary.left_out["runs"] += 1
        return found

    def _finish(self, written: list[tuple[Waiting, str]]) -> None:
        """Files come after the rows, and the mark that all is there comes last."""
        if self.writer is None:
            return
        for waiting, run_id in written:
            self._upload(waiting.prepared, run_id)
            self.source.release(waiting.run)
        deleted = [run_id for waiting, run_id in written if waiting.prepared.deleted]
        self.writer.complete([run_id for _, run_id in written], deleted)
        for waiting, run_id in written:
            self._remember(waiting.prepared, run_id)

    def _rows(self, waiting: list[Waiting], experiment: SourceExperiment) -> list[RunRows]:
        """New ids: MLflow remembers in a process where a run's files are by the id alone, whatever store it is in."""
        ids = [uuid.uuid4().hex for _ in waiting]
        self._planned |= {one.prepared.origin: run_id for one, run_id in zip(waiting, ids, strict=True)}
        for one in waiting:
            parent = one.prepared.tags.get("mlflow.parentRunId", "")
            if parent in self._planned:
                one.prepared.tags["mlflow.parentRunId"] = self._planned[parent]
        return [
            run_rows(one.prepared, run_id=run_id, experiment_id=self._ids[experiment.key], name=one.name)
            for one, run_id in zip(waiting, ids, strict=True)
        ]

    def _remember(self, prepared: Prepared, run_id: str) -> None:
        if not prepared.deleted:
            self.run_of[prepared.origin] = run_id
        if parent := prepared.tags.get("mlflow.parentRunId"):
            self._parents[run_id] = parent

    def _mend_parents(self) -> None:
        """Children that were written before their parents, or to a server, which gives ids of its own."""
        actual = {self._planned[origin]: run_id for origin, run_id in self.run_of.items() if origin in self._planned}
        new_id = self.run_of | actual
        moved = {child: new_id[one] for child, one in self._parents.items() if new_id.get(one, one) != one}
        if moved and self.store is not None:
            with self.store.calling("link runs with their parents") as client:
                for child, parent in moved.items():
                    client.set_tag(child, "mlflow.parentRunId", parent)

    def _upload(self, prepared: Prepared, run_id: str) -> None:
        if self.store is None or not (prepared.files or prepared.predictions or prepared.long_values):
            return
        with staged(prepared) as folder:
            upload(self.store, run_id, folder)

    # the experiments

    @cached_property
    def _ids(self) -> dict[str, str]:
        """Id in this store of each of the source's experiments."""
        return {}

    @cached_property
    def _existing(self) -> dict[str, Experiment]:
        from mlflow.entities import ViewType  # noqa: PLC0415 - MLflow is imported by the store

        if self.store is None:
            return {}
        with self.store.calling("list the experiments") as client:
            found = every(client.search_experiments, view_type=ViewType.ALL, max_results=1000)
            return {one.name: one for one in found}

    def _open(self, experiment: SourceExperiment, runs: int) -> None:
        """The experiment of the same name, made where there is none."""
        name, there = self._target_name(experiment)
        if there is not None or name == DEFAULT_EXPERIMENT:  # every store has it from the start
            self.summary.present["experiments"] += 1
        elif runs or not experiment.deleted:
            self.summary.imported["experiments"] += 1
        if experiment.deleted:
            self.findings.noted(
                f"experiment {experiment.name[:80]}", "deleted", "imported as deleted: restore it there"
            )
        if self.options.dry_run or self.store is None:
            return
        if there is not None and there.lifecycle_stage == "deleted" and self.store.is_remote:
            with self.store.calling(f"restore the experiment {name!r}") as client:
                client.restore_experiment(there.experiment_id)
        if there is not None:
            self._ids[experiment.key] = str(there.experiment_id)
            return
        self._ids[experiment.key] = experiment_id = ensure_experiment(self.store, name)
        kept = {key: value for key, value in experiment.tags.items() if key and not key.startswith(tags.PREFIX)}
        with self.store.calling(f"describe the experiment {name!r}") as client:
            for key, value in {**kept, tags.IMPORTED_FROM: self.source.place}.items():
                client.set_experiment_tag(experiment_id, key[:250], value[:5000])
            self._existing[name] = client.get_experiment(experiment_id)

    def _target_name(self, experiment: SourceExperiment) -> tuple[str, Experiment | None]:
        """Its name here, and the experiment that has it. One that somebody deleted here is not written to."""
        name = " ".join(experiment.name.split())[:_EXPERIMENT_CHARACTERS] or f"imported {experiment.key}"
        there = self._existing.get(name)
        if there is not None and there.lifecycle_stage == "deleted" and not self._is_deleted_twin(experiment, there):
            name = f"{name} (imported)"
            there = self._existing.get(name)
        return name, there

    @staticmethod
    def _is_deleted_twin(experiment: SourceExperiment, there: Experiment) -> bool:
        return experiment.deleted and tags.IMPORTED_FROM in there.tags

    def _close(self, experiment: SourceExperiment) -> None:
        """Delete here what was deleted there, unless it is an experiment that others use."""
        if not experiment.deleted or self.store is None or experiment.key not in self._ids:
            return
        with self.store.calling(f"delete the experiment {experiment.name!r}") as client:
            there = client.get_experiment(self._ids[experiment.key])
            ours = tags.IMPORTED_FROM in there.tags and there.lifecycle_stage == "active"
            if ours and not client.search_runs([there.experiment_id], max_results=1):
                client.delete_experiment(there.experiment_id)


def run_rows(prepared: Prepared, *, run_id: str, experiment_id: str, name: str) -> RunRows:
    return RunRows(
        run_id=run_id,
        experiment_id=experiment_id,
        name=name,
        status=prepared.status,
        start_time=prepared.start_time,
        end_time=prepared.end_time,
        user=prepared.user,
        deleted=prepared.deleted,
        params=prepared.params,
        tags=prepared.tags | {"mlflow.runName": name},
        metrics=prepared.metrics,
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Millions of tuples without a cycle among them: looking for one takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def staged(prepared: Prepared) -> Iterator[Path]:
    """A folder with links to exactly the files that may be read, and with those that the import makes."""
    with tempfile.TemporaryDirectory(prefix="nbaprops-import-") as temporary:
        folder = Path(temporary)
        link_all(prepared.files, folder)
        if prepared.predictions is not None:
            write_predictions(prepared.predictions.frame, folder)
        if prepared.long_values:
            text = json.dumps(prepared.long_values, indent=1, ensure_ascii=False)
            (folder / LONG_VALUES).write_text(text, encoding="utf-8", errors="replace")
        yield folder


def link_all(files: Mapping[str, Path], folder: Path) -> None:
    """Links instead of copies: what is uploaded is read through them."""
    for below, path in files.items():
        link = folder / below
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.symlink_to(path.resolve())
        except OSError:  # Windows needs a right for it
            link.write_bytes(path.read_bytes())


def upload(store: Store, run_id: str, folder: Path, below: str | None = None) -> None:
    with store.calling(f"copy the files of the run {run_id}", artifacts=True) as client:
        client.log_artifacts(run_id, str(folder), below)
