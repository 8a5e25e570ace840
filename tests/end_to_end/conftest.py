"""Real pytest sessions on a small simulated league, with a real sqlite store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data.sample import write_sample
from tests.conftest import Once
from tests.warm import import_all, warm_python

# A recipe that fits in milliseconds; what is tested here is the session, not the model.
CONFTEST = """
import pytest
from xgboost import XGBRegressor

@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_recipes(config):
    return {"quick": XGBRegressor(n_estimators=12, max_depth=3, learning_rate=0.3, tree_method="hist", n_jobs=1)}
"""
INI = """
[pytest]
addopts = -p no:randomly -p no:cacheprovider
nbaprops_data = {data}
nbaprops_recipe = quick
nbaprops_test = last 24 dates
nbaprops_train_window = expanding
nbaprops_features = core
nbaprops_criterion = mae <= 50
nbaprops_tracking_uri = sqlite:///mlflow.db
"""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a session left in its project's folder."""

    folder: Path

    @property
    def decision(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "nbaprops-report" / "decision.json").read_text())
        return document

    @property
    def candidate(self) -> dict[str, Any]:
        (only,) = self.decision["candidates"]
        assert isinstance(only, dict)
        return only

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "nbaprops-report" / "predictions.parquet")


@dataclass(frozen=True, kw_only=True)
class Session(Report):
    """What one pytest session left behind, and what it said."""

    result: pytest.RunResult

    @property
    def code(self) -> int:
        return int(self.result.ret)

    @property
    def output(self) -> str:
        return str(self.result.stdout)

    @property
    def errors(self) -> str:
        return str(self.result.stderr)


@pytest.fixture(scope="session")
def league(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Game logs of a simulated league of 60 players, one season; each worker's own: what others read there is seen."""
    made = once("league", lambda folder: write_sample(folder / "league.csv", seasons=1, players=60))
    return Path(shutil.copy2(made / "league.csv", tmp_path_factory.mktemp("league")))


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What sessions start their workers and rehearsals with."""
    with warm_python(tmp_path_factory.mktemp("python")) as path:
        yield path


@pytest.fixture(scope="session")
def known(once: Once, league: Path, python: str) -> Path:
    """Tables of the league, and what the leak guard finds on it of the built-in groups and the quick recipe."""

    def make(folder: Path) -> None:
        (folder / "conftest.py").write_text(CONFTEST.strip())  # as pytester does, or it is another file
        (folder / "pytest.ini").write_text(INI.format(data=league))
        command = [python, "-m", "pytest", "--nbaprops-train", "--nbaprops-promote=dry-run", "-q"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    return once("known", make) / ".nbaprops"


@pytest.fixture(scope="session")
def promoted_once(once: Once, league: Path, migrated: Path, known: Path, python: str) -> Path:
    """A project whose session has promoted a first version."""

    def make(folder: Path) -> None:
        shutil.copy(migrated, folder / "mlflow.db")
        shutil.copytree(known, folder / ".nbaprops", ignore=lambda *_: ["folds", "models"])
        (folder / "conftest.py").write_text(CONFTEST.strip())
        (folder / "pytest.ini").write_text(INI.format(data=league))
        command = [python, "-m", "pytest", "--nbaprops-train", "--nbaprops-promote=enforce", "-q"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    return once("promoted", make)


# In-process sessions forget what they import: what is imported here is imported once.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # SQLAlchemy has something to say to MLflow
    import_all()

Train = Callable[..., Session]


@pytest.fixture
def started_warm(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a session starts, its workers and rehearsals, is started with that."""
    monkeypatch.setattr(sys, "executable", python)


@pytest.fixture
def project(
    pytester: pytest.Pytester, league: Path, migrated: Path, known: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """An empty project with the quick recipe and the league, of which tables and leak checks are known already."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "PYTEST_ADDOPTS", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(migrated, pytester.path / "mlflow.db")
    for kind in ("checks", "tables"):
        shutil.copytree(known / kind, pytester.path / ".nbaprops" / kind)
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".ini", pytest=INI.format(data=league))
    return pytester


@pytest.fixture
def train(project: pytest.Pytester, started_warm: None) -> Train:  # noqa: ARG001 - for what it does
    """Run `pytest --nbaprops-train` in the project."""

    def run(*args: str, process: bool = False) -> Session:
        runner = project.runpytest_subprocess if process else project.runpytest_inprocess
        return Session(result=runner("--nbaprops-train", *args), folder=project.path)

    return run


@pytest.fixture
def promoted(project: pytest.Pytester, promoted_once: Path) -> Report:
    """A first version under the target alias, in the project."""
    for name in ("nbaprops-report", "mlartifacts", ".nbaprops"):
        shutil.copytree(promoted_once / name, project.path / name, dirs_exist_ok=True)
    shutil.copy(promoted_once / "mlflow.db", project.path / "mlflow.db")
    report = Report(folder=project.path)
    assert report.decision["promoted"] is True
    return report


@pytest.fixture
def both_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session does not share the cores with fellows of this test's own worker, and so makes its fits ahead."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "1")


@pytest.fixture(params=["plain", "no-xdist", "two-workers"])
def axis(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """With xdist's workers, without them, and without xdist at all."""
    if request.param == "plain":
        request.getfixturevalue("both_cores")
    return {"plain": (), "no-xdist": ("-p", "no:xdist"), "two-workers": ("-n", "2")}[request.param]


@pytest.fixture(params=["plain", "two-workers"])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """With xdist's workers and without them."""
    if request.param == "plain":
        request.getfixturevalue("both_cores")
    return {"plain": (), "two-workers": ("-n", "2")}[request.param]
