from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.runs import find_running
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities import Run

    from pytest_nbaprops.tracking.connection import Store


def stored(store: Store, run_id: str) -> Run:
    with store.calling("look") as client:
        return client.get_run(run_id)


def artifact(store: Store, run_id: str, name: str) -> Path:
    with store.calling("look") as client:
        return Path(client.download_artifacts(run_id, name))


def history(store: Store, run_id: str, metric: str) -> list[tuple[int, int, float]]:
    with store.calling("look") as client:
        return sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, metric))


def test_a_run_has_everything_that_was_logged(tracker: StandardNBAPropsTracker) -> None:
    """Params, tags and metrics are stored under the names given, and the run is FINISHED."""
    with tracker:
        run_id = tracker.start_run("v1", {"phase": "p1"})
        tracker.log_params({"max_depth": 4})
        tracker.log_training_config({"window": {"seasons": 3}})
        tracker.log_validation_metrics({"mae": 5.9})
        tracker.log_betting_metrics({"roi": 0.01})
        tracker.set_tags({"verdict": "PROMOTE"})
    run = stored(tracker.store, run_id)
    assert (run.info.run_name, run.info.status) == ("v1", "FINISHED")
    assert run.data.params == {"max_depth": "4", "window.seasons": "3"}
    assert run.data.metrics == {"mae": 5.9, "roi": 0.01}
    assert run.data.tags["phase"] == "p1"
    assert run.data.tags["verdict"] == "PROMOTE"


def test_folds_have_their_number_and_date(tracker: StandardNBAPropsTracker, predictions: pd.DataFrame) -> None:
    """A fold's metrics have its number as step and its date as timestamp."""
    run_id = tracker.start_run("v1")
    logged = tracker.log_walk_forward_fold(3, "2024-01-05", predictions, metrics={"coverage": 0.8})
    tracker.flush()
    assert logged["fold_mae"] == 1.5
    assert set(logged) == {
        "fold_mae", "fold_rmse", "fold_r2", "fold_bias", "fold_n_predictions", "fold_coverage",
    }  # fmt: skip
    for name, value in logged.items():
        assert history(tracker.store, run_id, name) == [(3, 1_704_412_800_000, value)]


def test_logging_again_changes_nothing(tracker: StandardNBAPropsTracker, predictions: pd.DataFrame) -> None:
    """A resumed run gets the same folds once more, and its history stays as it is."""
    run_id = tracker.start_run("v1", {tags.CANDIDATE: "c"})
    tracker.log_params({"a": 1})
    tracker.log_walk_forward_fold(0, "2024-01-05", predictions)
    tracker.flush()
    again = StandardNBAPropsTracker("League/Phase1", store=tracker.store)
    assert [run.info.run_id for run in find_running(tracker.store, again.experiment_id, "c")] == [run_id]
    assert again.start_run(run_id=run_id, tags={"phase": "p2"}) == run_id
    again.log_params({"a": 1})
    for number in (0, 1):
        again.log_walk_forward_fold(number, "2024-01-05", predictions)
    again.end_run()
    assert [step for step, _, _ in history(tracker.store, run_id, "fold_mae")] == [0, 1]
    assert stored(tracker.store, run_id).data.tags["phase"] == "p2"


def test_more_metrics_than_a_request_holds(tracker: StandardNBAPropsTracker, predictions: pd.DataFrame) -> None:
    """2,000 metrics, 250 params and 150 tags are all stored."""
    run_id = tracker.start_run("v1")
    for number in range(400):
        tracker.log_walk_forward_fold(number, "2024-01-05", predictions)
    tracker.log_params({f"p{i}": i for i in range(250)})
    tracker.set_tags({f"t{i}": i for i in range(150)})
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert len(history(tracker.store, run_id, "fold_bias")) == 400
    assert len(run.data.params) == 250
    assert run.data.tags["t149"] == "149"


def test_what_is_not_finite_is_named_in_a_tag(tracker: StandardNBAPropsTracker, predictions: pd.DataFrame) -> None:
    """NaN and infinity are not stored, where they would pass thresholds, but their names are."""
    run_id = tracker.start_run("v1")
    tracker.log_validation_metrics({"mae": math.nan, "rmse": 7.0, "roi": math.inf})
    for number in (0, 1):
        tracker.log_walk_forward_fold(number, "2024-01-05", predictions.head(1))
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert run.data.tags[tags.NOT_FINITE] == "fold_r2 (2), mae, roi"
    assert "mae" not in run.data.metrics
    assert run.data.metrics["rmse"] == 7.0


def test_the_environments_run_id_is_nobodys_run(
    tracker: StandardNBAPropsTracker, monkeypatch: pytest.MonkeyPatch, predictions: pd.DataFrame
) -> None:
    """MLFLOW_RUN_ID of a surrounding job neither gets our metrics nor becomes our run."""
    parent = tracker.start_run("parent")
    tracker.end_run()
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    child = tracker.start_run("child")
    tracker.log_walk_forward_fold(0, "2024-01-05", predictions)
    tracker.end_run()
    assert child != parent
    assert stored(tracker.store, parent).data.metrics == {}
    assert stored(tracker.store, child).info.experiment_id == tracker.experiment_id


def test_the_dataset_is_an_input_of_the_run(tracker: StandardNBAPropsTracker) -> None:
    """Name, size and 36 characters of the digest are in MLflow's field, all of it in a tag, no password anywhere."""
    run_id = tracker.start_run("v1")
    games = pd.DataFrame({"PTS": [1.0, 2.0], "name": ["a", "b"], "n": [1, 2]})
    tracker.log_dataset_info(games, "games", "postgresql://bob:hunter2@db/games", digest="d" * 64)
    tracker.end_run()
    run = stored(tracker.store, run_id)
    (entry,) = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("games", "d" * 36)
    assert json.loads(entry.dataset.profile)["num_rows"] == 2
    assert run.data.tags[tags.DATASET_DIGEST] == "d" * 64
    assert "hunter2" not in entry.dataset.source


def test_lineage_is_a_file_and_a_tag(tracker: StandardNBAPropsTracker) -> None:
    """feature_lineage.json holds what was given; what depends on the champion of the day is a tag, which may change."""
    run_id = tracker.start_run("v1")
    groups: dict[str, Any] = {"groups": [{"name": "usage", "version": "1"}]}
    tracker.log_feature_lineage("abc", {"core": ["a", "b"]}, ["b"], "old", details=groups)
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert run.data.tags["feature_version"] == "abc"
    assert run.data.params == {"n_features": "2"}
    assert run.data.tags["n_new_features"] == "1"
    assert json.loads(artifact(tracker.store, run_id, "feature_lineage.json").read_text()) == {
        "feature_version": "abc",
        "baseline_version": "old",
        "feature_categories": {"core": ["a", "b"]},
        "new_features": ["b"],
        "groups": [{"name": "usage", "version": "1"}],
    }


def test_a_run_is_compared_with_another(tracker: StandardNBAPropsTracker) -> None:
    """The comparison has every overall metric that both runs have, what is waiting included."""
    baseline = tracker.start_run("base")
    tracker.log_validation_metrics({"mae": 6.0, "r2": 0.5})
    tracker.end_run()
    run_id = tracker.start_run("new")
    tracker.log_validation_metrics({"mae": 5.5, "roi": 0.1})
    expected = {"mae": {"candidate": 5.5, "baseline": 6.0, "difference": -0.5}}
    assert tracker.log_baseline_comparison(baseline) == expected
    tracker.end_run()
    assert json.loads(artifact(tracker.store, run_id, "baseline_comparison.json").read_text())["metrics"] == expected


def test_files_are_kept(tracker: StandardNBAPropsTracker, tmp_path: Path, predictions: pd.DataFrame) -> None:
    """Predictions, importance and any file or folder are artifacts of the run."""
    run_id = tracker.start_run("v1")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "folds.csv").write_text("fold\n")
    tracker.log_predictions(predictions)
    tracker.log_feature_importance(["a", "b"], [0.2, 0.8])
    tracker.log_artifacts(folder)
    tracker.log_artifact(folder / "folds.csv", "more")
    tracker.end_run()
    with tracker.store.calling("look") as client:
        names = {item.path for item in client.list_artifacts(run_id)}
    assert names == {
        "predictions.parquet", "feature_importance.csv", "feature_importance.png", "folds.csv", "more",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns=["GAME_ID", "predicted"]), "the predictions lack GAME_ID, predicted"),
        (lambda rows: pd.concat([rows, rows.head(1)]), "one player-game twice: 2024-01-05 game 0022300001 player 0"),
        (lambda rows: rows.assign(predicted="x"), "the predictions cannot be read"),
        (lambda rows: rows.assign(predicted=math.nan), "predicted missing or not finite"),
    ],
)
def test_predictions_that_nothing_can_be_judged_by_are_refused(
    tracker: StandardNBAPropsTracker,
    predictions: pd.DataFrame,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    message: str,
) -> None:
    """Missing columns, repeated player-games and what is no number are told at once; nothing is stored."""
    run_id = tracker.start_run("v1")
    with pytest.raises(TrackingError, match=message):
        tracker.log_predictions(change(predictions))
    with tracker.store.calling("look") as client:
        assert client.list_artifacts(run_id) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", "2024-01-05"), "a fold's number must be one, not 'nope'"),
        ((1, "nope"), "a fold's date must be one, such as 2024-01-05, not 'nope'"),
    ],
)
def test_a_fold_has_a_number_and_a_date(
    tracker: StandardNBAPropsTracker, predictions: pd.DataFrame, arguments: tuple[Any, Any], message: str
) -> None:
    """Anything else is one clear line."""
    tracker.start_run("v1")
    with pytest.raises(TrackingError, match=message):
        tracker.log_walk_forward_fold(*arguments, predictions)


@pytest.mark.parametrize(
    "wrong", [{"actual": [1.0], "predicted": [1.0]}, pd.DataFrame({"actual": ["a"], "predicted": ["b"]})]
)
def test_a_folds_predictions_are_a_frame_of_numbers(tracker: StandardNBAPropsTracker, wrong: Any) -> None:
    """A dict and texts are one clear line."""
    tracker.start_run("v1")
    with pytest.raises(TrackingError, match="predictions of a fold"):
        tracker.log_walk_forward_fold(1, "2024-01-05", wrong)


def test_nan_never_gets_into_a_json_file(tracker: StandardNBAPropsTracker) -> None:
    """A document with NaN is a mistake, and nothing of it is stored."""
    run_id = tracker.start_run("v1")
    with pytest.raises(ValueError, match="not JSON compliant"):
        tracker.log_json({"mae": math.nan}, "x.json")
    with tracker.store.calling("look") as client:
        assert client.list_artifacts(run_id) == []


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_the_block_decides_the_status(
    tracker: StandardNBAPropsTracker, error: BaseException | None, status: str
) -> None:
    """A run ends as its with-block does."""
    run_id = None
    try:
        with tracker:
            run_id = tracker.start_run("v1")
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as caught:
        assert caught is error  # noqa: PT017  that it passes through is half of the claim
    assert run_id is not None
    assert stored(tracker.store, run_id).info.status == status


def test_without_a_run_nothing_can_be_logged(tracker: StandardNBAPropsTracker, predictions: pd.DataFrame) -> None:
    """Every method asks for start_run first."""
    for call in (
        lambda: tracker.log_params({"a": 1}),
        lambda: tracker.log_validation_metrics({"a": 1}),
        lambda: tracker.log_walk_forward_fold(0, "2024-01-05", predictions),
        lambda: tracker.log_predictions(predictions),
        tracker.flush,
        tracker.end_run,
    ):
        with pytest.raises(TrackingError, match="start_run"):
            call()


def test_one_run_at_a_time(tracker: StandardNBAPropsTracker) -> None:
    """A second start_run is refused while a run is open."""
    run_id = tracker.start_run("v1")
    with pytest.raises(TrackingError, match=f"{run_id} is still open"):
        tracker.start_run("v2")


def test_a_run_that_is_not_there_can_not_be_resumed(tracker: StandardNBAPropsTracker) -> None:
    """An unknown id is an error that names it, and no run is open afterwards."""
    with pytest.raises(TrackingError, match="resume the run feedbeef"):
        tracker.start_run(run_id="feedbeef")
    tracker.start_run("v1")


def test_predictions_need_their_columns(tracker: StandardNBAPropsTracker) -> None:
    """A frame without `predicted` is refused with the columns that it has."""
    tracker.start_run("v1")
    with pytest.raises(TrackingError, match="actual and predicted; there are: actual, guess"):
        tracker.log_walk_forward_fold(0, "2024-01-05", pd.DataFrame({"actual": [1.0], "guess": [1.0]}))


def test_other_params_for_the_same_run_are_an_error(tracker: StandardNBAPropsTracker) -> None:
    """A param can't change its value: it is said at once with both, and the run can still be logged to and ended."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"a": 1})
    for flushed in (False, True):
        if flushed:
            tracker.flush()
        with pytest.raises(TrackingError, match="the param 'a' has the value '1' already and can't become '2'"):
            tracker.log_params({"b": 1, "a": 2})
    tracker.log_params({"a": 1})
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"a": "1"})


def test_other_params_for_a_resumed_run_are_an_error(tracker: StandardNBAPropsTracker) -> None:
    """What the run has stored already counts, too."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"a": 1})
    tracker.end_run()
    tracker.start_run(run_id=run_id)
    with pytest.raises(TrackingError, match="the param 'a' has the value '1' already"):
        tracker.log_params({"a": 2})


@pytest.mark.parametrize("name", ["mae|x", "", "/a", "a//b", "../a", "n" * 251, "a\nb"])
def test_names_that_mlflow_refuses_are_refused_at_once(tracker: StandardNBAPropsTracker, name: str) -> None:
    """Metrics, params and tags of such a name are an error when they are logged, and the run goes on without them."""
    run_id = tracker.start_run("v1")
    for call in (tracker.log_validation_metrics, tracker.log_params, tracker.set_tags):
        with pytest.raises(TrackingError, match=r"MLflow takes no (metric|param|tag) of the name"):
            call({"good": 1.0, name: 5.0})
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert (run.info.status, run.data.metrics, run.data.params) == ("FINISHED", {}, {})


def test_a_metric_is_a_number(tracker: StandardNBAPropsTracker) -> None:
    """Text is refused with the metric's name, and nothing of the call is kept."""
    run_id = tracker.start_run("v1")
    with pytest.raises(TrackingError, match="the metric 'mae' must be a number, not 'five'"):
        tracker.log_validation_metrics({"r2": 0.5, "mae": "five"})  # type: ignore[dict-item]
    tracker.end_run()
    assert stored(tracker.store, run_id).data.metrics == {}


def test_a_status_that_there_is_not_is_refused(tracker: StandardNBAPropsTracker) -> None:
    """The line names those there are, and the run is still open."""
    tracker.start_run("v1")
    with pytest.raises(TrackingError, match="can't end as 'DONE': use FINISHED, FAILED, KILLED"):
        tracker.end_run("DONE")  # type: ignore[arg-type]
    assert tracker.is_open


def refuse_batches(tracker: StandardNBAPropsTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(tracker.store.client, "log_batch", refuse)


def test_a_run_ends_as_failed_where_the_rest_is_refused(
    tracker: StandardNBAPropsTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """end_run raises what the store said, the run is FAILED, and the next one can be started."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"a": 1})
    refuse_batches(tracker, monkeypatch)
    with pytest.raises(TrackingError, match="no room"):
        tracker.end_run()
    assert stored(tracker.store, run_id).info.status == "FAILED"
    tracker.start_run("v2")


def test_the_blocks_own_exception_is_never_masked(
    tracker: StandardNBAPropsTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the run can't be logged to either, that is a note on the exception; the run is FAILED."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"a": 1})
    refuse_batches(tracker, monkeypatch)
    with pytest.raises(KeyError, match="mine") as caught, tracker:
        raise KeyError("mine")
    assert "no room" in caught.value.__notes__[0]
    assert stored(tracker.store, run_id).info.status == "FAILED"


def test_a_tracking_error_in_the_block_ends_the_run(tracker: StandardNBAPropsTracker) -> None:
    """A refused value that nobody caught leaves no run RUNNING."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"a": 1})
    with pytest.raises(TrackingError, match="can't become '2'"), tracker:
        tracker.log_params({"a": 2})
    assert stored(tracker.store, run_id).info.status == "FAILED"


def test_numpy_values_are_stored_as_plain_numbers(tracker: StandardNBAPropsTracker) -> None:
    """Numpy's scalars are fine everywhere."""
    run_id = tracker.start_run("v1")
    tracker.log_params({"depth": np.int64(4), "eta": np.float64(0.5)})
    tracker.log_validation_metrics({"mae": np.float64(0.5)})
    tracker.end_run()
    run = stored(tracker.store, run_id)
    assert run.data.params == {"depth": "4", "eta": "0.5"}
    assert run.data.metrics == {"mae": 0.5}


def test_a_tracker_connects_by_itself(uri: str) -> None:
    """A plain script needs nothing but an address."""
    with StandardNBAPropsTracker("Script", tracking_uri=uri) as tracker:
        run_id = tracker.start_run("v1")
    assert stored(connect(uri), run_id).info.status == "FINISHED"
