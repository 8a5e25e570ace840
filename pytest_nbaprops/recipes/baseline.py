"""The baseline recipe: the player's mean over his last 10 games as a model that can be judged, promoted and served.

It predicts what criteria call `baseline`, to the last bit: the feature group `last_ten` holds the sum of the target and
the number of games, of debutants those of all debuts so far, and the model divides. MAE on 2023-24: 6.188.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from pytest_nbaprops.errors import RecipeError
from pytest_nbaprops.features.last_ten import COUNT, NAME, TOTAL

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

FEATURES = NAME


def baseline() -> LastTenMean:
    """The unfitted estimator."""
    return LastTenMean()


class LastTenMean(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Total / number of games, both features; the mean target of the training rows where there is no game yet."""

    needs_features = (TOTAL, COUNT)

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike) -> LastTenMean:  # noqa: N803 - scikit-learn's own naming
        """Learn nothing but what to say before the very first game.

        Raises:
            RecipeError: the feature group `last_ten` is not among the features.
        """
        _total_and_count(X)
        self.mean_ = float(np.mean(np.asarray(y, dtype=np.float64)))
        self.feature_names_in_ = np.array(list(X.columns), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803 - as above
        """The mean over the last 10 games (rows,)."""
        total, count = _total_and_count(X)
        mean: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), self.mean_), where=count > 0)
        return mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _total_and_count(features: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    missing = [name for name in (TOTAL, COUNT) if name not in getattr(features, "columns", ())]
    if missing:
        raise RecipeError(
            f"the recipe baseline needs the features {TOTAL} and {COUNT}, and {' and '.join(missing)} is not there; "
            f"leave --nbaprops-features out or add the group {NAME!r} to it"
        )
    return features[TOTAL].to_numpy(dtype=np.float64), features[COUNT].to_numpy(dtype=np.float64)
