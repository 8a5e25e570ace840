from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from xgboost import XGBRegressor

from pytest_nbaprops.cli import main
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect
from tests.league import Logged, log

Run = Callable[..., str]


@pytest.fixture(scope="session")
def filled(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three versions of a model, from bad to good, v1 in production; a session copies it for each test."""
    path = tmp_path_factory.mktemp("filled") / "mlflow.db"
    store = connect(f"sqlite:///{shutil.copyfile(migrated, path)}")
    features = pd.DataFrame(np.random.default_rng(7).normal(size=(50, 2)), columns=["mean_10", "rest"])
    model = XGBRegressor(n_estimators=3, n_jobs=1).fit(features, features["rest"])
    for name, spread in (("old", 8.0), ("fair", 7.9), ("good", 4.0)):
        log(store, Logged(name=name, spread=spread, params={"depth": len(name)}, model=model, register="NBAPropsModel"))
    ModelRegistry(store=store).promote_model("NBAPropsModel", 1, "production", reason="the first")
    return path


@pytest.fixture
def project(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with that store in it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # On a busy machine the commands say on stderr that they wait, which the runner mixes with what they print.
    monkeypatch.setattr("pytest_nbaprops.tracking.connection._TELL_SECONDS", 600.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    shutil.copyfile(filled, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Runs the command; the exit code must be the one expected, and an error one line."""

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
        assert len(errors) <= 1, result.output
        if code == 1 and errors:
            assert result.output.strip().splitlines()[-1] == errors[0]
        return result.output

    return invoke
