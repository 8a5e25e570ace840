"""Registered models with their versions and aliases, which `nbaprops rollback` can take back."""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.errors import NBAPropsError, TrackingError
from pytest_nbaprops.importing.aliases import Tenures, tenures_of
from pytest_nbaprops.importing.importer import Importer, link_all, upload
from pytest_nbaprops.importing.modelfiles import files_below, loaded, servable_file
from pytest_nbaprops.importing.prepared import Prepared
from pytest_nbaprops.importing.recognition import Recognised
from pytest_nbaprops.importing.source import SourceModel, SourceVersion
from pytest_nbaprops.importing.texts import SafeFolder
from pytest_nbaprops.registry.journal import SUFFIX as JOURNAL_SUFFIX
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.models import log_model
from pytest_nbaprops.tracking.payload import shortened
from pytest_nbaprops.tracking.registering import make_model, register
from pytest_nbaprops.tracking.runs import ensure_experiment
from pytest_nbaprops.tracking.search import found, versions

if TYPE_CHECKING:
    from pytest_nbaprops.tracking.connection import Store

STAND_INS: Final = "Imported models"
"""Experiment of the runs that are made for versions whose own run is gone."""

_TAG_CHARACTERS: Final = 5000
_NO_RUN: Final = "no run"


def import_models(importer: Importer) -> None:
    """All registered models of the source, or with a pattern those versions whose runs are of its experiments."""
    for model in importer.source.models():
        if tags.JOURNAL_OF in model.tags or model.name.endswith(JOURNAL_SUFFIX):
            continue  # this tool's own: who held which alias is told by the aliases
        chosen = [one for one in model.versions if importer.pattern is None or one.run_id in importer.seen]
        if chosen or (importer.pattern is None and not model.versions):
            _Model(importer, model, chosen).bring()


class _Model:
    def __init__(self, importer: Importer, model: SourceModel, chosen: Sequence[SourceVersion]) -> None:
        self.importer, self.model, self.chosen = importer, model, chosen
        self.findings, self.counts = importer.findings, importer.summary
        self.name = re.sub(r"[/:\x00-\x1f]+", "_", model.name).strip()[:200] or "imported"
        if self.name != model.name:
            self.findings.repaired(f"model {model.name[:80]}", "a name that MLflow does not take", f"{self.name!r}")
        self.numbers: dict[int, str] = {}
        """Number here of each version there."""

    def bring(self) -> None:
        store, there = self.importer.store, None
        if store is not None:
            with store.calling(f"look for the model {self.name}") as client:
                if found(client.get_registered_model, self.name) is not None:
                    there = versions(client, self.name)
        known = {
            (one.tags.get(tags.IMPORTED_VERSION, ""), one.tags.get(tags.IMPORTED_RUN, "")): str(one.version)
            for one in there or ()
        }
        (self.counts.present if there is not None else self.counts.imported)["models"] += 1
        if store is not None and there is None and not self.importer.dry_run:
            self._create(store)
        for version in self.chosen:
            with self._leaving_out("versions", f"model {self.name} v{version.number}", "could not be registered"):
                self._bring_version(version, known)
        for tenures in tenures_of(self.model, self.name, self.findings):
            with self._leaving_out("aliases", f"model {self.name} alias {tenures.alias}", "could not be set"):
                self._bring_alias(tenures)

    @contextmanager
    def _leaving_out(self, kind: str, where: str, what: str) -> Iterator[None]:
        """Whatever goes wrong with one of them, the others are imported; not where the registry is gone."""
        try:
            yield
        except Exception as error:  # whatever a strange file does
            if self.importer.is_lost:
                raise
            reason = str(error) if isinstance(error, NBAPropsError) else f"{type(error).__name__}: {error}"
            self.counts.left_out[kind] += 1
            self.findings.left_out(where, what, " ".join(reason.split())[:300])

    def _create(self, store: Store) -> None:
        own = {key: value for key, value in self.model.tags.items() if not key.startswith(tags.PREFIX)}
        with store.calling(f"register the model {self.name}") as client:
            origin = {tags.IMPORTED_FROM: self.importer.source.place}
            description = self.model.description[:_TAG_CHARACTERS] or None
            make_model(client, self.name, tags=_short(own | origin), description=description)

    # versions

    def _bring_version(self, version: SourceVersion, known: Mapping[tuple[str, str], str]) -> None:
        where = f"model {self.name} v{version.number}"
        origin = (str(version.number), version.run_id or _NO_RUN)
        if origin in known:
            self.numbers[version.number] = known[origin]
            self.counts.present["versions"] += 1
            return
        files: list[Path] = []
        if version.files is not None and version.files.is_file():
            files = [version.files]
        elif version.files is not None:
            files = files_below(version.files, SafeFolder(version.files, self.findings, where))
        file, why_not = servable_file(version.files, files) if version.files and files else (None, "its files are gone")
        if file is None:
            self.findings.noted(where, "not servable", why_not)
        if version.run_id is not None and version.run_id not in self.importer.seen:
            self.findings.repaired(where, f"its run {version.run_id[:40]} is gone", "a run was made that holds it")
        elif version.run_id is None:
            self.findings.repaired(where, "it names no run", "a run was made that holds it")
        store, number = self.importer.store, str(version.number)
        if store is not None and not self.importer.dry_run:
            number = self._register(store, version, files, file, why_not)
        self.counts.imported["versions"] += 1
        self.numbers[version.number] = number
        if number != str(version.number):
            self.findings.noted(where, "its number is not free here", f"it is v{number} of {self.name}")

    def _register(
        self, store: Store, version: SourceVersion, files: list[Path], file: Path | None, why_not: str
    ) -> str:
        run_id, experiment_id = self._run(store, version)
        values = _short({key: value for key, value in version.tags.items() if not key.startswith(tags.PREFIX)})
        values |= {
            tags.IMPORTED_VERSION: str(version.number),
            tags.IMPORTED_RUN: version.run_id or _NO_RUN,
            tags.IMPORTED_FROM: self.importer.source.place,
            tags.IMPORTED_STAGE: version.stage,
        }
        if file is not None and version.files is not None:
            with tempfile.TemporaryDirectory(prefix="nbaprops-import-") as temporary:
                model = loaded(file, version.files, Path(temporary))
            if isinstance(model, str):
                why_not = model
                self.findings.noted(f"model {self.name} v{version.number}", "not servable", why_not)
            else:
                return self._register_model(store, version, model, file, (run_id, experiment_id), values)
        values[tags.SERVABLE] = f"false: {why_not}"[:_TAG_CHARACTERS]
        below = self._copied(store, version, files, run_id)
        with store.calling(f"register {self.name} v{version.number}", artifacts=True) as client:
            source = "/".join(filter(None, (client.get_run(run_id).info.artifact_uri.rstrip("/"), below)))
            created = client.create_model_version(
                self.name, source, run_id, tags=values, description=version.description or None, await_creation_for=60
            )
        return str(created.version)

    def _register_model(  # noqa: PLR0913, PLR0917 - what a version is made of
        self, store: Store, version: SourceVersion, model: Any, file: Path, run: tuple[str, str], values: dict[str, str]
    ) -> str:
        """XGBoost's own file, stored as this tool stores one."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        content = f"imported:{version.run_id or self.importer.source.place}:{version.number}:{digest}"
        uri = log_model(store, run[1], run[0], model, model_type="xgboost", content=content)
        number = register(
            store, uri, self.name, content=content, run_id=run[0], version_tags=values | {tags.SERVABLE: "true"}
        )
        if version.description:
            with store.calling(f"describe {self.name} v{number}") as client:
                client.update_model_version(self.name, number, version.description)
        return number

    def _copied(self, store: Store, version: SourceVersion, files: list[Path], run_id: str) -> str:
        """The path of the model among the run's artifacts, copied there where it did not come with the run."""
        if version.files is None or not files:
            return ""
        root = version.files if version.files.is_dir() else version.files.parent
        below = f"models/{self.name}-v{version.number}"
        with store.calling(f"look for the files of {self.name} v{version.number}", artifacts=True) as client:
            parent, _, last = version.source.replace("\\", "/").partition("/artifacts/")[2].rpartition("/")
            if last and ".." not in parent.split("/"):
                there = {entry.path for entry in client.list_artifacts(run_id, parent or None)}
                if (came := "/".join(filter(None, (parent, last)))) in there:
                    return came
        with tempfile.TemporaryDirectory(prefix="nbaprops-import-") as temporary:
            link_all({path.relative_to(root).as_posix(): path for path in files}, Path(temporary))
            upload(store, run_id, Path(temporary), below)
        return below

    def _run(self, store: Store, version: SourceVersion) -> tuple[str, str]:
        """The version's run and its experiment here; one that stands in where it is gone or deleted."""
        run_of, origin = self.importer.run_of, f"model {self.name} v{version.number}"
        run_id = run_of.get(version.run_id or "") or run_of.get(origin) or self._stand_in(store, version, origin)
        with store.calling(f"read the run {run_id}") as client:
            return run_id, str(client.get_run(run_id).info.experiment_id)

    def _stand_in(self, store: Store, version: SourceVersion, origin: str) -> str:
        writer = self.importer.writer
        if writer is None:
            raise TrackingError(f"there is no store to register {origin} in")
        made = Prepared(
            origin=origin,
            name=origin,
            recognised=Recognised(name=origin, standard=False),
            status="FINISHED",
            start_time=version.created,
            end_time=version.created,
            tags={
                tags.IMPORTED_RUN: origin,
                tags.IMPORTED_FROM: self.importer.source.place,
                tags.IMPORTED_NAME: "",
                tags.DESCRIPTION: f"Stands in for the run {version.run_id or 'of nobody'}, which is gone.",
            },
        )
        rows = made.placed(uuid.uuid4().hex, ensure_experiment(store, STAND_INS))
        run_id = writer.write([rows])[0]
        writer.complete([run_id], [])
        self.importer.run_of[origin] = run_id
        return run_id

    # aliases

    def _bring_alias(self, tenures: Tenures) -> None:
        """Set the alias, unless somebody has moved it here since; promoted one after the other, as it was there."""
        holders = [number for number in tenures.holders if number in self.numbers]
        if not holders or holders[-1] != tenures.holders[-1]:
            return  # its version was left out
        store, wanted, model = self.importer.store, str(tenures.holders[-1]), None
        if store is not None:
            with store.calling(f"read the aliases of {self.name}") as client:
                model = found(client.get_registered_model, self.name)
        done = None if model is None else model.tags.get(tags.IMPORTED_ALIAS + tenures.alias)  # its number there
        held = None if model is None else model.aliases.get(tenures.alias)
        holder = None if held is None else str(held)
        if done == wanted:
            self.counts.present["aliases"] += 1
            return
        ours = {self.numbers[number] for number in holders}
        if done and done.isdecimal():
            ours.add(self.numbers.get(int(done), ""))
        if holder is not None and holder not in ours:
            self.counts.left_out["aliases"] += 1
            where = f"model {self.name} alias {tenures.alias}"
            self.findings.left_out(where, f"v{wanted} had it there", f"v{holder} has it here, and keeps it")
            return
        if store is not None and not self.importer.dry_run:
            self._promote(store, tenures, holders, holder)
        self.counts.imported["aliases"] += 1

    def _promote(self, store: Store, tenures: Tenures, holders: Sequence[int], holder: str | None) -> None:
        registry = ModelRegistry(store=store)
        there = [self.numbers[number] for number in holders]
        for number in holders[there.index(holder) + 1 :] if holder in there else holders:
            why = f"imported from {self.importer.source.place}: {tenures.why}"
            last = number == holders[-1]
            reason = why if last else f"{why}; v{number} of there was archived or in the stage before"
            registry.promote_model(self.name, self.numbers[number], tenures.alias, reason=reason)
        with store.calling(f"mark the alias {tenures.alias} of {self.name}") as client:
            client.set_registered_model_tag(self.name, tags.IMPORTED_ALIAS + tenures.alias, str(holders[-1]))


def _short(values: Mapping[str, str]) -> dict[str, str]:
    return {key[:250]: shortened(value, _TAG_CHARACTERS) for key, value in values.items() if key}
