"""Recipes on folds: what a fit is handed over, and what an evaluation leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.errors import FoldError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.recipes.catalog import BUILT_IN, resolve_recipe
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.active import ActiveFold
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec, FoldState
from pytest_nbaprops.walkforward.dataset import Dataset, read_dataset, targets_of, write_dataset
from pytest_nbaprops.walkforward.evaluate import Resources
from pytest_nbaprops.walkforward.plan import Fold, plan
from pytest_nbaprops.walkforward.store import FoldStore
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window

TARGET = ("PTS", "REB", "AST")
GROUPS = builtin_groups(TARGET)
FEW_TREES = {
    "advanced": {"n_estimators": 5},
    "two_stage": {"n_estimators": 5, "minutes__n_estimators": 5},
    "enhanced": {"n_estimators": 5},
}
COLUMNS = ["GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted", "baseline"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder, games = tmp_path_factory.mktemp("data"), sample_league(seasons=1, players=60)
    write_dataset(folder, games, build_features(games, GROUPS).frame, targets_of(games, TARGET))
    return read_dataset(folder, digest=dataset_digest(games), target_columns=TARGET, root=folder)


@pytest.fixture(scope="module")
def fold(dataset: Dataset) -> Fold:
    window = {"test": parse_test_window("last 3 dates"), "train_window": parse_train_window("expanding")}
    return plan(dataset.game_dates, step=1, refit=7, **window)[1]  # type: ignore[arg-type] # each has its own type


def candidate_of(name: str, dataset: Dataset) -> Candidate:
    params = FEW_TREES.get(name, {})
    recipe = resolve_recipe(name, params=params, seed=3, threads=1)
    groups = select_groups(GROUPS, recipe.features, ())
    columns = {group.name: tuple(build_features(dataset.games.head(50), [group]).frame.columns) for group in groups}
    spec = CandidateSpec(
        name=name, recipe=name, params=params, features=None, test="last 3 dates", train_window="expanding", step=1,
        refit=7, seed=3, criteria=(), code=None,
    )  # fmt: skip
    return Candidate(
        spec=spec,
        target="+".join(TARGET),
        groups=groups,
        columns=tuple(column for group in groups for column in columns[group.name]),
        lineage=lineage_of(groups, columns, dataset.root),
        recipe=recipe,
    )


def resources_of(dataset: Dataset, folder: Path, threads: int = 1) -> Resources:
    return Resources(dataset=dataset, store=FoldStore(folder), threads=threads, use_cache=True, session=folder.name)


def active(name: str, dataset: Dataset, fold: Fold, folder: Path, threads: int = 1) -> ActiveFold:
    return ActiveFold(
        state=FoldState(fold=fold),
        candidate=candidate_of(name, dataset),
        resources=resources_of(dataset, folder, threads),
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_recipe_evaluates_and_comes_from_the_store(
    name: str, dataset: Dataset, fold: Fold, tmp_path: Path
) -> None:
    """With the same bits on one and two threads, on a kept model, and from the store."""
    first = active(name, dataset, fold, tmp_path / "one")
    result = first.evaluate()
    assert np.isfinite(result.predictions["predicted"]).all()
    on_two = active(name, dataset, fold, tmp_path / "two", threads=2).evaluate()
    pd.testing.assert_frame_equal(on_two.predictions, result.predictions, check_exact=True)
    again = active(name, dataset, fold, tmp_path / "one").evaluate()
    assert (again.cached, again.metrics) == (True, result.metrics)
    for path in (tmp_path / "one" / "folds").glob("??/*"):
        path.unlink()
    kept = active(name, dataset, fold, tmp_path / "one").evaluate()
    assert not kept.cached
    pd.testing.assert_frame_equal(kept.predictions, result.predictions, check_exact=True)


def test_two_stage_tells_how_its_minutes_came_out(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """`mae_minutes` and `r2_minutes` are of the fold's rows; the predictions keep the columns of every recipe."""
    fold_of_two = active("two_stage", dataset, fold, tmp_path)
    result = fold_of_two.evaluate()
    (model,) = fold_of_two._resources.models.values()  # noqa: SLF001 - what was fitted
    predicted = model.side_predictions(fold_of_two.test.X)["minutes"]
    actual = dataset.games["MIN"].loc[fold_of_two.test_index]
    assert result.mae_minutes == pytest.approx(mean_absolute_error(actual, predicted))
    assert result.r2_minutes == pytest.approx(r2_score(actual, predicted))
    assert result.key is not None
    entry = fold_of_two._resources.store.fold(result.key)  # noqa: SLF001 - what the controller reads
    assert entry is not None
    assert list(entry.predictions.columns) == COLUMNS
    assert set(entry.details["side"]) == {"minutes"}
    assert "predicted_minutes" in entry.details["importance"]


def test_other_recipes_predict_nothing_beside_the_target(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """They have no such metric."""
    result = active("baseline", dataset, fold, tmp_path).evaluate()
    assert "mae_minutes" not in result.metrics


def test_baseline_is_the_baseline(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """What the recipe predicts is what criteria compare with, bit for bit."""
    frame = active("baseline", dataset, fold, tmp_path).evaluate().predictions
    np.testing.assert_array_equal(frame["predicted"], frame["baseline"])


def test_a_test_of_ones_own_can_fit_it(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """`fold.fit` hands the training rows' games over; the predictions are those of `evaluate`."""
    mine = active("two_stage", dataset, fold, tmp_path)
    model = mine.fit(resolve_recipe("two_stage", params=FEW_TREES["two_stage"], seed=3, threads=1).estimator)
    recorded = mine.record(model.predict(mine.test.X), model=model)
    evaluated = active("two_stage", dataset, fold, tmp_path).evaluate()
    np.testing.assert_array_equal(recorded.predictions["predicted"], evaluated.predictions["predicted"])


def test_a_model_is_no_prediction(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """Who hands one over where it is not taken is told how its predictions get in; that counts, as any misuse."""
    mine = active("two_stage", dataset, fold, tmp_path)
    for call, said in ((mine.evaluate, "takes nothing"), (mine.record, "not numbers")):
        with pytest.raises(FoldError, match=rf"{said}.*fold\.record\(model\.predict\(fold\.test\.X\), model=model\)"):
            call(LinearRegression())
        assert mine.problem is not None
        assert said in mine.problem
        assert mine.result is None


def test_only_training_rows_have_their_games(dataset: Dataset, fold: Fold, tmp_path: Path) -> None:
    """An estimator cannot be fitted on the outcomes of the rows to predict."""
    mine = active("two_stage", dataset, fold, tmp_path)
    assert mine.train.games is not None
    handed = mine.train.games(["GAME_DATE", "MIN"])
    assert handed.index.equals(mine.train.X.index)
    assert handed["GAME_DATE"].max() < pd.Timestamp(fold.fitted_at)
    assert mine.test.games is None
    unfitted = resolve_recipe("two_stage", seed=3, threads=1).estimator
    with pytest.raises(
        FoldError, match="needs GAME_DATE, MIN of the rows that it is fitted on, and only training rows"
    ):
        estimators.fit(unfitted, mine.test, threads=1)


class PicksByName(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    def fit(self, features: pd.DataFrame, target: pd.Series[float]) -> PicksByName:
        self.columns_, self.mean_ = features.columns[:2], target.mean()
        return self

    def predict(self, features: pd.DataFrame) -> pd.Series[float]:
        return features[self.columns_].mean(axis=1)


def test_who_finds_no_names_behind_the_imputer_is_told_why(dataset: Dataset, fold: Fold) -> None:
    """An estimator of one's own is put behind it because it does not say that it takes missing values."""
    recipe = resolve_recipe("mine", registered={"mine": PicksByName()}, seed=3, threads=1)
    rows = dataset.train(fold, [str(column) for column in dataset.features])
    with pytest.raises(AttributeError) as raised:
        estimators.fit(recipe.estimator, rows, threads=1)
    assert raised.value.__notes__ == [
        "the imputer hands over arrays: PicksByName gets a DataFrame if its tags say allow_nan"
    ]
