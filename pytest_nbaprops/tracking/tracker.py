"""The tracker: one MLflow run of a walk-forward validation, written through an explicit run id."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args

import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.metrics.point import FOLD_METRICS, point_metrics
from pytest_nbaprops.tracking import artifacts, payload, tags
from pytest_nbaprops.tracking.artifacts import RunFiles
from pytest_nbaprops.tracking.connection import Store, as_store
from pytest_nbaprops.tracking.models import log_model
from pytest_nbaprops.tracking.registering import register
from pytest_nbaprops.tracking.retries import create_once
from pytest_nbaprops.tracking.runs import ensure_experiment

Status = Literal["FINISHED", "FAILED", "KILLED"]
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)

DEFAULT_EXPERIMENT = "NBA_Props_Model/Phase1_Features"


class StandardNBAPropsTracker(RunFiles):
    """Logs one run at a time: fold metrics, params and tags are kept and sent together by `flush` and `end_run`.

    Every method but `flush` and those that write files only keeps its values, until 800 metrics are waiting.
    What MLflow would refuse (a name, another value for a param) is refused at once, and nothing of that call is kept.
    A metric that is NaN or infinite is not stored (a stored infinity would pass a threshold): its name goes into the
    tag `nbaprops.not_finite`. Every failure is a TrackingError of one line; nothing is swallowed.
    """

    def __init__(
        self,
        experiment_name: str = DEFAULT_EXPERIMENT,
        *,
        tracking_uri: str | None = None,
        artifact_root: Path | None = None,
        store: Store | None = None,
    ) -> None:
        """Connect, and create the experiment if need be.

        Raises:
            TrackingError: The store can't be used.
        """
        self.experiment_name = experiment_name
        super().__init__(as_store(store, tracking_uri, artifact_root=artifact_root))
        self.experiment_id = ensure_experiment(self.store, experiment_name, artifact_root)
        self._pending = payload.Pending()

    # -- the run ------------------------------------------------------------------------------------------------

    def start_run(
        self, run_name: str | None = None, tags: Mapping[str, object] | None = None, *, run_id: str | None = None
    ) -> str:
        """Open a new run, or the one of `run_id` again, and give its id; MLFLOW_RUN_ID is never looked at.

        Raises:
            TrackingError: A run is open already, or there is none of this id.
        """
        if self._run_id is not None:
            raise TrackingError(f"the run {self._run_id} is still open: call end_run before the next start_run")
        payload.check_names("tag", tags or {})
        self._pending = payload.Pending()
        self._run_id = self._create(run_name, tags or {}) if run_id is None else self._resume(run_id, tags or {})
        return self._run_id

    def _create(self, run_name: str | None, values: Mapping[str, object]) -> str:
        request = secrets.token_hex(8)
        values = {tag.key: tag.value for tag in payload.as_tags({**values, tags.REQUEST: request})}
        condition = f"tags.`{tags.REQUEST}` = '{request}'"
        with self.store.calling(f"start the run {run_name or ''!r}") as client:
            run = create_once(
                lambda: client.create_run(self.experiment_id, run_name=run_name, tags=values),
                lambda: next(iter(client.search_runs([self.experiment_id], condition)), None),
            )
        return str(run.info.run_id)

    def _resume(self, run_id: str, values: Mapping[str, object]) -> str:
        with self.store.calling(f"resume the run {run_id}") as client:
            run = client.get_run(run_id)
            if run.info.status != "RUNNING":
                client.update_run(run_id, status="RUNNING")
        self._pending = payload.Pending(run.data.params)
        self._pending.add_tags(values)
        return run_id

    def end_run(self, status: Status = "FINISHED") -> None:
        """Send what is waiting and close the run; as FAILED where it could not be sent, which is raised all the same.

        Raises:
            TrackingError: Something was not stored, or `status` is none of FINISHED, FAILED and KILLED.
        """
        if status not in _STATUSES:
            raise TrackingError(f"a run can't end as {status!r}: use {', '.join(_STATUSES)}")
        try:
            self.flush()
        except BaseException:
            self._close("FAILED")
            raise
        self._close(status)

    def _close(self, status: Status) -> None:
        with self.store.calling(f"end the run {self.run_id}") as client:
            client.set_terminated(self.run_id, status=status)
        self._run_id = None
        self._pending = payload.Pending()

    def abandon(self, tags: Mapping[str, object]) -> None:
        """End the run as FAILED with these tags; what is waiting is dropped, since it may be what failed."""
        with self.store.calling(f"end the run {self.run_id}") as client:
            client.log_batch(self.run_id, tags=payload.as_tags(tags))
        self._close("FAILED")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close an open run: FINISHED, FAILED after an exception, KILLED after an interrupt.

        An exception of the block passes through: that the run could not be closed as well becomes a note on it.
        """
        if self._run_id is None:
            return
        if error is None:
            self.end_run()
            return
        try:
            self.end_run("FAILED" if isinstance(error, Exception) else "KILLED")
        except TrackingError as problem:
            error.add_note(str(problem))

    def flush(self) -> None:
        """Send everything that is waiting, at most 800 metrics, 100 params and 100 tags a request.

        What was sent stays sent: sending the same folds again changes nothing.
        """
        run_id = self.run_id
        pending = self._pending
        with self.store.calling(f"log to the run {run_id}") as client:
            for batch in payload.batches(pending.params, pending.tags, pending.metrics):
                client.log_batch(run_id, **batch)
        pending.sent()

    def _keep_metrics(self, values: Mapping[str, float], *, step: int = 0, timestamp: int = 0) -> None:
        self._pending.add_metrics(values, step=step, timestamp=timestamp)
        if len(self._pending.metrics) >= payload.METRICS_A_REQUEST:
            self.flush()

    # -- what is logged -----------------------------------------------------------------------------------------

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Keep tags for the next flush; a later value replaces an earlier one."""
        _ = self.run_id
        self._pending.add_tags(values)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Keep params for the next flush; nested mappings become dotted names.

        Raises:
            TrackingError: A param of this run has another value already.
        """
        _ = self.run_id
        self._pending.add_params(params)

    def log_training_config(self, config: Mapping[str, object]) -> None:
        """Keep the configuration as params; nested mappings become dotted names."""
        self.log_params(config)

    def log_validation_metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep metrics of the whole validation (`mae`, `rmse`, ...) for the next flush."""
        _ = self.run_id
        self._keep_metrics(metrics)

    def log_betting_metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep betting metrics (`roi`, `clv`, ...) of the whole validation for the next flush."""
        self.log_validation_metrics(metrics)

    def log_dataset_info(
        self, df: pd.DataFrame, dataset_name: str, source_path: str | Path, *, digest: str | None = None
    ) -> None:
        """Log the data as a dataset input of the run: 36 characters of its digest in MLflow's field, all in a tag.

        Passwords in `source_path` are masked; `digest` is the SHA-256 of the whole data, if already known.
        """
        digest = digest or payload.frame_digest(df)
        entry = payload.dataset_input(df, dataset_name, str(source_path), digest)
        self.set_tags({tags.DATASET_DIGEST: digest})
        with self.store.calling(f"log the dataset to the run {self.run_id}") as client:
            client.log_inputs(self.run_id, datasets=[entry])

    def log_walk_forward_fold(
        self, fold_num: int, fold_date: object, predictions: pd.DataFrame, *, metrics: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """Keep `fold_mae`, `fold_rmse`, `fold_r2`, `fold_bias` and `fold_n_predictions` of one fold; give them back.

        `predictions` have the columns `actual` and `predicted`, in the target's units, one row for each player-game;
        `metrics` are further ones of this fold, logged as `fold_<name>`. The rest is as in `log_fold_metrics`.
        """
        _ = self.run_id
        return self.log_fold_metrics(fold_num, fold_date, _fold_metrics(predictions) | dict(metrics or {}))

    def log_fold_metrics(self, fold_num: int, fold_date: object, metrics: Mapping[str, float]) -> dict[str, float]:
        """Keep metrics of one fold that are computed already, as `fold_<name>`; give them back.

        The number is the metrics' step, the first game date (midnight UTC) their timestamp: logging again is harmless.
        """
        _ = self.run_id
        try:
            step = int(fold_num)  # numpy's too
        except (TypeError, ValueError):
            raise TrackingError(f"a fold's number must be one, not {fold_num!r:.60}") from None
        timestamp = payload.date_timestamp(fold_date)
        named = {f"fold_{name}": value for name, value in metrics.items()}
        self._keep_metrics(named, step=step, timestamp=timestamp)
        return named

    def log_feature_lineage(
        self,
        feature_version: str,
        feature_categories: Mapping[str, Sequence[str]],
        new_features: Sequence[str] = (),
        baseline_version: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `feature_lineage.json` and tag the run with the feature version, the content id of the feature set.

        `feature_categories` are the columns of each group or tier, `new_features` those that the feature version
        `baseline_version` does not have, `details` more to keep in the file, such as the groups' code digests.
        """
        self.set_tags({tags.FEATURE_VERSION: feature_version, tags.N_NEW_FEATURES: len(new_features)})
        self.log_params({"n_features": sum(len(names) for names in feature_categories.values())})
        document = {
            "feature_version": feature_version,
            "baseline_version": baseline_version,
            "feature_categories": {name: list(names) for name, names in feature_categories.items()},
            "new_features": list(new_features),
            **(details or {}),
        }
        self.log_json(document, artifacts.LINEAGE)

    def log_baseline_comparison(self, baseline_run_id: str) -> dict[str, dict[str, float]]:
        """Compare this run's overall metrics with another run's, and write `baseline_comparison.json`.

        Returns:
            For every metric that both have: `candidate`, `baseline` and `difference` (candidate - baseline).
        """
        self.flush()
        with self.store.calling(f"compare with the run {baseline_run_id}") as client:
            ours = client.get_run(self.run_id).data.metrics
            theirs = client.get_run(baseline_run_id).data.metrics
        shared = sorted(name for name in ours.keys() & theirs.keys() if not name.startswith("fold_"))
        comparison = {
            name: {"candidate": ours[name], "baseline": theirs[name], "difference": ours[name] - theirs[name]}
            for name in shared
        }
        self.set_tags({tags.BASELINE_RUN: baseline_run_id})
        self.log_json({"baseline_run_id": baseline_run_id, "metrics": comparison}, "baseline_comparison.json")
        return comparison

    # -- the model ----------------------------------------------------------------------------------------------

    def log_model(  # noqa: PLR0913  the first three are the public API, the rest is named
        self,
        model: Any,
        model_type: str,
        registered_model_name: str | None = None,
        *,
        input_example: pd.DataFrame | None = None,
        content: str | None = None,
        trusted_types: Sequence[str] = (),
    ) -> str:
        """Store a fitted regressor without pickle (UBJ for XGBoost, else skops) and give its `models:/m-…` URI.

        Args:
            model: Fitted on a DataFrame.
            model_type: What it is called in the tag `model_type`.
            registered_model_name: Register it, too, as a version without alias.
            input_example: A few training rows (names, order and float width of the features); None: the names come
                from `feature_names_in_`. With rows, the stored model must predict the same for them.
            content: Identity of what was fitted; a model of this run with the same one is not stored again.
            trusted_types: Further types that skops may hold.

        Raises:
            TrackingError: The model can't be stored without pickle, or not read back the same.
        """
        uri = log_model(
            self.store,
            self.experiment_id,
            self.run_id,
            model,
            model_type=model_type,
            content=content,
            example=input_example,
            trusted_types=tuple(trusted_types),
        )
        if registered_model_name is not None:
            register(self.store, uri, registered_model_name, content=content)
        return uri


def _fold_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    if not hasattr(predictions, "columns"):
        raise TrackingError(f"predictions of a fold must be a DataFrame, not a {type(predictions).__name__}")
    missing = [name for name in ("actual", "predicted") if name not in predictions.columns]
    if missing:
        found = ", ".join(map(str, predictions.columns)) or "none"
        raise TrackingError(f"predictions of a fold need the columns actual and predicted; there are: {found}")
    try:
        actual, predicted = (predictions[name].to_numpy(dtype="float64") for name in ("actual", "predicted"))
    except (TypeError, ValueError) as error:
        raise TrackingError(f"predictions of a fold must be numbers: {error}") from None
    values = point_metrics(actual, predicted)
    return {name: values[name] for name in FOLD_METRICS}
