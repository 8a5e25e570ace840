"""MLflow's file store (`mlruns/`), read as it lies on the disk: MLflow itself refuses it since 3.13.

    <root>/<experiment id>/meta.yaml, tags/<name>
    <root>/<experiment id>/<run id>/meta.yaml, metrics/<name>, params/<name>, tags/<name>, artifacts/
    <root>/<experiment id>/models/m-…/meta.yaml, artifacts/              (MLflow 3)
    <root>/.trash/<experiment id>/…
    <root>/models/<registered model>/meta.yaml, tags/, aliases/<alias>, version-<n>/meta.yaml, tags/

Folders may be missing, since version control drops empty ones, and any file may be damaged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pytest_nbaprops.importing.places import Places, is_absolute_here, local_parts, logged_model_id
from pytest_nbaprops.importing.points import read_history
from pytest_nbaprops.importing.source import (
    DEFAULT_EXPERIMENT,
    KILLED,
    Findings,
    Point,
    SourceExperiment,
    SourceModel,
    SourceRun,
    SourceVersion,
    ending,
    shown,
)
from pytest_nbaprops.importing.texts import META, SafeFolder, millis_of, text_of, version_of

TRASH: Final = ".trash"
MODELS: Final = "models"
_NOT_IMPORTED: Final = ("datasets", "traces")
_NOT_RUNS: Final = ("tags", *_NOT_IMPORTED, MODELS, TRASH)
_PARTS: Final = ("metrics", "params", "tags")
_ALIAS_TEXT: Final = re.compile(r"\s*v?(\d{1,9})\s*")
_VERSION_FOLDER: Final = re.compile(r"version-(\d{1,9})")


class FileStore:
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.place = str(self.root)
        self.findings = Findings()
        self._metas: dict[Path, dict[str, Any] | None] = {}
        self._models_of: dict[str, dict[str, dict[str, Path]]] = {}
        self.files = SafeFolder(self.root, self.findings)
        beside = [self.root.parent / name for name in ("mlartifacts", "artifacts")]
        self.places = Places(self.root, [self.root, self.root.parent, *(path for path in beside if path.is_dir())])

    def release(self, run: SourceRun) -> None:
        """Nothing was fetched."""

    def close(self) -> None:
        """Nothing was opened."""

    # experiments

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Folder of each experiment, by its key; one that lies in the trash, too, is another one."""
        found = {folder.name: folder for folder in self.files.folders(self.root) if self._is_experiment(folder)}
        for folder in self.files.folders(self.root / TRASH):
            found[folder.name if folder.name not in found else f"{TRASH}/{folder.name}"] = folder
        return found

    def _is_experiment(self, folder: Path) -> bool:
        if folder.name in (TRASH, MODELS) or folder.name.startswith("."):
            return False
        if (folder / META).is_file() or folder.name.isdecimal():
            return True
        return any(_looks_like_a_run(inside) for inside in self.files.folders(folder))

    def experiments(self) -> list[SourceExperiment]:
        found = []
        for key, folder in self._folders.items():
            meta, where = self.files.meta(folder), self.files.name_of(folder)
            said = meta or {}
            named = text_of(said, "name")
            name = named or (DEFAULT_EXPERIMENT if folder.name == "0" else f"imported {folder.name}")
            if meta is None and any(_looks_like_a_run(inside) for inside in folder.iterdir() if inside.is_dir()):
                self.findings.repaired(where, "an experiment without meta.yaml", f"called {name!r}")
            elif not named and meta is not None:
                self.findings.repaired(where, "an experiment without a name", f"called {name!r}")
            deleted = folder.parent.name == TRASH or text_of(said, "lifecycle_stage") == "deleted"
            tags = self.files.texts(folder / "tags")
            for kind in _NOT_IMPORTED:
                if count := len(self.files.folders(folder / kind)):
                    self.findings.left_out(f"{where}/{kind}", f"{count} {kind}", "only runs and models are imported")
            found.append(SourceExperiment(key=key, name=name, deleted=deleted, tags=tags))
        return found

    # runs

    def run_ids(self, experiment: SourceExperiment) -> list[str]:
        folder = self._folders[experiment.key]
        found = []
        for inside in self.files.folders(folder):
            if inside.name in _NOT_RUNS or inside.name.startswith("."):
                continue
            if (inside / META).exists() or _looks_like_a_run(inside):
                found.append(inside.name)
            else:
                self.findings.left_out(self.files.name_of(inside), "a folder with nothing of a run", "not a run")
        # The oldest first, as the runs of one name are numbered.
        metas = {run_id: self.files.meta(folder / run_id) for run_id in found}
        self._metas |= {folder / run_id: meta for run_id, meta in metas.items()}
        return sorted(found, key=lambda run_id: (millis_of((metas[run_id] or {}).get("start_time")) or 0, run_id))

    def run(self, experiment: SourceExperiment, run_id: str) -> SourceRun | None:
        folder = self._folders[experiment.key] / run_id
        where = self.files.name_of(folder)
        meta = self._metas.pop(folder) if folder in self._metas else self.files.meta(folder)
        said = meta or {}
        missing = [name for name in _PARTS if not (folder / name).is_dir()]
        if missing:
            self.findings.repaired(where, f"no folder {', '.join(missing)}", "read as empty")
        tags = self.files.texts(folder / "tags")
        metrics = self._metrics(folder)
        stamps = [point.timestamp for points in metrics.values() for point in (points[0], points[-1])]
        known = [stamp for stamp in stamps if millis_of(stamp) is not None]
        start = millis_of(said.get("start_time")) or min(known, default=None) or int(folder.stat().st_mtime * 1000)
        status = KILLED
        if meta is not None:
            ended = ending(self.findings, where, text_of(said, "status").upper(), start, metrics)
            if ended is None:
                return None
            status, _ = ended
        run = SourceRun(
            run_id=run_id,
            experiment=experiment.key,
            name=tags.get("mlflow.runName", "").strip() or text_of(said, "run_name", "name"),
            status=status,
            start_time=start,
            end_time=millis_of(said.get("end_time")) or max([start, *known]),
            user=text_of(said, "user_id") or tags.get("mlflow.user", ""),
            deleted=experiment.deleted or text_of(said, "lifecycle_stage") == "deleted",
            params=self.files.texts(folder / "params"),
            tags=tags,
            metrics=metrics,
            files=self._artifacts(folder, said),
            models=self._logged_models(experiment.key).get(run_id, {}),
        )
        self._note_meta(where, meta, run)
        return run

    def _note_meta(self, where: str, meta: Mapping[str, Any] | None, run: SourceRun) -> None:
        named = text_of(meta or {}, "run_id", "run_uuid")
        if meta is None:
            done = f"name, times and status from what is there: {run.status}"
            self.findings.repaired(where, "a run without meta.yaml", done)
        elif not named:
            self.findings.repaired(where, "meta.yaml without the run's id", "the folder's name counts")
        elif named != run.run_id:
            self.findings.repaired(where, f"meta.yaml names another run ({named[:40]})", "the folder's name counts")

    def _metrics(self, folder: Path) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for name, content in self.files.text_files(folder / "metrics"):
            where, history = self.files.name_of(folder / "metrics" / name), read_history(content)
            for is_so, what, done in (
                (history.broken, f"{_lines(history.broken)} half-written or no numbers", "left these out"),
                (history.repeated, f"{_lines(history.repeated)} repeated", "kept once"),
                (history.unsorted, "lines out of order", "sorted by step"),
                (history.seconds, "times in seconds, as before MLflow 1.0", "made milliseconds"),
            ):
                if is_so:
                    self.findings.repaired(where, what, done)
            if history.points:
                found[name] = history.points
            else:
                self.findings.left_out(where, "a metric without any value", "nothing to import")
        return found

    # files

    def _artifacts(self, folder: Path, meta: Mapping[str, Any]) -> Path | None:
        own, where = folder / "artifacts", self.files.name_of(folder)
        uri = text_of(meta, "artifact_uri")
        named = is_absolute_here(uri) if uri else None
        if own.is_dir() and self.files.holds(own):
            if uri and own.resolve() not in (named, named and named.resolve()) and local_parts(uri) != ():
                self.findings.repaired(where, f"artifacts named as {shown(uri)}", "found in the run's own folder")
            return own
        found = self.places.run_files(uri, folder.name) if uri else None
        if found is not None:
            self.findings.repaired(where, f"artifacts named as {shown(uri)}", f"found in {found}")
        elif uri and (local_parts(uri) is None or own != named):
            self.findings.left_out(where, f"artifacts named as {shown(uri)}", "not there, or not a place to read from")
        return found

    def _logged_models(self, experiment: str) -> Mapping[str, dict[str, Path]]:
        """MLflow 3 keeps models beside the runs: for each run its model folders, by a path among the artifacts."""
        found = self._models_of.get(experiment)
        if found is None:
            found = self._models_of[experiment] = {}
            for folder in self.files.folders(self._folders[experiment] / MODELS):
                meta = self.files.meta(folder) or {}
                files = folder / "artifacts"
                run_id = text_of(meta, "source_run_id")
                if run_id and files.is_dir() and self.files.holds(files):
                    found.setdefault(run_id, {})[f"models/{folder.name}"] = files
        return found

    # registered models

    def models(self) -> Iterator[SourceModel]:
        for folder in self.files.folders(self.root / MODELS):
            meta, where = self.files.meta(folder), self.files.name_of(folder)
            versions = [one for one in map(self._version, self.files.folders(folder)) if one is not None]
            if meta is None and not versions:
                self.findings.left_out(where, "a folder with nothing of a registered model", "not a model")
                continue
            if meta is None:
                self.findings.repaired(where, "a registered model without meta.yaml", "named by its folder")
            yield SourceModel(
                name=text_of(meta or {}, "name") or folder.name,
                description=text_of(meta or {}, "description"),
                tags=self.files.texts(folder / "tags"),
                aliases=self._aliases(folder / "aliases"),
                versions=sorted(versions, key=lambda version: version.number),
            )

    def _aliases(self, folder: Path) -> dict[str, int]:
        found = {}
        for name, text in self.files.texts(folder).items():
            if match := _ALIAS_TEXT.fullmatch(text):
                found[name] = int(match[1])
            else:
                self.findings.left_out(self.files.name_of(folder / name), "an alias of no version", f"{text[:40]!r}")
        return found

    def _version(self, folder: Path) -> SourceVersion | None:
        match, where = _VERSION_FOLDER.fullmatch(folder.name), self.files.name_of(folder)
        if match is None:
            if folder.name not in ("tags", "aliases"):
                self.findings.left_out(where, "a folder with nothing of a version", "not a version")
            return None
        meta = self.files.meta(folder)
        if meta is None:
            self.findings.repaired(where, "a version without meta.yaml", "registered without its files and its run")
            meta = {}
        source, tags = text_of(meta, "storage_location", "source"), self.files.texts(folder / "tags")
        files = self._version_files(source, text_of(meta, "model_id"))
        return version_of(meta, int(match[1]), meta.get("creation_timestamp"), tags, files)

    def _version_files(self, source: str, model_id: str) -> Path | None:
        wanted = model_id or logged_model_id(source)
        if wanted and re.fullmatch(r"m-[0-9a-f]{32}", wanted):
            for folder in self._folders.values():
                files = folder / MODELS / wanted / "artifacts"
                if files.is_dir() and self.files.holds(files):
                    return files
        return self.places.version_files(source, self._folders.values())


def _looks_like_a_run(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in (*_PARTS, "artifacts"))


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"
