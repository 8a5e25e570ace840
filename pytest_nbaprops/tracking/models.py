"""Fitted regressors in and out of MLflow without pickle: UBJ for XGBoost, skops with reviewed types for others."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import clone

from pytest_nbaprops.autologging import autologging_off
from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import skops_loader, tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.registering import MODEL_FILE, model_digest
from pytest_nbaprops.tracking.search import is_there_already

with quiet():
    import mlflow.pyfunc
    import mlflow.xgboost
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

_TRIAL_ROWS: Final = 40
_TRIAL_NAMES: Final = ("f0", "f1", "f2", "f3", "f4")
_NATIVE_CLASSES: Final = ("XGBRegressor", "XGBRFRegressor")
_CODE_VARIABLE: Final = "MLFLOW_ALLOW_MODEL_CODE_EXECUTION"
_ROUNDING: Final = 1e-4  # matrix products in float32; XGBoost has to give the same bits
_KINDS: Final = {"i": "long", "u": "long", "b": "boolean"}


def check_storable(estimator: Any, trusted_types: Sequence[str] = ()) -> None:
    """Find out before the first fold whether a fitted copy could be stored: 40 made-up rows, stored and read back.

    `trusted_types` are further ones that skops may hold (`nbaprops_trusted_types`).

    Raises:
        TrackingError: One line with the types in the way, or what else is.
    """
    if is_native(estimator):
        missing = estimator.get_params().get("missing")
        if missing is not None and not np.isnan(missing):
            why = f"a UBJ file does not keep missing={missing!r}: use NaN for missing values"
            raise _not_storable(estimator, why)
        return
    if (refused := loaders_refused()) is not None:
        raise _not_storable(estimator, refused)
    rows = _made_up_rows()
    fitted = _trial_fit(estimator, rows)
    if fitted is None:  # it needs real data: what it is made of can be looked at unfitted
        _skops_bytes(estimator, trusted_types)
        return
    with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
        save_model(fitted, Path(folder) / "model", example=rows, trusted_types=trusted_types)


def warm_up() -> None:
    """Save a tiny model: with the first one MLflow looks up all that is installed, which is free beside a last fit."""
    from xgboost import XGBRegressor  # noqa: PLC0415 - slow to import, and there by then

    with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder, suppress(TrackingError), autologging_off():
        rows = _made_up_rows()
        model = XGBRegressor(n_estimators=1, n_jobs=1).fit(rows, rows.iloc[:, 0])
        save_model(model, Path(folder) / "model", example=rows)


def loaders_refused() -> str | None:
    """Why only XGBoost's own models can be registered; None where all can."""
    if os.environ.get(_CODE_VARIABLE, "").strip().lower() not in ("false", "0"):
        return None
    return (
        f"{_CODE_VARIABLE}=false makes MLflow refuse models that are read by a loader of their own, as those in"
        " skops are: unset it, or use an XGBoost recipe"
    )


def is_native(estimator: Any) -> bool:
    """Whether XGBoost itself stores the estimator; subclasses of the user's own may predict otherwise."""
    kind = type(estimator)
    return kind.__module__.startswith("xgboost.") and kind.__name__ in _NATIVE_CLASSES


def _made_up_rows() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(_TRIAL_ROWS, len(_TRIAL_NAMES)))
    return pd.DataFrame(values.astype(np.float32), columns=list(_TRIAL_NAMES))


def _trial_fit(estimator: Any, rows: pd.DataFrame) -> Any | None:
    target = np.abs(rows.to_numpy(dtype=np.float64)).sum(axis=1) + 1
    try:
        with quiet():
            fitted = clone(estimator).fit(rows, target)
            fitted.predict(rows)
            return fitted
    except Exception:  # noqa: BLE001  made-up rows prove nothing against an estimator
        return None


def save_model(
    model: Any, path: Path, *, example: pd.DataFrame | None = None, trusted_types: Sequence[str] = ()
) -> Model:
    """Write the MLflow model folder of a regressor, read it back and compare the predictions for the example.

    Without an example, a few training rows, there is no comparison, and the features are the model's
    `feature_names_in_`.

    Raises:
        TrackingError: The model can't be stored without pickle, or does not come back the same.
    """
    names = getattr(model, "feature_names_in_", None) if example is None else list(example.columns)
    if names is None:
        raise _not_storable(model, "it does not know its features' names: fit it on a DataFrame or give input_example")
    try:
        with quiet():
            saved = _write(model, path, [str(name) for name in names], example, trusted_types)
            _compare(model, path, example, trusted_types)
    except (MlflowException, OSError, TypeError, ValueError) as error:
        raise _not_storable(model, one_line(error)) from error
    return saved


def _write(
    model: Any, path: Path, names: list[str], example: pd.DataFrame | None, trusted_types: Sequence[str]
) -> Model:
    # Doubles, so that float32 and float64 frames are both taken; MLflow puts the columns in order by name.
    kinds = {} if example is None else {str(c): _KINDS.get(example[c].dtype.kind, "double") for c in example.columns}
    inputs = Schema([ColSpec(kinds.get(name, "double"), name) for name in names])
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "prediction")]))
    saved = Model()
    if is_native(model):
        mlflow.xgboost.save_model(
            model,
            str(path),
            mlflow_model=saved,
            signature=signature,
            pip_requirements=_requirements("xgboost"),
            model_format="ubj",  # older MLflow would write XGBoost's old binary format
        )
        return saved
    # float32 where every training column has it: the same numbers, added up wider, give other bits.
    narrow = example is not None and all(dtype == np.float32 for dtype in example.dtypes)
    features = {"names": names, "dtype": "float32" if narrow else "float64"}
    with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
        data = Path(folder) / "skops"
        data.mkdir()
        (data / skops_loader.MODEL_FILE).write_bytes(_skops_bytes(model, trusted_types))
        (data / skops_loader.FEATURES_FILE).write_text(json.dumps(features), encoding="utf-8")
        mlflow.pyfunc.save_model(
            str(path),
            loader_module=skops_loader.__name__,
            data_path=str(data),
            mlflow_model=saved,
            signature=signature,
            pip_requirements=_requirements("scikit-learn", "skops", "pytest-nbaprops"),
        )
    return saved


def _skops_bytes(model: Any, trusted_types: Sequence[str]) -> bytes:
    import skops.io  # noqa: PLC0415  1 s, and XGBoost does without

    try:
        with quiet():
            data: bytes = skops.io.dumps(model)
            found = skops.io.get_untrusted_types(data=data)
    except Exception as error:
        raise _not_storable(model, f"skops refuses it ({one_line(error)})") from error
    if refused := skops_loader.refused_types(found, trusted_types):
        raise _not_storable(
            model,
            f"{', '.join(refused)} not in the reviewed list of types: if you trust them, name them in the ini"
            f" as nbaprops_trusted_types, and in {skops_loader.ENVIRONMENT} where the model is loaded",
        )
    return data


def _compare(model: Any, path: Path, example: pd.DataFrame | None, trusted_types: Sequence[str]) -> None:
    """Raise where the stored model differs from the one in memory: some settings are lost in a file."""
    if example is None or example.empty:
        return
    if is_native(model):
        back = mlflow.pyfunc.load_model(str(path))
    else:
        back = skops_loader.load(next(path.rglob(skops_loader.MODEL_FILE)).parent, trusted_types)
    expected = np.asarray(model.predict(example), dtype=np.float64).reshape(-1)
    found = np.asarray(back.predict(example), dtype=np.float64).reshape(-1)
    tolerance = 0.0 if is_native(model) else _ROUNDING
    if found.shape != expected.shape or not np.allclose(found, expected, tolerance, tolerance, equal_nan=True):
        raise _not_storable(model, "read back, it predicts other values than in memory")


def _requirements(*names: str) -> list[str]:
    """Given, because MLflow takes 3 to 7 seconds to guess them."""
    pinned = []
    for name in ("mlflow", "numpy", "pandas", *names):
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # run from a source tree
            pinned.append(name)
    return pinned


def _not_storable(model: Any, why: str) -> TrackingError:
    return TrackingError(f"the model {type(model).__name__} can't be stored without pickle: {why}")


def log_model(  # noqa: PLR0913 - the model, what it is, and where it goes
    store: Store,
    experiment_id: str,
    run_id: str,
    model: Any,
    *,
    model_type: str,
    content: str | None = None,
    example: pd.DataFrame | None = None,
    trusted_types: Sequence[str] = (),
) -> str:
    """Store the fitted model as a logged model of the run and give its `models:/m-…` URI.

    The run's tag with the URI is written last: a model without it is unfinished and never used. One of the same
    `content`, the identity of what was fitted, is not stored again.
    """
    if content is not None:
        with store.calling(f"look for the model of the run {run_id}") as client:
            uri: str | None = client.get_run(run_id).data.tags.get(tags.MODEL_URI)
            known = None if uri is None else client.get_logged_model(uri.removeprefix("models:/"))
        if known is not None and known.tags.get(tags.CONTENT) == content:
            return str(uri)
    with tempfile.TemporaryDirectory(prefix="nbaprops-") as temporary:
        folder = Path(temporary) / "model"
        save_model(model, folder, example=example, trusted_types=trusted_types)
        with store.calling("store the model", artifacts=True) as client:
            values = {tags.MODEL_TYPE: model_type, tags.MODEL_DIGEST: model_digest(folder)}
            values |= {} if content is None else {tags.CONTENT: content}
            return _upload(client, folder, experiment_id, run_id, values)


def _upload(client: MlflowClient, folder: Path, experiment_id: str, run_id: str, values: Mapping[str, str]) -> str:
    logged = client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, tags=dict(values), model_type="regressor"
    )
    description = Model.load(str(folder))  # its ids are only known once the store has made room for it
    description.model_id = description.model_uuid = logged.model_id
    description.artifact_path, description.run_id = logged.artifact_location, run_id
    description.save(str(folder / MODEL_FILE))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except MlflowException as error:
        if not is_there_already(error):
            raise
    uri = f"models:/{logged.model_id}"
    client.set_tag(run_id, tags.MODEL_URI, uri)
    return uri
