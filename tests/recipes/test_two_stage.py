"""The two_stage recipe: predicted minutes, never actual ones, in the second stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from xgboost import XGBRegressor

from pytest_nbaprops.errors import RecipeError, SettingsError
from pytest_nbaprops.recipes.catalog import resolve_recipe
from pytest_nbaprops.recipes.two_stage import TwoStageRegressor, blocks_of, predicted_forward
from pytest_nbaprops.tracking.models import check_storable, save_model

ROWS, DATES = 1500, 60
SMALL: dict[str, object] = {"n_estimators": 12, "minutes__n_estimators": 8, "min_child_weight": 5}


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    values = np.random.default_rng(4).normal(size=(ROWS, 5)).astype(np.float32)
    return pd.DataFrame(values, columns=list("abcde")).astype(np.float64)


@pytest.fixture(scope="module")
def games(features: pd.DataFrame) -> pd.DataFrame:
    days = np.sort(np.random.default_rng(5).integers(0, DATES, ROWS)).astype("timedelta64[D]")
    played = np.clip(22 + 6 * features["a"] + np.random.default_rng(6).normal(scale=4, size=ROWS), 0, 48)
    return pd.DataFrame({"GAME_DATE": np.datetime64("2024-01-01") + days, "MIN": played})


@pytest.fixture(scope="module")
def target(features: pd.DataFrame, games: pd.DataFrame) -> pd.Series[float]:
    return games["MIN"] * (0.8 + 0.1 * features["b"])


def unfitted(*, seed: int = 3, threads: int = 1, **params: object) -> TwoStageRegressor:
    recipe = resolve_recipe("two_stage", params={**SMALL, **params}, seed=seed, threads=threads)
    assert isinstance(recipe.estimator, TwoStageRegressor)
    return recipe.estimator


@pytest.fixture(scope="module")
def fitted(features: pd.DataFrame, target: pd.Series[float], games: pd.DataFrame) -> TwoStageRegressor:
    return unfitted().fit(features, target, games=games)


def test_it_is_a_scikit_learn_estimator() -> None:
    """A clone has the same parameters, of both stages."""
    estimator = unfitted(minutes__max_depth=3)
    again = clone(estimator)
    assert again.get_params()["minutes__max_depth"] == 3
    ours, theirs = ({k: v for k, v in one.get_params().items() if k != "minutes"} for one in (estimator, again))
    assert repr(ours) == repr(theirs)


def test_parameters_reach_their_stage() -> None:
    """A plain name is the second stage's, `minutes__` the first one's; seed and threads are both stages'."""
    first, second = unfitted(max_depth=4, minutes__max_depth=3, threads=2).stages()
    assert (first.max_depth, second.max_depth) == (3, 4)
    assert (first.random_state, second.random_state, first.n_jobs, second.n_jobs) == (3, 3, 2, 2)


def test_one_and_two_threads_give_the_same_bits(
    features: pd.DataFrame, target: pd.Series[float], games: pd.DataFrame, fitted: TwoStageRegressor
) -> None:
    """And another seed gives others."""
    other = unfitted(threads=2).fit(features, target, games=games)
    np.testing.assert_array_equal(other.predict(features), fitted.predict(features))
    reseeded = unfitted(seed=4).fit(features, target, games=games)
    assert (reseeded.predict(features) != fitted.predict(features)).any()


def test_minutes_are_learned_and_used(features: pd.DataFrame, games: pd.DataFrame, fitted: TwoStageRegressor) -> None:
    """Predicted minutes follow the actual ones and are among what the second stage looks at."""
    predicted = fitted.side_predictions(features)["minutes"]
    assert np.corrcoef(predicted, games["MIN"])[0, 1] > 0.7
    assert fitted.feature_importances_.shape == (6,)
    assert fitted.feature_importances_[-1] > 0


def test_no_minutes_of_a_block_reach_it(features: pd.DataFrame, games: pd.DataFrame) -> None:
    """What the second stage gets as minutes of a block does not change with the block's own or later minutes."""
    played, blocks = games["MIN"].to_numpy(), blocks_of(games["GAME_DATE"].to_numpy(), 3)
    model = XGBRegressor(n_estimators=5, n_jobs=1)
    true = predicted_forward(model, features, played, blocks)
    for block in range(3):
        changed = predicted_forward(model, features, np.where(blocks >= block, 99.0 - played, played), blocks)
        np.testing.assert_array_equal(changed[blocks <= block], true[blocks <= block])
        assert block == 2 or (changed[blocks > block] != true[blocks > block]).any()
    assert np.isnan(true[blocks == 0]).all()


def test_second_stage_sees_no_actual_minutes(
    features: pd.DataFrame, target: pd.Series[float], games: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minutes that cannot be predicted leave no trace in what the second stage is fitted on."""
    seen: list[pd.DataFrame] = []
    original = XGBRegressor.fit

    def fit(self: Any, X: Any, y: Any, **rest: Any) -> Any:  # noqa: N803 - scikit-learn's own naming
        seen.append(X)
        return original(self, X, y, **rest)

    monkeypatch.setattr(XGBRegressor, "fit", fit)
    noise = games.assign(MIN=np.random.default_rng(8).permutation(games["MIN"].to_numpy()))
    unfitted().fit(features, target, games=noise)
    given = seen[-1]["predicted_minutes"].to_numpy()
    known = ~np.isnan(given)
    assert known.sum() > ROWS / 3
    assert abs(np.corrcoef(given[known], noise["MIN"].to_numpy()[known])[0, 1]) < 0.1


def test_no_date_is_in_two_blocks(games: pd.DataFrame) -> None:
    """Blocks run in time and hold about as many rows each, in whatever order the rows are."""
    blocks = pd.Series(blocks_of(games["GAME_DATE"].to_numpy(), 4))
    assert blocks.groupby(games["GAME_DATE"]).nunique().max() == 1
    assert blocks.is_monotonic_increasing
    assert blocks.value_counts().min() > ROWS / 4 - 3 * ROWS / DATES
    backwards = blocks_of(games["GAME_DATE"].to_numpy()[::-1], 4)
    np.testing.assert_array_equal(backwards[::-1], blocks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "cannot be fitted without GAME_DATE and MIN of the training rows: fit"),
        (lambda games: games[["GAME_DATE"]], "without MIN of the training rows"),
        (lambda games: games.iloc[1:], f"games has {ROWS - 1} rows, 0 of them without minutes, for {ROWS} rows"),
        (lambda games: games.assign(MIN=np.nan), f"{ROWS} of them without minutes"),
        (lambda games: games.assign(GAME_DATE=games["GAME_DATE"].iloc[0]), "1 dates of training rows cannot be cut"),
    ],
)
def test_games_that_do_not_fit_are_refused(
    change: Any, message: str, features: pd.DataFrame, target: pd.Series[float], games: pd.DataFrame
) -> None:
    """In one line that says what is needed."""
    with pytest.raises(RecipeError) as caught:
        unfitted().fit(features, target, games=change(games))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_feature_of_that_name_is_refused(
    features: pd.DataFrame, target: pd.Series[float], games: pd.DataFrame
) -> None:
    """`predicted_minutes` is the recipe's own."""
    with pytest.raises(RecipeError, match="adds a column 'predicted_minutes' of its own; rename the feature"):
        unfitted().fit(features.assign(predicted_minutes=1.0), target, games=games)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"minutes__max_dept": 3},
            "recipe 'two_stage' has no parameter 'minutes__max_dept' (did you mean minutes__max_",
        ),
        (
            {"minutes__max_depth": "deep"},
            "--nbaprops-param (recipe 'two_stage'): Invalid Parameter format for max_depth",
        ),
        ({"max_depth": "deep"}, "Invalid Parameter format for max_depth"),
        ({"minutes": 7}, "minutes=7 is no XGBRegressor"),
        ({"blocks": 1}, "blocks=1 is no whole number of at least 2"),
        ({"blocks": 2.5}, "blocks=2.5 is no whole number"),
    ],
)
def test_bad_parameters_are_found_before_the_first_fold(params: dict[str, object], message: str) -> None:
    """Of both stages, in one line."""
    with pytest.raises(SettingsError) as caught:
        resolve_recipe("two_stage", params=params, seed=1, threads=1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stored_without_pickle_it_comes_back_the_same(
    features: pd.DataFrame, fitted: TwoStageRegressor, tmp_path: Path
) -> None:
    """Through MLflow, to the last bit, with no type to trust by hand."""
    check_storable(unfitted())
    save_model(fitted, tmp_path / "model", example=features.head())
    import mlflow.pyfunc  # noqa: PLC0415 - it warns unless the package has imported it before

    back = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    np.testing.assert_array_equal(back.predict(features), fitted.predict(features).astype(np.float64))
    assert not list(tmp_path.rglob("*.pkl"))


def test_ubj_gives_the_same_model(features: pd.DataFrame, fitted: TwoStageRegressor) -> None:
    """Which is how the fold store keeps it."""
    back = unfitted().from_ubj(fitted.to_ubj())
    np.testing.assert_array_equal(back.predict(features), fitted.predict(features))
    np.testing.assert_array_equal(back.feature_importances_, fitted.feature_importances_)
    assert list(back.feature_names_in_) == list(features.columns)
