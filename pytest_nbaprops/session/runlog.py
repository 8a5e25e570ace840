"""What a candidate's MLflow run gets to know, while the folds come in and at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.registry.publication import Publication, RunRecord
from pytest_nbaprops.reports.attribution import write_attribution
from pytest_nbaprops.reports.decision_file import write_tables
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.provenance import Surroundings, write_record
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.tracker import Status
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState

FOLD_COLUMNS = ("mae", "rmse", "r2", "bias", "n_predictions")


class RunLog:
    """Logs the candidates of one session; a failure is kept by the publication and ends the logging."""

    def __init__(self, context: Context, publication: Publication, commit: str | None) -> None:
        self.context, self.publication, self.commit = context, publication, commit
        self.surroundings = Surroundings.now(context.root)  # before the folds: code may change while they run
        self._started: set[str] = set()
        self._deferred: set[str] = set()

    def defer(self, name: str) -> None:
        """Log this candidate only when it is sure that there is something to log."""
        self._deferred.add(name)

    def fold(self, state: Candidate, fold: FoldState) -> None:
        """Log one fold, unless its candidate waits."""
        if state.name not in self._deferred:
            self.publication.attempt(lambda: self._log(state, [fold]))

    def catch_up(self, state: Candidate) -> None:
        """Log everything of a candidate that waited."""
        if state.name in self._deferred or state.name not in self._started:
            self._deferred.discard(state.name)
            self.publication.attempt(lambda: self._log(state, state.folds))

    def results(self, state: Candidate, metrics: Mapping[str, float], reference: Lineage | None) -> None:
        """Overall metrics, tables and importance of a candidate."""
        self.publication.attempt(lambda: self._results(state, metrics, reference))

    def attribution(self, effects: Mapping[str, Sequence[Effect]]) -> None:
        """attribution.csv and attribution.png of each candidate."""
        for name, some in effects.items():
            if some and name in self._started:
                folder = self.context.folder / "attribution" / str(len(list(self.context.folder.glob("attribution/*"))))
                write_attribution(folder, {name: some})
                self.publication.attempt(partial(self.publication.tracker(name).log_artifacts, folder))

    def finish(self, state: Candidate, *, decision_file: Path, verdict: str, status: Status) -> None:
        self.publication.attempt(
            lambda: self.publication.finish(state.name, decision_file=decision_file, verdict=verdict, status=status)
        )

    def _log(self, state: Candidate, folds: list[FoldState]) -> None:
        if state.name not in self._started:
            digest = self.context.dataset.digest.full
            record = self._record(state)
            self.publication.start(state.name, record, self.context.dataset.games, self.context.source, digest)
            self._started.add(state.name)
        for fold in folds:
            if (result := fold.result) is not None:
                own = {**result.own, **result.beside}
                self.publication.fold(state.name, fold.fold.number, fold.fold.cutoff, result.predictions, own)

    def _results(self, state: Candidate, metrics: Mapping[str, float], reference: Lineage | None) -> None:
        tracker = self.publication.tracker(state.name)
        tracker.log_validation_metrics(dict(metrics))
        folder = self.context.folder / "artifacts" / str(len(list(self.context.folder.glob("artifacts/*"))))
        folder.mkdir(parents=True)
        write_tables(folder, state.predictions(), fold_table([state]))
        write_record(folder, self.context, state, self.surroundings)
        tracker.log_artifacts(folder)
        importance = mean_importance(state)
        if not importance.empty:
            tracker.log_feature_importance(importance)
        self._lineage(state, reference)

    def _lineage(self, state: Candidate, reference: Lineage | None) -> None:
        """feature_lineage.json: groups with tier, version, columns and code digest; new against the champion's."""
        lineage = state.lineage
        known = {column for group in reference.groups for column in group.columns} if reference else set()
        new = [column for group in lineage.groups for column in group.columns if reference and column not in known]
        self.publication.tracker(state.name).log_feature_lineage(
            lineage.feature_version,
            {group.name: group.columns for group in lineage.groups},
            new,
            reference.feature_version if reference else None,
            details={"groups": lineage.to_dict()["groups"]},
        )

    def _record(self, state: Candidate) -> RunRecord:
        spec, settings = state.spec, self.context.settings
        digest = self.context.dataset.digest.full
        return RunRecord(
            identity=state.identity,
            run_name=self._run_name(state),
            params={
                "candidate": spec.name,
                "recipe": spec.recipe or "own estimator",
                **_estimator_params(state.recipe),
                "target": state.target,
                "test": spec.test,
                "train_window": spec.train_window,
                "step": spec.step,
                "refit": spec.refit,
                "seed": spec.seed,
                "features": spec.features or "default",
                "feature_version": state.lineage.feature_version,
                "n_features": len(state.columns),
                "feature_groups": ",".join(group.name for group in state.groups),
                "n_folds": len(state.folds),
                "first_test_date": state.folds[0].fold.dates[0].isoformat(),
                "last_test_date": state.folds[-1].fold.dates[-1].isoformat(),
                "dataset_digest": digest,
            },
            tags={
                "phase": settings.phase,
                "feature_version": state.lineage.feature_version,
                "model_type": spec.recipe or "own estimator",
                "validation_type": "walk_forward",
                "git_commit": self.commit or "unknown",
                "dataset_digest": digest,
                "simulated": str(self.context.simulated).lower(),
                "promote_mode": settings.promote,
                tags.SOURCE: "pytest --nbaprops-train",
                tags.SOURCE_TYPE: "LOCAL",
                **({tags.SOURCE_COMMIT: self.commit} if self.commit else {}),
            },
        )

    def _run_name(self, candidate: Candidate) -> str:
        """The template with all but `{n}` filled in."""
        spec, settings = candidate.spec, self.context.settings
        recipe = spec.recipe or spec.name
        return settings.run_name.format(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            phase=settings.phase,
            feature_set=candidate.lineage.feature_version if spec.features else recipe,
            recipe=recipe,
            candidate=spec.name,
            n="{n}",
        )


def _estimator_params(recipe: Any) -> dict[str, object]:
    """Every hyperparameter that is set, as `model.<name>`."""
    if recipe is None:
        return {}
    params = recipe.estimator.get_params(deep=True)
    plain = {name: value for name, value in params.items() if value is not None and not hasattr(value, "get_params")}
    return {f"model.{name}": value for name, value in sorted(plain.items()) if name != "n_jobs"}


def fold_table(states: list[Candidate]) -> pd.DataFrame:
    """A row per planned fold: candidate, fold, dates, fitted_at, state, metrics; nothing that depends on the run."""
    rows = []
    for state in states:
        for fold in state.folds:
            values = dict.fromkeys(FOLD_COLUMNS, float("nan"))
            if fold.result is not None:
                values = {name: fold.result.metrics[name] for name in FOLD_COLUMNS}
            kind = "failed" if fold.failure else "missing" if fold.reason_missing else "passed"
            rows.append(
                {
                    "candidate": state.name,
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


def mean_importance(state: Candidate) -> pd.Series[float]:
    """Importance of each feature, averaged over the fits; empty where the estimator has none."""
    fits: dict[Any, Mapping[str, float]] = {}
    for fold, result in state.evaluated:
        if result.details.get("importance"):
            fits.setdefault(fold.fold.fitted_at, result.details["importance"])
    if not fits:
        return pd.Series(dtype="float64")
    return pd.DataFrame(list(fits.values())).mean().sort_values(ascending=False)
