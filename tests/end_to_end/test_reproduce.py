"""`nbaprops reproduce` on the runs of one real session with two xdist workers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.commands.reproduce import reproduce
from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.runs.recorded import read_run
from pytest_nbaprops.runs.reproduce import reproduce as again
from pytest_nbaprops.tracking.connection import connect

CONFTEST = """
import pytest
from xgboost import XGBRegressor
from pytest_nbaprops import feature_group

TREES = 12

@feature_group(tier="temporal", known_at="morning", version="1")
def hot_hand(games):
    past = games.groupby("PLAYER_ID")["PTS"].shift(1)
    return past.to_frame("hot_hand")

@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_feature_groups(config):
    return [hot_hand]

@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_recipes(config):
    return {"quick": XGBRegressor(n_estimators=TREES, max_depth=3, tree_method="hist")}
"""
MODULE = """
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

@pytest.mark.walk_forward(recipe="quick", params={"max_depth": 2}, test="last 8 dates")
def test_quick(fold):
    fold.evaluate()

SCALE = 1.0

def test_ridge(fold):
    model = fold.fit(make_pipeline(SimpleImputer(), Ridge()))
    fold.record(model.predict(fold.test.X), model=model)
    fold.log(own=SCALE)
"""
INI = """
[pytest]
addopts = -p no:randomly
nbaprops_data = league.csv
nbaprops_test = last 4 dates
nbaprops_train_window = expanding
nbaprops_features = usage,hot_hand
nbaprops_criterion = mae <= 50
nbaprops_tracking_uri = sqlite:///mlflow.db
"""
OUTSIDE = (
    "MLFLOW_TRACKING",
    "MLFLOW_RUN",
    "MLFLOW_EXPERIMENT",
    "PYTEST_ADDOPTS",
    "PYTEST_XDIST",
    "COV_CORE",
    "COVERAGE",
)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in which one session ran; `runs` are its run ids by candidate."""

    folder: Path
    runs: dict[str, str]

    def reproduce(self, run: str, *arguments: str) -> tuple[int, str]:
        """Exit code, and what the command said; an error's text where it is raised for the group to show."""
        result = CliRunner().invoke(reproduce, [run, "--root", str(self.folder), *arguments])
        if isinstance(result.exception, NBAPropsError):
            assert len(str(result.exception).splitlines()) == 1
            return 1, str(result.exception)
        return result.exit_code, result.output

    def content(self) -> dict[str, str]:
        """SHA-256 of every file but the database, whose log sqlite may move."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if "mlflow.db" not in path.name
        }


@pytest.fixture(scope="module")
def session(league: Path, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A trained project."""
    folder = tmp_path_factory.mktemp("reproduce")
    shutil.copy(league, folder / "league.csv")
    shutil.copy(migrated, folder / "mlflow.db")
    for name, text in {"conftest.py": CONFTEST, "test_models.py": MODULE, "pytest.ini": INI}.items():
        (folder / name).write_text(text)
    _commit(folder)
    (folder / "conftest.py").write_text(CONFTEST.replace("past = ", "past = 1.0 * "))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    environment["MLFLOW_TRACKING_TOKEN"] = "hunter2"  # noqa: S105 - what must not be recorded
    command = [sys.executable, "-m", "pytest", "--nbaprops-train", "-n", "2", "-q", "--nbaprops-promote=off"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name LIKE 'NBA%'")
    runs = {run.data.params["candidate"]: run.info.run_id for run in client.search_runs([experiment.experiment_id])}
    return Project(folder=folder, runs=runs)


def _commit(folder: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "conftest.py", "test_models.py"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)  # noqa: S607


@pytest.fixture
def project(session: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The trained project, put back as it was afterwards."""
    for name in [name for name in os.environ if name.startswith(OUTSIDE)]:
        monkeypatch.delenv(name)
    names = ("league.csv", "conftest.py", "test_models.py")
    before = {name: (session.folder / name).read_text() for name in names}
    yield session
    for name, text in before.items():
        (session.folder / name).write_text(text)


def _games(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / "league.csv", dtype={"GAME_ID": str, "SEASON_ID": str})


def _grow(project: Project) -> None:
    """Another date, five days after the last one."""
    games = _games(project)
    last = games[games["GAME_DATE"] == games["GAME_DATE"].max()]
    ids = last["GAME_ID"].str.replace("00923", "00924")
    later = last.assign(GAME_DATE="2024-04-20", GAME_ID=ids)
    pd.concat([games, later]).to_csv(project.folder / "league.csv", index=False)


def test_a_run_records_what_decides_it(project: Project) -> None:
    """Data, code, recipe, versions and checkout with its changes, and no secret."""
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{project.folder / 'mlflow.db'}")
    run = project.runs["test_quick[quick]"]
    text = Path(client.download_artifacts(run, "provenance.json")).read_text()
    document = json.loads(text)
    assert document["candidate"]["recipe"]["parameters"]["max_depth"] == 2
    assert [group["name"] for group in document["lineage"]["groups"]] == ["usage", "hot_hand"]
    assert len(document["dataset"]["digest"]["date_digests"]) == _games(project)["GAME_DATE"].nunique()
    assert (document["workers"], document["threads"] >= 1, document["seed"]) == (2, True, 42)
    assert document["command"] == ["pytest", "--nbaprops-train", "-n", "2", "-q", "--nbaprops-promote=off"]
    assert "league.csv" in document["git"]["untracked"]
    assert "hunter2" not in text
    assert "+    past = 1.0 * " in Path(client.download_artifacts(run, "uncommitted.diff")).read_text()


def test_a_run_of_two_workers_is_identical_on_data_that_has_grown(project: Project) -> None:
    """The data is cut to the recorded dates, and nothing in the project is touched."""
    _grow(project)
    before = project.content()
    code, said = project.reproduce(project.runs["test_quick[quick]"][:8])
    assert code == 0, said
    assert "identical (8 folds" in said
    assert "cut to 2024-04-13" in said
    assert project.content() == before


@pytest.mark.usefixtures("started_warm")
def test_a_test_with_a_model_of_its_own_is_identical(project: Project) -> None:
    """What a test function fits and records is repeated, too."""
    code, said = project.reproduce(project.runs["test_ridge"])
    assert code == 0, said
    assert "identical (4 folds" in said


@pytest.mark.usefixtures("started_warm")
def test_a_record_loads_no_code(project: Project) -> None:
    """Whoever may write into MLflow could have recorded it; what is left out is shown, and the rest is identical."""
    (project.folder / "evil.py").write_text("import pathlib; pathlib.Path('evil').touch()\nclass Oh(Warning): pass\n")
    (project.folder / "evil.ini").write_text("[pytest]\naddopts = -p evil\n")
    store = connect(f"sqlite:///{project.folder / 'mlflow.db'}")
    recorded = read_run(store, project.runs["test_quick[quick]"], "run")
    loading = ["-p", "evil", "-c", "evil.ini", "-o", "addopts=-p evil", "-W", "error::evil.Oh", "-pevil"]
    harmless = ["-p", "no:randomly", "-k", "quick", "-n", "2", "--nbaprops-train", "test_models.py::test_quick"]
    environment = {"PYTEST_PLUGINS": "evil", "PYTEST_ADDOPTS": "-q -p evil"}
    document = {**recorded.document, "command": ["pytest", *harmless, *loading], "environment": environment}
    result = again(replace(recorded, document=document), data=None, root=project.folder, tell=lambda _: None)
    assert result.outcome == "identical"
    assert not (project.folder / "evil").exists()
    left_out = [check.what for check in result.checks if check.outcome == "not repeated"]
    assert left_out == [
        "argument -p evil",
        "argument -p evil",
        "argument -c evil.ini",
        "argument -o addopts=-p evil",
        "argument -W error::evil.Oh",
        "argument -p evil",
    ]


@pytest.mark.usefixtures("started_warm")
def test_a_changed_project_is_different_and_says_why(project: Project) -> None:
    """The first fold that differs, and what was changed since: a group's code and a default of the recipe."""
    path = project.folder / "conftest.py"
    path.write_text(path.read_text().replace('["PTS"]', '["AST"]').replace("TREES = 12", "TREES = 13"))
    code, said = project.reproduce(project.runs["test_quick[quick]"])
    assert code == 1, said
    assert "different from fold 2024-04-03 on" in said
    assert (
        "likely cause: code or sources of the feature group hot_hand; the recipe's parameter n_estimators: 12 ->"
        in said
    )


def test_what_else_was_logged_is_compared_too(project: Project) -> None:
    """Metrics of a test's own may be criteria; here the predictions are the same, and they are not."""
    path = project.folder / "test_models.py"
    path.write_text(path.read_text().replace("SCALE = 1.0", "SCALE = 2.0"))
    code, said = project.reproduce(project.runs["test_ridge"])
    assert code == 0, said
    assert "identical (4 folds" in said
    assert "other than then: metric fold_own; likely cause: the code of the test function" in said


def test_a_changed_cell_is_refused_with_its_date(project: Project) -> None:
    """One point more on one day."""
    games = _games(project)
    row = games.index[games["GAME_DATE"] == "2024-02-02"][0]
    games.loc[row, "PTS"] += 1
    games.to_csv(project.folder / "league.csv", index=False)
    code, said = project.reproduce(project.runs["test_ridge"])
    assert code == 1
    assert "2024-02-02 was changed" in said


def test_missing_dates_are_refused(project: Project) -> None:
    """The first one that is missing."""
    games = _games(project)
    other = project.folder.parent / "shorter.csv"
    games[games["GAME_DATE"] < "2024-04-10"].to_csv(other, index=False)
    code, said = project.reproduce(project.runs["test_ridge"], "--data", str(other))
    assert code == 1
    assert f"{other}: the data is not what the run had: 2024-04-10 is missing" in said


def test_data_that_is_gone_is_asked_for(project: Project) -> None:
    """Neither where it was nor where the option says."""
    (project.folder / "league.csv").rename(project.folder / "moved.csv")
    code, said = project.reproduce(project.runs["test_ridge"])
    (project.folder / "moved.csv").rename(project.folder / "league.csv")
    assert (code, "say where it is with --data PATH" in said) == (1, True)
    code, said = project.reproduce(project.runs["test_ridge"], "--data", "nowhere.csv")
    assert (code, "nowhere.csv" in said) == (1, True)


@pytest.mark.usefixtures("started_warm")
def test_a_test_that_is_gone_is_said(project: Project) -> None:
    """The recorded folds are no longer collected."""
    path = project.folder / "test_models.py"
    text = path.read_text()
    path.write_text(text.replace("test_ridge", "test_lasso"))
    code, said = project.reproduce(project.runs["test_ridge"])
    path.write_text(text)
    assert code == 1
    assert "not found: test_models.py::test_ridge[" in said


def test_an_unknown_run_is_one_line(project: Project) -> None:
    """It says where it looked."""
    code, said = project.reproduce("zzz")
    assert (code, "there is no run 'zzz'" in said) == (1, True)
