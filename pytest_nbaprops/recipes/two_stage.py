"""The two_stage recipe: how long a player will be on the floor, then what he does in that time.

Chosen with tests/benchmarks/choose_recipe.py on the seasons 2021-22 and 2022-23, a fit every 60 days. Mean MAE there:
last-10 mean 6.228, two blocks 5.882, three 5.885, three with the first one left out of the second stage 5.888, four of
these with as many trees for minutes as for the target 5.885. A minutes model that aims at squared error gives 5.882
with three blocks. All of that is what the advanced recipe reaches with its one stage (5.883): trees find the minutes by
themselves. What this recipe adds is the minutes: MAE 4.88 and R2 0.64 there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone

from pytest_nbaprops.errors import RecipeError
from pytest_nbaprops.recipes.advanced import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from xgboost import XGBRegressor

FEATURES = "all"
PREDICTED_MINUTES = "predicted_minutes"

# Half the trees of the second stage: its fits are most of the work, and more of them did not help.
MINUTES: dict[str, Any] = {**PARAMETERS, "n_estimators": 60, "learning_rate": 0.15}

OWN_PARAMETERS = ("minutes", "blocks")
LEAST_BLOCKS = 2  # one to learn minutes from, one to predict
LENGTH_BYTES = 8


def two_stage() -> TwoStageRegressor:
    """The unfitted estimator; parameters of the minutes model are called `minutes__max_depth` and so on."""
    from xgboost import XGBRegressor  # noqa: PLC0415 - 1.6 s that only a session that fits should pay

    return TwoStageRegressor(minutes=XGBRegressor(**MINUTES), **PARAMETERS)


class TwoStageRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Minutes from features, then the target from features and predicted minutes, both by XGBoost.

    The second stage is trained on minutes that were predicted as they will be later: the training rows are cut into
    `blocks` by date, and each block's minutes come from a model fitted on the blocks before it. For the first block
    they are missing, which trees can do with. Actual minutes reach nothing but the first stage's target.

    Args:
        minutes: the first stage, an unfitted XGBRegressor.
        blocks: how many blocks of dates, at least 2.
        others: of the second stage, as XGBRegressor has them; None is XGBoost's own default.
    """

    needs_games = ("GAME_DATE", "MIN")
    """Columns of the training rows' games that `fit` is given beside features and target."""
    side_targets = {"minutes": "MIN"}  # noqa: RUF012 - scikit-learn finds its own attributes on the class, too
    """What `side_predictions` predicts, and the column of the games that tells how it came out."""
    added_features = (PREDICTED_MINUTES,)
    """What stands behind the features in `feature_importances_`."""

    def __init__(  # noqa: PLR0913 - scikit-learn reads the parameters off this signature
        self,
        *,
        minutes: XGBRegressor | None = None,
        blocks: int = 2,
        objective: str | None = None,
        tree_method: str | None = None,
        n_estimators: int | None = None,
        max_depth: int | None = None,
        learning_rate: float | None = None,
        max_bin: int | None = None,
        min_child_weight: float | None = None,
        gamma: float | None = None,
        reg_alpha: float | None = None,
        reg_lambda: float | None = None,
        subsample: float | None = None,
        colsample_bytree: float | None = None,
        random_state: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.minutes = minutes
        self.blocks = blocks
        self.objective = objective
        self.tree_method = tree_method
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_bin = max_bin
        self.min_child_weight = min_child_weight
        self.gamma = gamma
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.random_state = random_state
        self.n_jobs = n_jobs

    def stages(self) -> tuple[XGBRegressor, XGBRegressor]:
        """The two unfitted XGBoost regressors.

        Raises:
            RecipeError: `minutes` is something else, or `blocks` no whole number above 1.
        """
        from xgboost import XGBRegressor  # noqa: PLC0415 - as above

        first = XGBRegressor(**MINUTES) if self.minutes is None else self.minutes
        if not isinstance(first, XGBRegressor):
            raise RecipeError(f"two_stage: minutes={first!r} is no XGBRegressor; set its parameters as minutes__<name>")
        if not isinstance(self.blocks, int) or self.blocks < LEAST_BLOCKS:
            raise RecipeError(f"two_stage: blocks={self.blocks!r} is no whole number of at least {LEAST_BLOCKS}")
        own = self.get_params(deep=False)
        return clone(first), XGBRegressor(**{name: own[name] for name in own if name not in OWN_PARAMETERS})

    def fit(
        self,
        X: pd.DataFrame | npt.NDArray[Any],  # noqa: N803 - scikit-learn's own naming
        y: npt.ArrayLike,
        games: pd.DataFrame | None = None,
    ) -> TwoStageRegressor:
        """Fit both stages.

        Args:
            X: features (rows, columns).
            y: target (rows,).
            games: GAME_DATE and MIN (actual minutes) of the same rows.

        Raises:
            RecipeError: no `games`, a column or minutes missing in them, other rows, or fewer than two dates.
        """
        dates, played = _dates_and_minutes(games, len(X))
        features = self._features(X)
        first, second = self.stages()
        guessed = predicted_forward(first, features, played, blocks_of(dates, self.blocks))
        self.minutes_model_ = first.fit(features, played)
        self.target_model_ = second.fit(_with_minutes(features, guessed), np.asarray(y))
        return self._remember(list(features.columns))

    def predict(self, X: pd.DataFrame | npt.NDArray[Any]) -> npt.NDArray[np.float32]:  # noqa: N803
        """The target (rows,)."""
        features = self._features(X)
        guessed = self.minutes_model_.predict(features)
        predicted: npt.NDArray[np.float32] = self.target_model_.predict(_with_minutes(features, guessed))
        return predicted

    def side_predictions(self, X: pd.DataFrame | npt.NDArray[Any]) -> Mapping[str, npt.NDArray[np.float32]]:  # noqa: N803
        """Predicted minutes (rows,), under `minutes`."""
        return {"minutes": self.minutes_model_.predict(self._features(X))}

    @property
    def feature_importances_(self) -> npt.NDArray[np.float32]:
        """Gain of every feature, then of the predicted minutes, in the second stage."""
        importances: npt.NDArray[np.float32] = self.target_model_.feature_importances_
        return importances

    def to_ubj(self) -> bytes:
        """Both fitted models as UBJ, the length of the first one (8 bytes, big-endian) in front."""
        first, second = (model.get_booster().save_raw("ubj") for model in (self.minutes_model_, self.target_model_))
        return len(first).to_bytes(LENGTH_BYTES, "big") + bytes(first) + bytes(second)

    def from_ubj(self, content: bytes) -> TwoStageRegressor:
        """Take over the fitted models that `to_ubj` gave."""
        end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "big")
        self.minutes_model_, self.target_model_ = self.stages()
        self.minutes_model_.load_model(bytearray(content[LENGTH_BYTES:end]))
        self.target_model_.load_model(bytearray(content[end:]))
        return self._remember(list(self.minutes_model_.get_booster().feature_names or []))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _features(self, values: pd.DataFrame | npt.NDArray[Any]) -> pd.DataFrame:
        """The features as XGBoost works with them."""
        frame = pd.DataFrame(values)
        # One block of memory: pandas warns of frames in hundred pieces once a column is added.
        numbers = frame.to_numpy(dtype=np.float32)
        features = pd.DataFrame(numbers, columns=frame.columns.astype(str), index=frame.index)
        if PREDICTED_MINUTES in features:
            raise RecipeError(f"two_stage adds a column {PREDICTED_MINUTES!r} of its own; rename the feature")
        return features

    def _remember(self, names: list[str]) -> TwoStageRegressor:
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)
        return self


def _dates_and_minutes(
    games: pd.DataFrame | None, rows: int
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]:
    missing = [name for name in TwoStageRegressor.needs_games if games is None or name not in games]
    if games is None or missing:
        raise RecipeError(
            f"two_stage cannot be fitted without {' and '.join(missing)} of the training rows: "
            "fit(X, y, games=DataFrame), or fold.fit(model), which hands them over"
        )
    dates, played = games["GAME_DATE"].to_numpy(), games["MIN"].to_numpy(dtype=np.float64)
    if len(games) != rows or np.isnan(played).any():
        raise RecipeError(
            f"two_stage: games has {len(games)} rows, {int(np.isnan(played).sum())} of them without minutes, for "
            f"{rows} rows of features; give the played games that the features are of, in their order"
        )
    return dates, played


def blocks_of(dates: npt.NDArray[np.datetime64], count: int) -> npt.NDArray[np.intp]:
    """The block of each row: about as many rows in each, no date in two."""
    ordered = np.sort(dates)
    cuts = np.unique([ordered[len(ordered) * block // count] for block in range(1, count)])
    blocks: npt.NDArray[np.intp] = np.unique(np.searchsorted(cuts, dates, side="right"), return_inverse=True)[1]
    if blocks.max() < 1:
        raise RecipeError(
            f"two_stage: {len(np.unique(dates))} dates of training rows cannot be cut into {count} blocks; "
            "give it a longer training window and at least blocks=2"
        )
    return blocks


def predicted_forward(
    model: XGBRegressor, features: pd.DataFrame, played: npt.NDArray[np.float64], blocks: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """Minutes of each row as predicted from the blocks before its own; NaN in the first block."""
    guessed = np.full(len(played), np.nan, dtype=np.float32)
    for block in range(1, int(blocks.max()) + 1):
        earlier, now = np.flatnonzero(blocks < block), np.flatnonzero(blocks == block)
        fitted = clone(model).fit(features.iloc[earlier], played[earlier])
        guessed[now] = fitted.predict(features.iloc[now])
    return guessed


def _with_minutes(features: pd.DataFrame, guessed: npt.NDArray[np.float32]) -> pd.DataFrame:
    return features.assign(**{PREDICTED_MINUTES: guessed})
