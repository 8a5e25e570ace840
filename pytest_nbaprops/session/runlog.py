"""What a candidate's MLflow run gets to know, while the folds come in and at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.metrics.point import FOLD_METRICS
from pytest_nbaprops.redaction import redact, redacted, redacted_words
from pytest_nbaprops.registry.publication import Publication, RunRecord
from pytest_nbaprops.reports.decision_file import write_attribution, write_tables
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import fold_threads, workers_of
from pytest_nbaprops.tracking import provenance, tags
from pytest_nbaprops.tracking.artifacts import CHAMPION, DECISION
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState


class RunLog:
    """Logs the candidates of one session; a failure is kept by the publication and ends the logging."""

    def __init__(self, context: Context, publication: Publication) -> None:
        self.context, self.publication = context, publication
        self.commit = provenance.git_commit(context.root)
        # Before the folds: code may change while they run.
        self.checkout = provenance.checkout(context.root)
        self.directory = os.path.relpath(Path.cwd(), context.root)
        self.deferred: set[str] = set()
        """Candidates that are logged only when it is sure that there is something to log."""
        self._started: set[str] = set()

    def fold(self, candidate: Candidate, fold: FoldState) -> None:
        """Log one fold, unless its candidate waits or nothing is decided."""
        if candidate.name not in self.deferred and self.context.settings.rehearse is None:
            self.publication.attempt(lambda: self._folds(candidate, [fold]))

    def catch_up(self, candidate: Candidate) -> None:
        """Log everything of a candidate that waited."""
        if candidate.name in self.deferred or candidate.name not in self._started:
            self.deferred.discard(candidate.name)
            self.publication.attempt(lambda: self._folds(candidate, candidate.folds))

    def _folds(self, candidate: Candidate, folds: list[FoldState]) -> None:
        if candidate.name not in self._started:
            digest = self.context.dataset.digest.full
            record = self._record(candidate)
            self.publication.start(candidate.name, record, self.context.dataset.games, self.context.source, digest)
            self._started.add(candidate.name)
        for fold in folds:
            if (result := fold.result) is not None:
                self.publication.fold(candidate.name, fold.fold.number, fold.fold.cutoff, result.logged)

    def results(self, candidate: Candidate, metrics: Mapping[str, float], reference: Lineage | None) -> None:
        """Overall metrics, tables and importance of a candidate."""
        self.publication.attempt(lambda: self._results(candidate, metrics, reference))

    def _results(self, candidate: Candidate, metrics: Mapping[str, float], reference: Lineage | None) -> None:
        tracker = self.publication.tracker(candidate.name)
        tracker.log_validation_metrics(dict(metrics))
        folder = self.fresh_folder("artifacts")
        write_tables(folder, candidate.predictions(), fold_table([candidate]))
        document = json.dumps(self._provenance(candidate), indent=1, default=str) + "\n"
        (folder / provenance.PROVENANCE).write_text(document, encoding="utf-8")
        if self.checkout.diff:
            (folder / provenance.DIFF).write_text(self.checkout.diff, encoding="utf-8")
        tracker.log_artifacts(folder)
        importance = mean_importance(candidate)
        if not importance.empty:
            tracker.log_feature_importance(importance)
        # feature_lineage.json: groups with tier, version, columns and code digest; new against the champion's.
        lineage = candidate.lineage
        known = {column for group in reference.groups for column in group.columns} if reference else set()
        tracker.log_feature_lineage(
            lineage.feature_version,
            {group.name: group.columns for group in lineage.groups},
            [column for group in lineage.groups for column in group.columns if reference and column not in known],
            reference.feature_version if reference else None,
            details={"groups": lineage.to_dict()["groups"]},
        )

    def attribution(self, effects: Mapping[str, Sequence[Effect]]) -> None:
        """attribution.csv and attribution.png of each candidate."""
        for name, some in effects.items():
            if some and name in self._started:
                folder = self.fresh_folder("attribution")
                write_attribution(folder, {name: some})
                self.artifacts(name, folder)

    def champion(self, name: str, champion: Champion) -> None:
        """What the version to beat predicts for the same player-games: whoever promotes by hand compares with it."""
        if champion.predictions is not None and champion.version is not None:
            folder = self.fresh_folder("champion")
            champion.predictions.to_parquet(folder / CHAMPION.format(champion.version), index=False)
            self.artifacts(name, folder)

    def artifacts(self, name: str, folder: Path) -> None:
        """All files of a folder, into the candidate's run."""
        self.publication.attempt(lambda: self.publication.tracker(name).log_artifacts(folder))

    def fresh_folder(self, kind: str) -> Path:
        """An empty one in the session's folder, for files that go into a run."""
        folder = self.context.folder / kind / str(len(list(self.context.folder.glob(f"{kind}/*"))))
        folder.mkdir(parents=True)
        return folder

    def _record(self, candidate: Candidate) -> RunRecord:
        spec, settings = candidate.spec, self.context.settings
        recipe, digest = spec.recipe or spec.name, self.context.dataset.digest.full
        return RunRecord(
            identity=candidate.identity,
            run_name=settings.run_name.format(  # all but `{n}` filled in
                date=datetime.now(UTC).strftime("%Y-%m-%d"),
                phase=settings.phase,
                feature_set=candidate.lineage.feature_version if spec.features else recipe,
                recipe=recipe,
                candidate=spec.name,
                n="{n}",
            ),
            params={
                "candidate": spec.name,
                "recipe": spec.recipe or "own estimator",
                **_estimator_params(candidate.recipe),
                "target": candidate.target,
                "test": spec.test,
                "train_window": spec.train_window,
                "step": spec.step,
                "refit": spec.refit,
                "seed": spec.seed,
                "features": spec.features or "default",
                "feature_version": candidate.lineage.feature_version,
                "n_features": len(candidate.columns),
                "feature_groups": ",".join(group.name for group in candidate.groups),
                "n_folds": len(candidate.folds),
                "first_test_date": candidate.folds[0].fold.dates[0].isoformat(),
                "last_test_date": candidate.folds[-1].fold.dates[-1].isoformat(),
                "dataset_digest": digest,
            },
            tags={
                "phase": settings.phase,
                "feature_version": candidate.lineage.feature_version,
                "model_type": spec.recipe or "own estimator",
                "validation_type": "walk_forward",
                "git_commit": self.commit or "unknown",
                "dataset_digest": digest,
                "simulated": str(self.context.simulated).lower(),
                "promote_mode": settings.promote,
                tags.MADE_OF: candidate.made_of,
                tags.SOURCE: "pytest --nbaprops-train",
                tags.SOURCE_TYPE: "LOCAL",
                **({tags.SOURCE_COMMIT: self.commit} if self.commit else {}),
            },
        )

    def _provenance(self, candidate: Candidate) -> dict[str, Any]:
        """All that decides a candidate's result, as exact builtins, for whoever wants to repeat it."""
        context = self.context
        try:  # the session's command line, as decision.json has it since the start
            written = json.loads((Path(context.settings.report) / DECISION).read_text(encoding="utf-8"))["command"]
            command = redacted_words(written)
        except (OSError, ValueError, KeyError):
            command = []
        return {
            "schema_version": provenance.SCHEMA_VERSION,
            "candidate": {
                "name": candidate.name,
                "identity": candidate.identity,
                "spec": redacted(candidate.spec.to_dict()),
                "target": candidate.target,
                "columns": list(candidate.columns),
                "recipe": redacted(candidate.recipe.identity()) if candidate.recipe else None,
                "estimator": candidate.estimator()[0],
                "nodeids": [fold.nodeid for fold, _ in candidate.evaluated],
                "folds_from_store": sum(result.cached for _, result in candidate.evaluated),
            },
            "lineage": candidate.lineage.to_dict(),
            "dataset": {
                "source": redact(context.source),
                "simulated": context.simulated,
                "digest": context.dataset.digest.to_dict(),
            },
            "seed": candidate.spec.seed,
            "workers": workers_of(context),
            "threads": fold_threads(context),
            "libraries": provenance.versions(),
            "plugin_code": provenance.plugin_code(),
            "platform": provenance.machine(),
            "git": self.checkout.to_dict(),
            "command": command,
            "directory": self.directory,
            "settings": redacted(context.settings.to_dict()),
            "environment": provenance.environment(os.environ),
        }


def _estimator_params(recipe: Any) -> dict[str, object]:
    """Every hyperparameter that is set, as `model.<name>`."""
    if recipe is None:
        return {}
    params = recipe.estimator.get_params(deep=True)
    plain = {name: value for name, value in params.items() if value is not None and not hasattr(value, "get_params")}
    return {f"model.{name}": value for name, value in sorted(plain.items()) if name != "n_jobs"}


def fold_table(candidates: list[Candidate]) -> pd.DataFrame:
    """A row per planned fold: candidate, fold, dates, fitted_at, outcome, metrics; nothing that depends on the run."""
    rows = []
    for candidate in candidates:
        for fold in candidate.folds:
            values = dict.fromkeys(FOLD_METRICS, float("nan"))
            if fold.result is not None:
                values = {name: fold.result.metrics[name] for name in FOLD_METRICS}
            kind = "failed" if fold.failure else "missing" if fold.reason_missing else "passed"
            rows.append(
                {
                    "candidate": candidate.name,
                    "fold": fold.fold.number,
                    "date": fold.fold.id,
                    "dates": " ".join(day.isoformat() for day in fold.fold.dates),
                    "fitted_at": fold.fold.fitted_at.isoformat(),
                    "outcome": kind,
                    **values,
                    **{f"own_{name}": value for name, value in (fold.result.own if fold.result else {}).items()},
                }
            )
    return pd.DataFrame(rows)


def mean_importance(candidate: Candidate) -> pd.Series[float]:
    """Importance of each feature, averaged over the fits; empty where the estimator has none."""
    fits: dict[Any, Mapping[str, float]] = {}
    for fold, result in candidate.evaluated:
        if result.details.get("importance"):
            fits.setdefault(fold.fold.fitted_at, result.details["importance"])
    if not fits:
        return pd.Series(dtype="float64")
    return pd.DataFrame(list(fits.values())).mean().sort_values(ascending=False)
