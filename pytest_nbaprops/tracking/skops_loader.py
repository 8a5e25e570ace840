"""How MLflow's pyfunc loads a model that we stored with skops: nothing is unpickled, no code comes from the file.

MLflow finds this module by its name in the stored model, so it must keep it.

Beside the types that skops trusts itself (scikit-learn's estimators) a file may hold those listed here, each one
reviewed: loading one runs no code that the file brings, and its state is plain arrays and numbers. That is all that is
claimed: the compiled ones (trees, Booster) trust their arrays, so a file made by an attacker could still crash the
process, as a crafted UBJ file could.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.errors import TrackingError

MODEL_FILE: Final = "model.skops"
FEATURES_FILE: Final = "features.json"
_REVIEWED_IN: Final = {
    "numpy": ("clip", "dtype", "nan_to_num"),  # dtype is what SimpleImputer remembers
    # Boosters of others: their state is the text or the bytes of the trees.
    "catboost.core": ("CatBoostRegressor",),
    "collections": ("OrderedDict",),
    "lightgbm.basic": ("Booster",),
    "lightgbm.sklearn": ("LGBMRegressor",),
    # The recipes that are not XGBoost's own: numbers, names and XGBoost regressors.
    "pytest_nbaprops.recipes.baseline": ("LastTenMean",),
    "pytest_nbaprops.recipes.two_stage": ("TwoStageRegressor",),
    # Links, losses and the bin mapper are in skops' own list in newer versions only.
    "sklearn._loss.link": ("IdentityLink", "Interval", "LogLink"),
    "sklearn._loss.loss": (
        "AbsoluteError", "HalfGammaLoss", "HalfPoissonLoss", "HalfSquaredError", "HalfTweedieLoss",
        "HalfTweedieLossIdentity", "HuberLoss", "PinballLoss",
    ),
    "sklearn.compose._column_transformer": ("make_column_selector",),
    "sklearn.ensemble._hist_gradient_boosting.binning": ("_BinMapper",),
    "sklearn.ensemble._hist_gradient_boosting.predictor": ("TreePredictor",),
    "sklearn.feature_selection._mutual_info": ("mutual_info_regression",),
    "sklearn.feature_selection._univariate_selection": ("f_regression", "r_regression"),
    "sklearn.gaussian_process.kernels": (
        "ConstantKernel", "DotProduct", "Matern", "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel",
    ),
    "sklearn.metrics._dist_metrics": ("EuclideanDistance32", "EuclideanDistance64"),
    # How a search over parameters chose: functions of numbers, and the folds' sizes.
    "sklearn.metrics._regression": (
        "explained_variance_score", "max_error", "mean_absolute_error", "mean_absolute_percentage_error",
        "mean_pinball_loss", "mean_poisson_deviance", "mean_squared_error", "mean_squared_log_error",
        "median_absolute_error", "r2_score", "root_mean_squared_error",
    ),
    "sklearn.metrics._scorer": ("_PassthroughScorer", "_Scorer"),
    "sklearn.model_selection._split": (
        "GroupKFold", "KFold", "RepeatedKFold", "ShuffleSplit", "TimeSeriesSplit",
    ),
    "sklearn.neighbors._ball_tree": ("BallTree", "BallTree32", "BallTree64"),
    "sklearn.neighbors._kd_tree": ("KDTree", "KDTree32", "KDTree64"),
    "sklearn.neural_network._stochastic_optimizers": ("AdamOptimizer", "SGDOptimizer"),
    "sklearn.tree._tree": ("Tree",),
    "sklearn.utils._bunch": ("Bunch",),
    "xgboost.core": ("Booster",),  # its state is the UBJ text of the booster
    "xgboost.sklearn": ("XGBRFRegressor", "XGBRegressor"),
}  # fmt: skip
_REVIEWED: Final = frozenset(f"{module}.{name}" for module, names in _REVIEWED_IN.items() for name in names)

ENVIRONMENT: Final = "NBAPROPS_TRUSTED_TYPES"
"""Further types, separated by commas, where a model is loaded outside a session. Never read from the model itself:
whoever can change the file could name anything there."""


def refused_types(found: Iterable[str], trusted: Iterable[str]) -> list[str]:
    """Those of the found types that nobody trusts."""
    return sorted(set(found) - _REVIEWED - set(trusted))


class NamedFeatures:
    """A regressor that is given its training columns, in their order and float width, whatever frame comes in."""

    def __init__(self, model: Any, names: list[str], dtype: str) -> None:
        self.model = model
        self._names = names
        self._dtype = np.dtype(dtype)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> npt.NDArray[np.float64]:
        """Predictions (rows,) in the target's units; MLflow passes params, which a regressor has none of."""
        del params
        # One memory layout for every frame: matrix products round differently in another.
        values = np.ascontiguousarray(frame[self._names].to_numpy(dtype=self._dtype))
        rows = pd.DataFrame(values, columns=self._names, index=frame.index)
        return np.asarray(self.model.predict(rows), dtype=np.float64).reshape(-1)


def load(path: str | Path, trusted: Iterable[str] = ()) -> NamedFeatures:
    """The model in the folder.

    Raises:
        TrackingError: It holds a type that nobody trusts.
    """
    import skops.io  # noqa: PLC0415  1 s, and the module's names are needed without it

    folder = Path(path)
    named = os.environ.get(ENVIRONMENT, "").split(",")
    trusted = {*trusted, *(name.strip() for name in named if name.strip())}
    found = skops.io.get_untrusted_types(file=folder / MODEL_FILE)
    if refused := refused_types(found, trusted):
        raise TrackingError(
            f"the stored model holds {', '.join(refused)}, not in the reviewed list of types: if you trust them,"
            f" name them in the environment variable {ENVIRONMENT} (separated by commas) where the model is loaded"
        )
    features = json.loads((folder / FEATURES_FILE).read_text(encoding="utf-8"))
    model = skops.io.load(folder / MODEL_FILE, trusted=sorted(trusted | (set(found) & _REVIEWED)))
    return NamedFeatures(model, list(features["names"]), str(features["dtype"]))


def _load_pyfunc(path: str) -> NamedFeatures:
    return load(path)
