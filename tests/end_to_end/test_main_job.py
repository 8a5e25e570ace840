"""The main job: walk forward, log, decide, promote; and the same again."""

from __future__ import annotations

import math
import re
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.end_to_end.conftest import CONFTEST, Train

MODEL = "NBAPropsModel"

LEAK_CHECKS = 6  # the games, four core groups, the recipe's test


def client(folder: Path) -> mlflow.MlflowClient:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_enforce_promotes_a_better_model(train: Train, project: pytest.Pytester, axis: tuple[str, ...]) -> None:
    """A model that beats the baseline is registered, gets the alias, and exit code 0."""
    session = train("--nbaprops-promote", "enforce", *axis)
    assert session.code == 0, session.output
    assert session.decision["verdict"] == "PROMOTE"
    assert session.decision["promoted"] is True
    assert session.candidate["folds"] == {"planned": 24, "executed": 24, "cached": 0, "failed": 0, "missing": 0}
    version = client(project.path).get_model_version_by_alias(MODEL, "staging")
    assert str(version.version) == session.candidate["model_version"] == "1"
    assert version.run_id == session.candidate["run_id"]
    assert version.description.startswith("## PROMOTE")


def test_candidates_that_are_not_selected_take_no_part(project: pytest.Pytester, train: Train) -> None:
    """All folds of one candidate are a decision on it, the others have no run, and the next command selects it, too."""
    project.makepyfile(
        "import pytest\n\n@pytest.mark.walk_forward(recipe='quick')\ndef test_one(fold):\n    fold.evaluate()\n\n"
        "def test_mean(fold):\n    fold.record(fold.test.y * 0 + fold.train.y.mean())\n"
    )
    session = train("-k", "test_one")
    assert (session.code, session.candidate["name"]) == (0, "test_one[quick]"), session.output
    store = client(project.path)
    assert len(store.search_runs([one.experiment_id for one in store.search_experiments()])) == 1
    assert re.search(r"next: .*-k test_one --nbaprops-promote=enforce", session.output, re.DOTALL)


def test_the_promoted_version_loads_and_predicts(train: Train, project: pytest.Pytester) -> None:
    """`models:/NAME@staging` is a model that predicts from the logged feature columns."""
    session = train("--nbaprops-promote", "enforce")
    uri = f"sqlite:///{project.path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}@staging")
        names = model.metadata.get_input_schema().input_names()
        predicted = model.predict(pd.DataFrame(1.0, index=range(3), columns=names))
    finally:
        mlflow.set_tracking_uri(None)
    assert len(predicted) == 3
    assert session.candidate["lineage"]["feature_version"]


def test_the_second_session_computes_and_writes_nothing_new(train: Train, project: pytest.Pytester) -> None:
    """Every fold from the store, the same bits, no second version, no second run."""
    first = train("--nbaprops-promote", "enforce")
    predictions, metrics = first.predictions, first.candidate["metrics"]
    second = train("--nbaprops-promote", "enforce", "-n", "2")
    assert second.code == 0
    assert second.candidate["folds"]["cached"] == 24
    assert second.candidate["metrics"] == metrics
    assert second.candidate["reasons"] == ["already v1"]
    pd.testing.assert_frame_equal(second.predictions, predictions, check_exact=True)
    store = client(project.path)
    assert len(store.search_model_versions(f"name = '{MODEL}'")) == 1
    (experiment,) = [e for e in store.search_experiments() if e.name.startswith("NBA_Props_Model")]
    assert len(store.search_runs([experiment.experiment_id])) == 1


@pytest.mark.usefixtures("both_cores")
def test_workers_predict_the_same_bits(train: Train) -> None:
    """-n 2 and -n 0 agree on every prediction to the last bit."""
    alone = train().predictions
    together = train("-n", "2", "--nbaprops-no-cache")
    assert together.candidate["folds"]["executed"] == 24
    pd.testing.assert_frame_equal(together.predictions, alone, check_exact=True)


def test_the_run_tells_the_whole_story(train: Train, project: pytest.Pytester) -> None:
    """Params, metrics per fold, tags, dataset input and artifacts are all in MLflow."""
    session = train()
    store = client(project.path)
    run = store.get_run(session.candidate["run_id"])
    assert run.info.status == "FINISHED"
    assert {"recipe", "target", "train_window", "dataset_digest", "model.max_depth"} <= set(run.data.params)
    assert run.data.tags["validation_type"] == "walk_forward"
    assert run.data.tags["verdict"] == "PROMOTE"
    assert run.data.metrics["mae"] == pytest.approx(session.candidate["metrics"]["mae"], abs=1e-12)
    history = store.get_metric_history(run.info.run_id, "fold_mae")
    assert sorted(metric.step for metric in history) == list(range(1, 25))
    (dataset,) = run.inputs.dataset_inputs
    assert session.decision["dataset"]["digest"].startswith(dataset.dataset.digest)
    names = {artifact.path for artifact in store.list_artifacts(run.info.run_id)}
    assert {"folds.csv", "predictions.parquet", "feature_lineage.json", "decision.json"} <= names
    assert {"feature_importance.csv", "feature_importance.png"} <= names
    assert {"report.html", "summary.md"} <= names
    assert run.data.tags["mlflow.note.content"].startswith("## PROMOTE")
    assert run.data.tags["mlflow.source.name"] == "pytest --nbaprops-train"
    experiment = store.get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_dry_run_leaves_the_registry_alone(train: Train, project: pytest.Pytester) -> None:
    """dry-run decides and logs, and registers nothing."""
    session = train("--nbaprops-promote", "dry-run")
    assert session.code == 0
    assert session.decision["promoted"] is False
    assert "would be promoted" in session.output
    assert client(project.path).search_registered_models() == []


def test_off_decides_nothing(train: Train) -> None:
    """Mode off runs and logs the folds, says so, and leaves the exit code to pytest."""
    session = train("--nbaprops-promote", "off", "--nbaprops-criterion", "mae <= 0.001")
    assert session.code == 0
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert session.decision["reasons"] == ["promotion is off: nothing was decided"]


def test_a_failed_criterion_rejects(train: Train, axis: tuple[str, ...]) -> None:
    """REJECT is exit code 1, and the criterion is a failed test."""
    session = train("--nbaprops-criterion", "mae <= 0.5", "--nbaprops-promote", "enforce", *axis)
    assert session.code == 1
    assert session.decision["verdict"] == "REJECT"
    assert "FAILED promotion::quick::mae <= 0.5" in session.output


def test_the_report_files_agree(train: Train, project: pytest.Pytester) -> None:
    """folds.csv, predictions.parquet and decision.json describe the same folds."""
    session = train()
    folds = pd.read_csv(project.path / "nbaprops-report" / "folds.csv")
    table = session.predictions
    assert list(table.columns) == [
        "candidate", "fold", "GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted", "baseline",
    ]  # fmt: skip
    assert len(table) == folds["n_predictions"].sum()
    mae = (table["predicted"] - table["actual"]).abs().mean()
    assert math.isclose(mae, session.candidate["metrics"]["mae"], rel_tol=1e-12)
    assert "## PROMOTE" in (project.path / "nbaprops-report" / "summary.md").read_text()
    page = (project.path / "nbaprops-report" / "report.html").read_text()
    assert f"{mae:.4f}" in page
    for day, own in (table["predicted"] - table["actual"]).abs().groupby(table["GAME_DATE"]):
        assert re.search(rf"{day:%Y-%m-%d}</th><td class=\"n\">{len(own)}<td class=\"n\">{own.mean():.3f}", page)


def test_collect_only_plans_without_tracking(train: Train, project: pytest.Pytester) -> None:
    """--collect-only lists the folds, ends with the plan's cost, and touches neither MLflow nor the report."""
    session = train("--collect-only", "-q")
    assert session.code == 0
    assert session.output.strip().splitlines()[-1] == "24 folds, 5 fits, 0 from the store"
    assert session.output.count("nbaprops::test_walk_forward[quick-") == 24
    assert client(project.path).search_experiments(filter_string="name LIKE 'NBA%'") == []
    assert not (project.path / "nbaprops-report").exists()


def test_a_pasted_id_selects_one_fold(train: Train, workers: tuple[str, ...]) -> None:
    """An id of the built-in suite can be pasted back; one fold of many is inconclusive: one hint, no failures."""
    session = train("nbaprops::test_walk_forward[quick-2024-04-13]", *workers)
    assert session.code == 10
    assert "FAILED" not in session.output
    assert "INCONCLUSIVE: 1 of 24 folds ran, and a part is never a decision" in session.output
    assert session.candidate["folds"]["missing"] == 23
    assert session.candidate["folds"]["executed"] == 1


def test_an_unknown_pasted_id_is_a_usage_error(train: Train, workers: tuple[str, ...]) -> None:
    """An id of the built-in suite that does not exist is one line and exit code 4."""
    session = train("nbaprops::test_walk_forward[quick-1999-01-01]", *workers)
    assert session.code == 4
    assert "not found: nbaprops::test_walk_forward[quick-1999-01-01]" in session.errors + session.output


@pytest.mark.parametrize("count", ["1", "3"])
def test_junit_and_progress_hold_the_criteria(train: Train, project: pytest.Pytester, count: str) -> None:
    """Every criterion and leak check is a test case in the XML, and the progress ends at 100%."""
    extra = [part for n in range(int(count)) for part in ("--nbaprops-criterion", f"mae <= {20 + n}")]
    session = train("-v", "--junitxml", "junit.xml", *extra)
    xml = (project.path / "junit.xml").read_text()
    assert xml.count('classname="promotion.quick"') == int(count)
    assert xml.count('classname="leak.') == LEAK_CHECKS or xml.count('classname="leak"') == LEAK_CHECKS
    assert f'tests="{24 + LEAK_CHECKS + int(count)}"' in xml
    assert "[100%]" in session.output


def test_data_outside_of_the_project_does_not_move_the_project(
    league: Path, tmp_path: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path behind an option is a test path to pytest; store, report and runs stay in the working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    data = tmp_path / "elsewhere" / "league.csv"
    data.parent.mkdir()
    data.write_bytes(league.read_bytes())
    pytester.makeconftest(CONFTEST)
    args = ("--nbaprops-test", "last 2 dates", "--nbaprops-train-window", "expanding", "--nbaprops-recipe", "quick")
    result = pytester.runpytest_inprocess("--nbaprops-train", "--nbaprops-data", str(data), *args)
    assert int(result.ret) == 10  # two dates are too few for the default criteria
    assert (pytester.path / "nbaprops-report" / "decision.json").exists()
    assert (pytester.path / "mlflow.db").exists()
    assert [path.name for path in data.parent.iterdir()] == ["league.csv"]


def test_an_ini_file_that_pytest_passed_over_is_an_error(project: pytest.Pytester) -> None:
    """Settings are never ignored without a word."""
    result = project.runpytest_subprocess("--nbaprops-train", "--nbaprops-data", "/usr", "--nbaprops-store", "/usr/lib")
    assert int(result.ret) == 4
    result.stderr.fnmatch_lines(["ERROR: pytest did not read *pytest.ini*--nbaprops-data=PATH and --nbaprops-store=*"])


def test_a_project_below_the_working_directory_is_found_by_its_test_path(project: pytest.Pytester) -> None:
    """As in a repository of several projects; so is one that is reached by a symbolic link."""
    folder = project.mkdir("props")
    for name in ("conftest.py", "pytest.ini"):
        (project.path / name).rename(folder / name)
    (project.path / "link").symlink_to(folder)
    for path in ("props", "link"):
        result = project.runpytest_subprocess("--nbaprops-train", "--collect-only", "-q", path)
        assert int(result.ret) == 0
        assert "folds planned" in str(result.stdout) or "folds, " in str(result.stdout)
