from __future__ import annotations

import fcntl
import gc
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from xgboost import XGBRegressor

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import Store, connect
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Files stay together (`--dist loadfile`): the longest begin first, or a worker is left alone with one at the end.
SLOWEST = (
    "test_planted", "test_leaks", "test_guarded", "test_gate_workflow", "test_cluster", "test_reproduce", "test_resume",
    "test_attribution", "test_champion", "test_fail_closed", "test_faults", "test_crashes", "test_races", "test_server",
    "test_main_job", "test_registered", "test_bad_input", "test_cli", "test_readme_walk",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # xdist would begin with the files that have most tests


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else len(SLOWEST))


def pytest_collection_finish() -> None:
    _keep()


def pytest_runtest_teardown() -> None:
    _keep()


def _keep() -> None:
    """What is there now stays: the end of every session within a test would look through it for garbage ten times.

    Most of it are the engines that MLflow keeps, one for every database that was ever opened in this process.
    """
    gc.collect()
    gc.freeze()


class Once:
    """Folders that workers of xdist share: the first that needs one makes it, others find it or wait."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        folder, made = self.shared / name, self.shared / f"{name}.made"
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one that broke off
                folder.mkdir()
                make(folder)
                made.touch()
        return folder


@pytest.fixture(scope="session")
def once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if hasattr(request.config, "workerinput") else base) / "once"
    shared.mkdir(exist_ok=True)
    return Once(shared)


@pytest.fixture(scope="session")
def migrated(once: Once) -> Path:
    """A sqlite store, migrated once: every test gets a copy."""
    return once("store", lambda folder: connect(f"sqlite:///{folder / 'mlflow.db'}")) / "mlflow.db"


@pytest.fixture
def uri(migrated: Path, tmp_path: Path) -> str:
    path = tmp_path / "mlflow.db"
    shutil.copyfile(migrated, path)
    return f"sqlite:///{path}"


@pytest.fixture
def store(uri: str) -> Store:
    return connect(uri)


@pytest.fixture
def tracker(store: Store) -> StandardNBAPropsTracker:
    return StandardNBAPropsTracker("League/Phase1", store=store)


@pytest.fixture
def registry(store: Store) -> ModelRegistry:
    return ModelRegistry(store=store)


class LogModel:
    """Logs a run with a model of the content given, and gives the model's URI."""

    def __init__(self, tracker: StandardNBAPropsTracker, model: XGBRegressor, predictions: pd.DataFrame) -> None:
        self.tracker, self.model, self.predictions = tracker, model, predictions

    def __call__(self, content: str) -> str:
        with self.tracker as tracker:
            tracker.start_run(content, {"git_commit": f"commit-of-{content}", "verdict": "PROMOTE"})
            tracker.log_validation_metrics({"mae": 5.9})
            tracker.log_predictions(self.predictions)
            return tracker.log_model(self.model, "xgboost", content=content)


@pytest.fixture
def log_model(tracker: StandardNBAPropsTracker, booster: XGBRegressor, predictions: pd.DataFrame) -> LogModel:
    return LogModel(tracker, booster, predictions)


@pytest.fixture(scope="session")
def features() -> pd.DataFrame:
    values = np.random.default_rng(7).normal(size=(80, 4)).astype(np.float32)
    frame = pd.DataFrame(values, columns=["usage", "rest", "pace", "home"])
    frame.iloc[3, 1] = np.nan
    return frame


@pytest.fixture(scope="session")
def target(features: pd.DataFrame) -> pd.Series:
    return features.fillna(0).sum(axis=1) * 3 + 20


@pytest.fixture(scope="session")
def booster(features: pd.DataFrame, target: pd.Series) -> XGBRegressor:
    return XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1).fit(features, target)


@pytest.fixture(scope="session")
def predictions() -> pd.DataFrame:
    actual = np.arange(12, dtype=np.float64)
    keys = {"GAME_DATE": pd.Timestamp("2024-01-05"), "GAME_ID": "0022300001", "PLAYER_ID": np.arange(12)}
    return pd.DataFrame({**keys, "actual": actual, "predicted": actual + 1.5, "baseline": actual - 2})
