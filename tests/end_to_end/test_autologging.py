"""`mlflow.autolog()` in a project: the session's runs are the only ones, and what it reads is nobody's leak."""

from __future__ import annotations

import mlflow
import pytest

from tests.end_to_end.conftest import CONFTEST, Train

OWN = """
from sklearn.linear_model import Ridge
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

def test_by_hand(fold):
    model = make_pipeline(SimpleImputer(), Ridge()).fit(fold.train.X, fold.train.y)
    fold.record(model.predict(fold.test.X))

def test_fitted(fold):
    model = fold.fit(make_pipeline(SimpleImputer(), Ridge()))
    fold.record(model.predict(fold.test.X), model=model)
"""
SWITCHES = "import mlflow\nimport mlflow.sklearn\nimport mlflow.xgboost\n\n{}.autolog()\n"


@pytest.mark.parametrize(("switch", "place"), [("mlflow", "conftest"), ("mlflow.sklearn", "test")])
def test_autologging_is_off(
    train: Train, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, switch: str, place: str
) -> None:
    """No leak, no run but the session's own, wherever MLflow would log to."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.path / 'mlflow.db'}")
    project.makeconftest(CONFTEST + (SWITCHES.format(switch) if place == "conftest" else ""))
    project.makepyfile((SWITCHES.format(switch) if place == "test" else "") + OWN)
    workers = ("-n", "2") if place == "test" else ()
    session = train("--nbaprops-test", "last 4 dates", *workers, process=True)
    assert session.code == 0, session.output
    assert "leak" not in " ".join(session.decision["reasons"])
    assert not any("autolog" in warning for warning in session.decision["warnings"])
    client = mlflow.MlflowClient(f"sqlite:///{project.path / 'mlflow.db'}")
    experiments = {found.experiment_id: found.name for found in client.search_experiments()}
    runs = client.search_runs(list(experiments))
    assert {experiments[run.info.experiment_id] for run in runs} == {"NBA_Props_Model/Phase1_Features"}
    assert len(runs) == 2
