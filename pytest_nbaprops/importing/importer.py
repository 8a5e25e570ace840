"""The import itself: what is new is read, recognised, repaired and written; what is there already is left alone."""

from __future__ import annotations

import gc
import json
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import NBAPropsError, TrackingError
from pytest_nbaprops.importing.experiments import Experiments
from pytest_nbaprops.importing.prepared import LONG_VALUES, Prepared, prepare, shorten_name
from pytest_nbaprops.importing.source import Source, SourceExperiment
from pytest_nbaprops.importing.summary import Summary
from pytest_nbaprops.tracking.artifacts import write_predictions
from pytest_nbaprops.tracking.bulk import BulkWriter, DatabaseWriter, ImportedRun, ServerWriter
from pytest_nbaprops.tracking.runs import next_version_number

if TYPE_CHECKING:
    from pytest_nbaprops.importing.predictions import GamesIndex
    from pytest_nbaprops.tracking.connection import Store

_ID: Final = re.compile(r"[0-9a-f]{32}")
_RUNS_AT_ONCE: Final = 50
_VALUES_AT_ONCE: Final = 200_000


class Importer:
    """Brings a source into a store. `store` is None only for a dry run where there is no store yet.

    `pattern` is a shell pattern for names of experiments, None for all.
    """

    def __init__(  # noqa: PLR0913 - from where, to where, what, with what, and who looks on
        self,
        source: Source,
        store: Store | None,
        target: str,
        *,
        pattern: str | None = None,
        dry_run: bool = False,
        games: GamesIndex | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 - nobody looks
    ) -> None:
        self.source, self.store, self.games, self.progress = source, store, games, progress
        self.pattern, self.dry_run = pattern, dry_run
        self.summary = Summary(source=source.place, target=target, dry_run=dry_run)
        self.findings = source.findings
        self.summary.findings = self.findings.found
        self.experiments = Experiments(source, store, self.summary)
        self.run_of: dict[str, str] = {}
        """Id in this store of each run of the source that is here, and not deleted."""
        self.seen: set[str] = set()
        """Ids in the source of the runs that are here, or will be."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._buffer: list[Prepared] = []
        self._parents: dict[str, str] = {}
        self._planned: dict[str, str] = {}
        """Id in this store of each run of the source that is here or about to be."""

    @cached_property
    def writer(self) -> BulkWriter | None:
        """The fast way into a database, the usual one to a server."""
        if (store := self.store) is None:
            return None
        return ServerWriter(store) if store.is_remote or store.uri.startswith("databricks") else DatabaseWriter(store)

    @property
    def is_lost(self) -> bool:
        """Whether the store has failed for good."""
        return self.store is not None and self.store.lost is not None

    # the runs

    def import_runs(self) -> None:
        """All runs of the experiments asked for."""
        known, every_one = self._known, self.source.experiments()
        chosen, pattern = every_one, self.pattern
        if pattern is not None:
            chosen = [one for one in every_one if fnmatchcase(one.name.lower(), pattern.lower())]
            if not chosen:
                there = ", ".join(sorted(one.name for one in every_one)[:20]) or "none"
                raise TrackingError(f"no experiment of {self.source.place} is called {pattern!r}; there: {there}")
        planned = [(experiment, self.source.run_ids(experiment)) for experiment in chosen]
        total, done = sum(len(ids) for _, ids in planned), 0
        self.progress(0, total)
        with _collector_paused():
            for experiment, run_ids in planned:
                self.experiments.open(experiment, len(run_ids))
                for run_id in run_ids:
                    self._one(experiment, run_id, known.get(self._key(run_id)))
                    done += 1
                    self.progress(done, total)
                self._flush(experiment)
                self.experiments.close(experiment)
        self._mend_parents()

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
        prepared = self._read(experiment, run_id)
        if prepared is None:
            self.summary.left_out["runs"] += 1
            return
        self._count(prepared)
        if not prepared.deleted:
            self.seen.add(run_id)
        if self.dry_run:
            self._release(prepared)
        elif known is not None:  # interrupted after its rows were written: its files are still to come
            self._finish([(prepared, known.run_id)])
        else:
            prepared.name = self._name(prepared, experiment)
            self._buffer.append(prepared)
            values = sum(one.values for one in self._buffer)
            if len(self._buffer) >= _RUNS_AT_ONCE or values >= _VALUES_AT_ONCE:
                self._flush(experiment)

    def _read(self, experiment: SourceExperiment, run_id: str) -> Prepared | None:
        try:
            run = self.source.run(experiment, run_id)
            return None if run is None else prepare(run, experiment, self.source.place, self.games, self.findings)
        except NBAPropsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a strange file does, the others are imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.findings.left_out(f"run {run_id[:40]}", "a run that can't be read", reason[:200])
            return None

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
        template = shorten_name(told.name)
        at = (self.experiments.ids[experiment.key], template)
        if at not in self._numbers:
            self._numbers[at] = next_version_number(self.store, *at)
        number = max(self._numbers[at], told.number or 0)
        self._numbers[at] = number + 1
        return template.replace("{n}", str(number))

    def _flush(self, experiment: SourceExperiment) -> None:
        if self._buffer and self.writer is not None:
            waiting, self._buffer = self._buffer, []
            self._finish(self._written(self.writer, waiting, experiment))

    def _written(
        self, writer: BulkWriter, waiting: list[Prepared], experiment: SourceExperiment
    ) -> list[tuple[Prepared, str]]:
        """Written together; where the store refuses something, one by one, so that only that one is left out.

        The ids are new: MLflow remembers in a process where a run's files are by the id alone, whatever store it is in.
        Where the store refuses all of several, it is at fault, not a run.
        """
        ids = [uuid.uuid4().hex for _ in waiting]
        self._planned |= {one.origin: run_id for one, run_id in zip(waiting, ids, strict=True)}
        rows = []
        for one, run_id in zip(waiting, ids, strict=True):
            parent = one.tags.get("mlflow.parentRunId", "")
            if parent in self._planned:
                one.tags["mlflow.parentRunId"] = self._planned[parent]
            rows.append(one.placed(run_id, self.experiments.ids[experiment.key]))
        try:
            return list(zip(waiting, writer.write(rows), strict=True))
        except TrackingError:
            if self.is_lost:
                raise
        found: list[tuple[Prepared, str]] = []
        refused = 0
        for row, one in zip(rows, waiting, strict=True):
            try:
                found.append((one, writer.write([row])[0]))
            except TrackingError as error:
                refused += 1
                if self.is_lost or refused == len(rows) > 1:
                    raise
                self.findings.left_out(f"run {one.origin[:40]}", "refused by the store", str(error)[:300])
                self._count(one, -1)
                self.summary.left_out["runs"] += 1
        return found

    def _finish(self, written: list[tuple[Prepared, str]]) -> None:
        """Files come after the rows, and the mark that all is there comes last."""
        if self.writer is None:
            return
        for one, run_id in written:
            self._upload(one, run_id)
            self._release(one)
        self.writer.complete([run_id for _, run_id in written], [run_id for one, run_id in written if one.deleted])
        for one, run_id in written:
            if not one.deleted:
                self.run_of[one.origin] = run_id
            if parent := one.tags.get("mlflow.parentRunId"):
                self._parents[run_id] = parent

    def _release(self, prepared: Prepared) -> None:
        if prepared.source is not None:
            self.source.release(prepared.source)

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
        """Copy exactly the files that may be read, and those that the import makes."""
        if self.store is None or not (prepared.files or prepared.predictions is not None or prepared.long_values):
            return
        with tempfile.TemporaryDirectory(prefix="nbaprops-import-") as temporary:
            folder = Path(temporary)
            link_all(prepared.files, folder)
            if prepared.predictions is not None:
                write_predictions(prepared.predictions, folder)
            if prepared.long_values:
                text = json.dumps(prepared.long_values, indent=1, ensure_ascii=False)
                (folder / LONG_VALUES).write_text(text, encoding="utf-8", errors="replace")
            upload(self.store, run_id, folder)


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
