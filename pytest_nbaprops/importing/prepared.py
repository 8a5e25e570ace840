"""A run as it will be written: names, values and times within MLflow's limits, what is too long kept in a file."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pandas as pd

from pytest_nbaprops.importing.modelfiles import files_below
from pytest_nbaprops.importing.predictions import WORSE, GamesIndex, old_predictions
from pytest_nbaprops.importing.recognition import Recognised, recognise, standard_metrics
from pytest_nbaprops.importing.source import Findings, Point, SourceExperiment, SourceRun
from pytest_nbaprops.importing.texts import SafeFolder
from pytest_nbaprops.metrics.point import point_metrics
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.bulk import RunRows
from pytest_nbaprops.tracking.payload import shortened

LONG_VALUES: Final = "imported_long_values.json"
_PARAM_CHARACTERS: Final = 6000
_TAG_CHARACTERS: Final = 8000
_NAME_CHARACTERS: Final = 250
_RUN_NAME_CHARACTERS: Final = 250
_NOT_ALLOWED: Final = re.compile(r"[^/\w.\- :]+")
_LATEST: Final = 10**14
# What only meant something in the store that the run comes from.
_OF_THE_STORE: Final = (tags.OWNER_PREFIX, tags.REQUEST, tags.MODEL_URI, tags.CANDIDATE, tags.IMPORTED_PREFIX)


@dataclass(kw_only=True)
class Prepared(RunRows):
    """A run, recognised and repaired; `files` maps the path among its artifacts to the file.

    `source` is what it was read from; None for one that stands in for a run that is gone.
    """

    origin: str
    recognised: Recognised
    source: SourceRun | None = None
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None
    long_values: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def values(self) -> int:
        return sum(map(len, self.metrics.values()))

    def placed(self, run_id: str, experiment_id: str) -> RunRows:
        """The rows of the run that it becomes in the store."""
        return replace(self, run_id=run_id, experiment_id=experiment_id, tags=self.tags | {"mlflow.runName": self.name})


def prepare(
    run: SourceRun, experiment: SourceExperiment, place: str, games: GamesIndex | None, findings: Findings
) -> Prepared:
    """Everything about the run that does not need the store it goes to."""
    where = f"run {run.run_id[:40]}" + (f" ({run.name[:60]})" if run.name else "")
    told = recognise(run, experiment.name)
    prepared = Prepared(
        origin=run.run_id,
        source=run,
        name=run.name or run.run_id,
        recognised=told,
        status=run.status,
        start_time=run.start_time or 0,
        end_time=run.end_time or run.start_time or 0,
        user=run.user[:256],
        deleted=run.deleted,
    )
    prepared.params = _texts(prepared, "params", run.params, _PARAM_CHARACTERS, where, findings)
    own = {key: value for key, value in run.tags.items() if not key.startswith(_OF_THE_STORE)}
    prepared.tags = _texts(prepared, "tags", own, _TAG_CHARACTERS, where, findings)
    prepared.tags |= {key: value for key, value in told.tags.items() if not prepared.tags.get(key, "").strip()}
    if "phase" in told.tags and prepared.tags["phase"] != told.tags["phase"]:  # `Phase 1`, `1`
        prepared.tags |= {"phase": told.tags["phase"], tags.IMPORTED_PHASE: prepared.tags["phase"]}
    prepared.tags |= {
        tags.IMPORTED_RUN: run.run_id,
        tags.IMPORTED_FROM: place[:_TAG_CHARACTERS],
        tags.IMPORTED_NAME: shortened(run.name, _TAG_CHARACTERS),
    }
    prepared.metrics = _metrics(prepared, run.metrics, where, findings)
    mae = _add_standard_names(prepared, where, findings)
    _collect_files(prepared, run, where, games, findings, mae)
    _add_what_predictions_tell(prepared, mae)
    return prepared


def _texts(  # noqa: PLR0913, PLR0917 - one kind of entries with its limit
    prepared: Prepared, kind: str, values: Mapping[str, str], most: int, where: str, findings: Findings
) -> dict[str, str]:
    """Params or tags within MLflow's limits; the whole of a long one goes into a file."""
    found: dict[str, str] = {}
    for key, value in values.items():
        name = _name(key, found, where, kind, findings)
        text = value.replace("\x00", "")
        if len(text) > most:
            prepared.long_values.setdefault(kind, {})[key] = value
            findings.repaired(where, f"{kind[:-1]} {name!r:.80} of {len(text):,} characters", f"whole in {LONG_VALUES}")
            if name.startswith("mlflow."):  # its beginning is no JSON, and MLflow's page would read it
                continue
        found[name] = shortened(text, most)
    return found


def _name(key: str, taken: Mapping[str, object], where: str, kind: str, findings: Findings) -> str:
    """A name that MLflow takes, and nobody else has."""
    name = posixpath.normpath(_NOT_ALLOWED.sub("_", key)).strip("/")
    while name.startswith(".."):
        name = name.removeprefix("..").lstrip("/")
    name = name if name not in ("", ".") else "_"
    if name == key and len(name) <= _NAME_CHARACTERS:
        return name
    mark = hashlib.sha256(key.encode(errors="replace")).hexdigest()[:8]
    if len(name) > _NAME_CHARACTERS or name in taken:
        name = f"{name[: _NAME_CHARACTERS - 9]}_{mark}"
    findings.repaired(where, f"the name {key[:60]!r} of {kind}", f"{name[:80]!r}")
    return name


def _metrics(
    prepared: Prepared, metrics: Mapping[str, list[Point]], where: str, findings: Findings
) -> dict[str, list[Point]]:
    """NaN stays; infinity becomes NaN, as MLflow would keep it as a number that passes any threshold."""
    found: dict[str, list[Point]] = {}
    not_finite = {}
    for key, points in metrics.items():
        name = _name(key, found, where, "a metric", findings)
        values = [point[1] for point in points]
        bad = 0 if all(map(math.isfinite, values)) else sum(not math.isfinite(value) for value in values)
        if bad:
            points = [p if math.isfinite(p.value) else p._replace(value=math.nan) for p in points]  # noqa: PLW2901
            not_finite[name] = bad
        if points[-1].timestamp > _LATEST:
            points = [p._replace(timestamp=min(p.timestamp, _LATEST)) for p in points]  # noqa: PLW2901
        found[name] = list({(p.timestamp, str(p.value), p.step): p for p in points}.values()) if bad else points
    if not_finite:
        text = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(not_finite.items()))
        prepared.tags[tags.NOT_FINITE] = shortened(text, _TAG_CHARACTERS)
        findings.repaired(where, f"NaN or infinite: {text[:120]}", "kept as NaN, named in a tag")
    return found


def _collect_files(  # noqa: PLR0913, PLR0917 - a run's, and where they and their players are looked up
    prepared: Prepared, run: SourceRun, where: str, games: GamesIndex | None, findings: Findings, mae: float | None
) -> None:
    label = f"{where} artifacts"
    if run.files is not None:
        files = files_below(run.files, SafeFolder(run.files, findings, label))
        prepared.files = {path.relative_to(run.files).as_posix(): path for path in files}
        prepared.predictions = old_predictions(run.files, files, prepared.name, where, games, findings, mae)
    for below, folder in run.models.items():
        for path in files_below(folder, SafeFolder(folder, findings, label)):
            prepared.files.setdefault(f"{below}/{path.relative_to(folder).as_posix()}", path)


def _add_standard_names(prepared: Prepared, where: str, findings: Findings) -> float | None:
    """The standard names beside the old ones. The run's MAE, if it has logged one number for it."""
    synonyms = standard_metrics(prepared.metrics)
    for synonym in synonyms:
        prepared.metrics[synonym.name] = [synonym.point]
        if synonym.last_of > 1:
            what = f"{synonym.original} has {synonym.last_of} steps and no total"
            findings.noted(where, what, f"{synonym.name} is the last of them")
    if synonyms:
        told = {synonym.name: synonym.original for synonym in synonyms}
        prepared.tags[tags.IMPORTED_METRICS] = json.dumps(told)
    points = prepared.metrics.get("mae", [])
    single = len({point.step for point in points}) == 1 and all(
        one.last_of == 1 for one in synonyms if one.name == "mae"
    )
    return points[-1].value if single and math.isfinite(points[-1].value) else None


def _add_what_predictions_tell(prepared: Prepared, logged_mae: float | None) -> None:
    """What no metric tells, and whether they are another model's than the one that was measured."""
    if prepared.predictions is None:
        return
    frame = prepared.predictions
    mae = (frame["actual"] - frame["predicted"]).abs().mean()
    if logged_mae is not None and mae > logged_mae * (1 + WORSE):
        prepared.tags[tags.IMPORTED_DOUBT] = (
            f"its predictions have MAE {mae:.4f}, and it logged an MAE of {logged_mae:.4f}"
        )
    for name, value in point_metrics(frame["actual"].to_numpy(), frame["predicted"].to_numpy()).items():
        if name not in prepared.metrics and math.isfinite(value):
            prepared.metrics[name] = [Point(prepared.end_time, value, 0)]
    days = frame["GAME_DATE"]
    for name, day in (("first_test_date", days.min()), ("last_test_date", days.max())):
        prepared.params.setdefault(name, f"{day:%Y-%m-%d}")


def shorten_name(name: str) -> str:
    """A run's name within MLflow's limit, in one line."""
    return shortened(" ".join(name.split()), _RUN_NAME_CHARACTERS)
