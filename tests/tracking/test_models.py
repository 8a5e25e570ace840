from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Ridge, TweedieRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from xgboost import XGBRegressor, XGBRFRegressor

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import skops_loader, tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.models import check_storable, is_native, save_model
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.skops_loader import ENVIRONMENT

with quiet():
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

RECIPES: dict[str, Callable[[], Any]] = {
    "ridge": lambda: make_pipeline(SimpleImputer(keep_empty_features=True), Ridge()),
    "elastic": lambda: make_pipeline(SimpleImputer(), StandardScaler(), ElasticNet(alpha=0.1)),
    "forest": lambda: make_pipeline(SimpleImputer(), RandomForestRegressor(5, random_state=1)),
    "extra": lambda: make_pipeline(SimpleImputer(), ExtraTreesRegressor(5, random_state=1)),
    "gradient": lambda: make_pipeline(SimpleImputer(), GradientBoostingRegressor(n_estimators=5, random_state=1)),
    "hist": lambda: HistGradientBoostingRegressor(max_iter=5, random_state=1),
    "poisson": lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=5, random_state=1),
    "tweedie": lambda: make_pipeline(SimpleImputer(), TweedieRegressor()),
    "neighbours": lambda: make_pipeline(SimpleImputer(), KNeighborsRegressor(3)),
    "network": lambda: make_pipeline(
        SimpleImputer(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=1)
    ),
    "svr": lambda: make_pipeline(SimpleImputer(), SVR()),
    "piped xgboost": lambda: make_pipeline(SimpleImputer(), XGBRegressor(n_estimators=3, n_jobs=1)),
    "stack": lambda: StackingRegressor(
        [("a", make_pipeline(SimpleImputer(), Ridge())), ("b", XGBRegressor(n_estimators=3, n_jobs=1))],
        final_estimator=Ridge(),
        cv=2,
    ),
}


class OwnRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A user's regressor: the mean."""

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Self:  # noqa: N803  scikit-learn's name
        self.mean_ = float(np.mean(y))
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray[Any, Any]:  # noqa: N803  scikit-learn's name
        return np.full(len(X), self.mean_)


OWN_TYPE = f"{OwnRegressor.__module__}.OwnRegressor"


def fitted(name: str, features: pd.DataFrame, target: pd.Series) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RECIPES[name]().fit(features, target)


def load(store: Store, uri: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import mlflow.pyfunc  # noqa: PLC0415  as a user would

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    with quiet():
        return mlflow.pyfunc.load_model(uri)


def no_pickles(folder: Path) -> None:
    """Fail if any file, or any member of a zip file, is or names a pickle."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".cloudpickle")
        contents = {path.name: path.read_bytes()}
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents = {name: archive.read(name) for name in archive.namelist()}
        for name, content in contents.items():
            assert not name.endswith((".pkl", ".pickle")), name
            assert not content.startswith(PICKLES), name
            assert b"cloudpickle" not in content, name


@pytest.mark.parametrize("name", list(RECIPES))
def test_regressors_are_stored_without_pickle(
    name: str, features: pd.DataFrame, target: pd.Series, tmp_path: Path
) -> None:
    """What people use is storable, no file of it is a pickle, and it comes back the same."""
    model = fitted(name, features, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_storable(RECIPES[name]())
    save_model(model, tmp_path / "model", example=features)
    no_pickles(tmp_path)


@pytest.mark.parametrize("model_name", ["xgboost", "ridge"])
def test_a_registered_model_takes_any_frame(  # noqa: PLR0917
    model_name: str,
    tracker: StandardNBAPropsTracker,
    registry: Any,
    booster: XGBRegressor,
    features: pd.DataFrame,
    target: pd.Series,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Loaded by its alias, it predicts the same bits for float32 and float64 and for columns in any order.

    XGBoost's are those of the model in memory; a matrix product may round otherwise in another memory layout.
    """
    model = booster if model_name == "xgboost" else fitted("ridge", features, target)
    tracker.start_run("v1")
    uri = tracker.log_model(model, model_name, input_example=features.head())
    version = registry.register_model(uri, "League")
    registry.promote_model("League", version, "staging")
    back = load(tracker.store, "models:/League@staging", monkeypatch)
    expected = np.asarray(back.predict(features), dtype=np.float64)
    np.testing.assert_allclose(expected, model.predict(features), rtol=0 if model_name == "xgboost" else 1e-5)
    backwards = features[features.columns[::-1]]
    for frame in (features, features.astype(np.float64), backwards, backwards.astype(np.float64).assign(more=1.0)):
        np.testing.assert_array_equal(np.asarray(back.predict(frame), dtype=np.float64), expected)
    no_pickles(tmp_path / "mlartifacts")


def test_a_frame_without_a_column_is_refused(
    tracker: StandardNBAPropsTracker, booster: XGBRegressor, features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature knows every feature by name."""
    tracker.start_run("v1")
    back = load(tracker.store, tracker.log_model(booster, "xgboost", input_example=features.head()), monkeypatch)
    with pytest.raises(Exception, match="pace"):
        back.predict(features.drop(columns="pace"))


def test_the_same_content_is_stored_once(
    tracker: StandardNBAPropsTracker, booster: XGBRegressor, features: pd.DataFrame
) -> None:
    """A resumed run finds the model it has stored already, and another content is another model."""
    tracker.start_run("v1")
    first = tracker.log_model(booster, "xgboost", input_example=features.head(), content="c1")
    assert tracker.log_model(booster, "xgboost", input_example=features.head(), content="c1") == first
    assert tracker.log_model(booster, "xgboost", input_example=features.head(), content="c2") != first


def test_an_answer_that_got_lost_is_no_error(
    tracker: StandardNBAPropsTracker, booster: XGBRegressor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has written which model the run made, answered with a 500, and the client asks again."""
    once = MlflowClient.log_outputs

    def twice(client: MlflowClient, run_id: str, models: list[LoggedModelOutput]) -> None:
        once(client, run_id, models)
        once(client, run_id, models)

    monkeypatch.setattr(MlflowClient, "log_outputs", twice)
    tracker.start_run("lost")
    uri = tracker.log_model(booster, "xgboost", content="c1")
    with store.calling("look") as client:
        outputs = client.get_run(tracker.run_id).outputs.model_outputs
    assert [f"models:/{output.model_id}" for output in outputs] == [uri]


def test_a_logged_model_belongs_to_its_run(
    tracker: StandardNBAPropsTracker, booster: XGBRegressor, features: pd.DataFrame
) -> None:
    """The model is READY, tagged, and an output of the run, whose tag names it."""
    run_id = tracker.start_run("v1")
    uri = tracker.log_model(booster, "xgboost", input_example=features.head(), content="c1")
    with tracker.store.calling("look") as client:
        run = client.get_run(run_id)
        model = client.get_logged_model(uri.removeprefix("models:/"))
    assert run.data.tags[tags.MODEL_URI] == uri
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert str(model.status) == "READY"
    assert model.source_run_id == run_id
    assert model.tags[tags.CONTENT] == "c1"


def test_log_model_registers_when_asked(tracker: StandardNBAPropsTracker, registry: Any, booster: XGBRegressor) -> None:
    """With a registered name there is a version, found again instead of made again, and no alias."""
    tracker.start_run("v1")
    tracker.log_model(booster, "xgboost", "League", content="c1")
    tracker.log_model(booster, "xgboost", "League", content="c1")
    assert registry.find_version("League", "c1") == "1"
    assert registry.aliases("League") == {}


def test_a_users_class_has_to_be_trusted(features: pd.DataFrame, target: pd.Series, tmp_path: Path) -> None:
    """An unknown type is refused before the first fold, by name and with the ini key, and taken when it is trusted."""
    with pytest.raises(TrackingError, match=r"OwnRegressor.*nbaprops_trusted_types"):
        check_storable(OwnRegressor())
    model = OwnRegressor().fit(features, target)
    with pytest.raises(TrackingError, match="OwnRegressor"):
        save_model(model, tmp_path / "refused", example=features)
    assert not (tmp_path / "refused").exists()


def test_the_file_can_not_trust_itself(
    features: pd.DataFrame, target: pd.Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a session trusted has to be trusted again where the model is loaded."""
    import skops.io  # noqa: PLC0415

    skops.io.dump(OwnRegressor().fit(features, target), tmp_path / skops_loader.MODEL_FILE)
    (tmp_path / skops_loader.FEATURES_FILE).write_text('{"names": ["rest", "usage"], "dtype": "float32"}')
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(TrackingError, match=ENVIRONMENT):
        skops_loader.load(tmp_path)


def test_code_in_a_pipeline_is_refused() -> None:
    """A lambda can't be stored without pickle: said before the first fold."""
    with pytest.raises(TrackingError, match="can't be stored without pickle"):
        check_storable(make_pipeline(FunctionTransformer(lambda frame: frame), Ridge()))


def test_an_estimator_that_needs_real_data_is_still_looked_at() -> None:
    """Where made-up rows can't be fitted, the unfitted estimator is checked."""
    check_storable(make_pipeline(SimpleImputer(), KNeighborsRegressor(n_neighbors=500)))
    with pytest.raises(TrackingError, match="OwnRegressor"):
        check_storable(StackingRegressor([("own", OwnRegressor())], cv=1000))


def test_the_estimator_is_left_as_it_was() -> None:
    """Checking fits a clone."""
    estimator = make_pipeline(SimpleImputer(), Ridge())
    check_storable(estimator)
    assert not hasattr(estimator[-1], "coef_")


@pytest.mark.parametrize("kind", [XGBRegressor, XGBRFRegressor])
@pytest.mark.filterwarnings("ignore:`XGBRFRegressor` is deprecated:FutureWarning")  # since XGBoost 3.4
def test_xgboost_stores_itself(kind: Any, features: pd.DataFrame, target: pd.Series, tmp_path: Path) -> None:
    """XGBoost's regressors become UBJ."""
    estimator = kind(n_estimators=3)
    check_storable(estimator)
    assert is_native(estimator)
    save_model(estimator.fit(features, target), tmp_path / "model", example=features)
    assert (tmp_path / "model" / "model.ubj").exists()


def test_a_setting_that_ubj_forgets_is_refused(features: pd.DataFrame, target: pd.Series, tmp_path: Path) -> None:
    """XGBoost's own marker for missing values is lost in a file: refused before and after the fit."""
    estimator = XGBRegressor(n_estimators=3, missing=0.0)
    with pytest.raises(TrackingError, match=r"missing=0\.0"):
        check_storable(estimator)
    rows = features.fillna(1).mask(features > 0.5, 0).astype(np.float32)
    with pytest.raises(TrackingError, match="predicts other values"):
        save_model(estimator.fit(rows, target), tmp_path / "model", example=rows)


def test_a_subclass_of_xgboost_is_not_taken_for_xgboost() -> None:
    """What a user's subclass does in predict would be lost in UBJ."""

    class Louder(XGBRegressor):  # type: ignore[misc]  # untyped base
        pass

    assert not is_native(Louder())


def test_a_model_without_names_needs_an_example(features: pd.DataFrame, target: pd.Series, tmp_path: Path) -> None:
    """A model fitted on a bare array doesn't know its features."""
    model = Ridge().fit(features.fillna(0).to_numpy(), target)
    with pytest.raises(TrackingError, match="input_example"):
        save_model(model, tmp_path / "model")


@pytest.mark.parametrize("value", ["false", "0", " False "])
def test_refused_loaders_are_known_at_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """MLflow would refuse a skops model only when it is logged; XGBoost's own are stored all the same."""
    monkeypatch.setenv("MLFLOW_ALLOW_MODEL_CODE_EXECUTION", value)
    with pytest.raises(TrackingError, match="MLFLOW_ALLOW_MODEL_CODE_EXECUTION=false makes MLflow refuse"):
        check_storable(Ridge())
    check_storable(XGBRegressor())
    monkeypatch.delenv("MLFLOW_ALLOW_MODEL_CODE_EXECUTION")
    check_storable(Ridge())
