"""Fitting, predicting and keeping scikit-learn style estimators, reproducibly and on a given share of the cores."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import ThreadpoolController

from pytest_nbaprops.autologging import autologging_off
from pytest_nbaprops.errors import FoldError
from pytest_nbaprops.walkforward.dataset import Rows

HANDED_OVER = "estimators"
LIBRARY_CODE = ("xgboost.", "pytest_nbaprops.recipes.")
COLUMNS = re.compile(r"column|frame", re.IGNORECASE)
RECIPE = "recipe"
"""In place of the digest of an estimator that was handed over: the fold was evaluated by the recipe."""


def prepared(estimator: Any, *, seed: int, threads: int) -> Any:
    """An unfitted copy, with the seed and the share of threads wherever the estimator leaves them open.

    Raises:
        FoldError: it is not a scikit-learn style estimator.
    """
    from sklearn.base import clone  # noqa: PLC0415 - scikit-learn is slow to import

    try:
        copy = clone(estimator)
    except (TypeError, RuntimeError) as error:
        raise FoldError(
            f"{estimator!r} is not a scikit-learn style estimator ({error}); it needs get_params, fit and predict"
        ) from None
    ours = {"random_state": seed, "n_jobs": threads}
    open_ = (name for name, value in copy.get_params(deep=True).items() if value is None)
    return copy.set_params(**{name: ours[last] for name in open_ if (last := name.rsplit("__", 1)[-1]) in ours})


def estimator_digest(estimator: Any) -> str:
    """Content digest of an unfitted estimator: its class and parameters, whatever their types."""
    return f"{type(estimator).__module__}:{type(estimator).__qualname__}:{joblib.hash(estimator, hash_name='sha1')}"


def hand_over(model: Any, folder: Path) -> str | None:
    """Leave an unfitted copy in the session's own folder, for the controller's final fit; its digest.

    None where it cannot be copied: the candidate can then be judged, but not registered.
    """
    from sklearn.base import clone  # noqa: PLC0415 - as above

    try:
        unfitted = clone(model)
        digest = joblib.hash(unfitted, hash_name="sha1")
        folder.mkdir(exist_ok=True)
        path = folder / str(digest)
        if not path.exists():
            temporary = folder / f".{digest}-{os.getpid()}"
            joblib.dump(unfitted, temporary)
            temporary.replace(path)
    except Exception:  # noqa: BLE001 - whatever a user's class raises when it is copied
        return None
    return str(digest)


def handed_over(digest: str, folder: Path) -> Any:
    """The unfitted copy that `hand_over` left in this session."""
    return joblib.load(folder / digest)


def last_step(estimator: Any) -> tuple[str, Any]:
    """The name of a pipeline's last step, or none, and what predicts: behind an imputer it is a pipeline's last.

    Other estimators may have `steps`, too, and mean a number by it.
    """
    return estimator.steps[-1] if hasattr(estimator, "named_steps") else ("", estimator)


def fit(estimator: Any, rows: Rows, *, threads: int) -> Any:
    """Fit on these rows; XGBoost and scikit-learn keep the feature names of the frame.

    An estimator that names columns in `needs_games` gets them of the training rows, as `fit(X, y, games=DataFrame)`.

    Raises:
        FoldError: it needs the games of rows that are to be predicted.
    """
    step, last = last_step(estimator)
    needed, more = getattr(last, "needs_games", ()), {}
    with _threads(threads), autologging_off():
        features = _as_wanted(estimator, rows.X)
        if needed and rows.games is None:
            raise FoldError(
                f"{type(last).__name__} needs {', '.join(needed)} of the rows that it is fitted on, "
                "and only training rows have them: fit it on fold.train"
            )
        if needed and rows.games is not None:
            more = {f"{step}__games" if step else "games": rows.games(needed)}
        try:
            return estimator.fit(features, rows.y, **more)
        except Exception as error:
            by_name = isinstance(error, AttributeError | IndexError) or COLUMNS.search(str(error)) is not None
            if by_name and step and estimator.steps[0][0] == "simpleimputer":  # who looks for columns so finds none
                name = type(last).__name__
                error.add_note(f"the imputer hands over arrays: {name} gets a DataFrame if its tags say allow_nan")
            raise


def predict(estimator: Any, rows: Rows, *, threads: int) -> npt.NDArray[np.float64]:
    # XGBoost takes a frame in column by column, a matrix at once.
    features = rows.X.to_numpy(dtype=np.float32) if is_xgboosts_own(estimator) else _as_wanted(estimator, rows.X)
    with _threads(threads):
        return np.asarray(estimator.predict(features), dtype=np.float64)


def side_predictions(estimator: Any, rows: Rows, *, threads: int) -> Mapping[str, npt.NDArray[np.float64]]:
    """What the estimator predicts beside the target, by the names of its `side_targets`; mostly nothing."""
    targets: Mapping[str, str] = getattr(estimator, "side_targets", {})
    if not targets:
        return {}
    with _threads(threads):
        predicted = estimator.side_predictions(_as_wanted(estimator, rows.X))
    return {name: np.asarray(predicted[name], dtype=np.float64) for name in targets}


def is_xgboosts_own(estimator: Any) -> bool:
    """Whether it is a regressor of XGBoost itself, which works in float32 and needs no names to predict."""
    return hasattr(estimator, "get_booster") and type(estimator).__module__.startswith("xgboost.")


def width_of(estimator: Any) -> type[np.floating[Any]]:
    """The type of the features that an estimator is fitted on: nothing wider than it works in."""
    return np.float32 if is_xgboosts_own(estimator) else np.float64


def _as_wanted(estimator: Any, features: pd.DataFrame) -> pd.DataFrame:
    """XGBoost works in float32 whatever it is given, and takes it in a fifth faster as such."""
    return features.astype(np.float32) if hasattr(estimator, "get_booster") else features


def can_be_made_ahead(estimator: Any) -> bool:
    """Whether a fit is XGBoost's own code alone, on values that are plain, and its model can be kept without pickle."""
    if not (hasattr(estimator, "to_ubj") or hasattr(estimator, "get_booster")):
        return False
    return all(
        value is None or isinstance(value, bool | int | float | str) or type(value).__module__.startswith(LIBRARY_CODE)
        for value in (estimator, *estimator.get_params(deep=True).values())
    )


def to_bytes(estimator: Any) -> bytes | None:
    """A fitted XGBoost regressor, or whatever has `to_ubj`, as UBJ; None for what cannot be kept without pickle."""
    if hasattr(estimator, "to_ubj"):
        return bytes(estimator.to_ubj())
    booster = getattr(estimator, "get_booster", None)
    return bytes(booster().save_raw("ubj")) if booster is not None else None


def from_bytes(estimator: Any, content: bytes) -> Any:
    """The fitted regressor, from an unfitted one and its UBJ."""
    if hasattr(estimator, "from_ubj"):
        return estimator.from_ubj(content)
    estimator.load_model(bytearray(content))
    return estimator


def importance(estimator: Any, columns: tuple[str, ...]) -> Mapping[str, float]:
    """Gain of each feature (trees) or size of its coefficient (linear models); empty where there is neither."""
    _, last = last_step(estimator)
    values = getattr(last, "feature_importances_", None)
    if values is None and getattr(last, "coef_", None) is not None:
        values = np.abs(np.ravel(last.coef_))
    names = (*columns, *getattr(last, "added_features", ()))
    if values is None or len(values) != len(names):
        return {}
    return {name: float(value) for name, value in zip(names, values, strict=True)}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    with _thread_pools(len(sys.modules)).limit(limits=count):
        yield


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> ThreadpoolController:
    """The thread pools of all libraries loaded so far; looked for again only when more of them may be there."""
    del modules
    return ThreadpoolController()
