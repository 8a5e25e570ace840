"""What a user of MLflow's page finds of a session: read from a real server through its REST API, as the page does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.end_to_end.conftest import CONFTEST, INI, Report
from tests.mlflow_server import running

EXPERIMENT = "NBA_Props_Model/Phase1_Features"


@dataclass(frozen=True, kw_only=True)
class Page(Report):
    """A server, and the project whose session was logged there."""

    uri: str

    def read(self, endpoint: str, **values: str) -> Any:
        """The answer to a GET of the REST API."""
        query = urllib.parse.urlencode(values)
        with urllib.request.urlopen(f"{self.uri}/api/2.0/mlflow/{endpoint}?{query}", timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    @cached_property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read("runs/get", run_id=self.candidate["run_id"])["run"]
        return found


def named(entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Key and value of params, tags and metrics."""
    return {entry["key"]: entry["value"] for entry in entries}


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, league: Path, migrated: Path, known: Path, python: str
) -> Iterator[Page]:
    """One session that promotes, logged on a server."""
    folder = tmp_path_factory.mktemp("page")
    database = shutil.copy(migrated, folder / "server.db")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(
        INI.format(data=league).replace("nbaprops_tracking_uri = sqlite:///mlflow.db", "")
    )
    shutil.copytree(known / "checks", folder / ".nbaprops" / "checks")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_", "GITHUB_"))}
    with running(Path(database), folder) as server:
        command = [python, "-m", "pytest", "--nbaprops-train", "--nbaprops-promote=enforce"]
        around = {**kept, "MLFLOW_TRACKING_URI": server.uri}
        done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{server.uri}/#/experiments/" in done.stdout
        yield Page(uri=server.uri, folder=folder)


def test_the_experiment_holds_the_run(page: Page) -> None:
    """Under its hierarchical name, finished, with a name that says date, phase and features."""
    experiment = page.read("experiments/get-by-name", experiment_name=EXPERIMENT)["experiment"]
    info = page.run["info"]
    assert (info["experiment_id"], info["status"]) == (experiment["experiment_id"], "FINISHED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_p1_\w+_walkforward_v1", info["run_name"])
    assert page.candidate["run_url"].startswith(f"{page.uri}/#/experiments/{experiment['experiment_id']}/runs/")


def test_the_run_tells_what_it_was_and_what_was_decided(page: Page) -> None:
    """Description, source, verdict, hyperparameters; the headline metrics are the decision's."""
    tags, params = named(page.run["data"]["tags"]), named(page.run["data"]["params"])
    metrics = named(page.run["data"]["metrics"])
    assert tags["mlflow.note.content"].startswith("## PROMOTE")
    assert (tags["verdict"], tags["phase"], tags["validation_type"]) == ("PROMOTE", "p1", "walk_forward")
    assert tags["mlflow.source.name"]
    assert (params["recipe"], params["model.n_estimators"], params["target"]) == ("quick", "12", "PTS+REB+AST")
    for name in ("mae", "rmse", "r2", "bias", "within_5_pct", "n_predictions"):
        assert metrics[name] == pytest.approx(page.candidate["metrics"][name])


def test_metrics_run_over_the_fold_dates(page: Page) -> None:
    """A step for each fold, at the time of its date, with the MAE of its predictions."""
    history = page.read("metrics/get-history", run_id=page.candidate["run_id"], metric_key="fold_mae")["metrics"]
    folds = pd.read_csv(page.folder / "nbaprops-report" / "folds.csv")
    assert [point["step"] for point in history] == list(range(1, 25))
    days = [f"{datetime.fromtimestamp(point['timestamp'] / 1000, UTC):%Y-%m-%d}" for point in history]
    assert days == [str(day)[:10] for day in folds["date"]]
    assert [point["value"] for point in history] == pytest.approx(list(folds["mae"]))


def test_the_data_are_an_input(page: Page) -> None:
    """By the digest that the decision names."""
    (used,) = page.run["inputs"]["dataset_inputs"]
    assert page.decision["dataset"]["digest"].startswith(used["dataset"]["digest"])
    assert json.loads(used["dataset"]["source"])


def test_report_predictions_and_summary_are_artifacts(page: Page) -> None:
    """What a reader of the page looks for."""
    listed = page.read("artifacts/list", run_id=page.candidate["run_id"])["files"]
    assert {
        "decision.json", "report.html", "summary.md", "folds.csv", "predictions.parquet", "feature_lineage.json",
        "feature_importance.csv", "feature_importance.png", "provenance.json",
    } <= {entry["path"] for entry in listed}  # fmt: skip


def test_the_version_is_the_model_of_the_run(page: Page) -> None:
    """Ready, under its alias, described, and linked with run and model."""
    model = page.read("registered-models/get", name="NBAPropsModel")["registered_model"]
    assert [(alias["alias"], alias["version"]) for alias in model["aliases"]] == [("staging", "1")]
    version = page.read("model-versions/get", name="NBAPropsModel", version="1")["model_version"]
    assert (version["run_id"], version["status"]) == (page.candidate["run_id"], "READY")
    assert version["description"].startswith("## PROMOTE")
    assert named(version["tags"])["verdict"] == "PROMOTE"
    (output,) = page.run["outputs"]["model_outputs"]
    assert version["source"].endswith(output["model_id"]) or version["model_id"] == output["model_id"]
