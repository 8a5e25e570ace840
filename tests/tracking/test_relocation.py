"""A store that was moved or copied."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.serving.loader import ProductionModelLoader
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from pathlib import Path

    from xgboost import XGBRegressor


def registered(folder: Path, booster: XGBRegressor, predictions: pd.DataFrame, content: str) -> str:
    """Log, register and promote a model in the store of the folder; its number."""
    store = connect(f"sqlite:///{folder / 'mlflow.db'}")
    with StandardNBAPropsTracker("League/Phase 1", store=store) as tracker:
        tracker.start_run(content)
        tracker.log_predictions(predictions)
        uri = tracker.log_model(booster, "xgboost", content=content)
    registry = ModelRegistry(store=store)
    version = registry.register_model(uri, "League")
    registry.promote_model("League", version, "production")
    return version


@pytest.fixture
def old(migrated: Path, tmp_path: Path, booster: XGBRegressor, predictions: pd.DataFrame) -> Path:
    """A project with a store, named so that its URI is escaped."""
    folder = tmp_path / "old props é"
    folder.mkdir()
    shutil.copyfile(migrated, folder / "mlflow.db")
    registered(folder, booster, predictions, "c1")
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "mlartifacts" in path.parts}


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_what_lies_beside_the_store_is_found_and_written_there(
    old: Path, how: str, booster: XGBRegressor, predictions: pd.DataFrame, features: pd.DataFrame
) -> None:
    """The old model is served, its predictions are read, and a new one is registered in the new folder alone."""
    new, before = old.with_name("new 100%"), files(old)
    (shutil.move if how == "moved" else shutil.copytree)(old, new)
    loader = ProductionModelLoader("League", tracking_uri=connect(f"sqlite:///{new / 'mlflow.db'}").uri)
    assert len(loader.predict(features)) == len(features)
    champion = loader.current().champion
    assert champion is not None
    assert champion.is_known
    registry = ModelRegistry(store=connect(f"sqlite:///{new / 'mlflow.db'}"))
    pd.testing.assert_frame_equal(registry.load_predictions(champion), predictions)
    assert registered(new, booster, predictions, "c2") == "2"
    assert len(files(new)) > len(before)
    assert files(old) == (before if how == "copied" else set())
    shutil.rmtree(old, ignore_errors=True)
    assert loader.reload()


def test_a_copy_without_its_files_is_refused_for_new_runs(old: Path, tmp_path: Path) -> None:
    """It would write into the folder of the store that it was copied from; the line names both places."""
    (tmp_path / "new").mkdir()
    shutil.copyfile(old / "mlflow.db", tmp_path / "new" / "mlflow.db")
    store = connect(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    with pytest.raises(TrackingError) as error:
        StandardNBAPropsTracker("League/Phase 1", store=store)
    assert str(old / "mlartifacts") in str(error.value)
    assert str(tmp_path / "new" / "mlartifacts") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_of_ones_own_for_artifacts_stays(migrated: Path, tmp_path: Path) -> None:
    """Only what lay beside the store follows it."""
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracker = StandardNBAPropsTracker("own", tracking_uri=uri, artifact_root=tmp_path / "elsewhere")
    (tmp_path / "new").mkdir()
    shutil.move(tmp_path / "mlflow.db", tmp_path / "new" / "mlflow.db")
    store = connect(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    with store.calling("look") as client:
        assert "elsewhere" in client.get_experiment(tracker.experiment_id).artifact_location
