"""The baseline recipe is the baseline of the criteria, as a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.data.schema import parse_target, target_values
from pytest_nbaprops.errors import RecipeError
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.features.build import build_as_of, build_features, without_outcomes
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.features.last_ten import last_ten_group
from pytest_nbaprops.recipes.baseline import LastTenMean
from pytest_nbaprops.recipes.catalog import Recipe, resolve_recipe
from pytest_nbaprops.tracking.models import check_storable, save_model


@pytest.fixture(scope="module")
def games() -> pd.DataFrame:
    return sample_league(seasons=2, players=60)


def recipe() -> Recipe:
    return resolve_recipe("baseline", seed=1, threads=1)


@pytest.mark.parametrize("target", ["PTS+REB+AST", "FG3M", "MIN", "REB+AST"])
def test_it_predicts_the_baseline_to_the_last_bit(games: pd.DataFrame, target: str) -> None:
    """For any target, debutants included, from float32 features."""
    columns = parse_target(target)
    expected, actual = baseline_predictions(games, columns), target_values(games, columns)
    features = build_features(games, [last_ten_group(columns)]).frame.astype(np.float64)
    known = expected.notna().to_numpy()
    found = recipe().estimator.fit(features, actual).predict(features)
    np.testing.assert_array_equal(found[known], expected[known])
    assert (found[~known] == actual.mean()).all()
    assert (~known).sum() > 0


def test_games_not_yet_played_are_served(games: pd.DataFrame) -> None:
    """The features of tomorrow need no outcome of tomorrow."""
    columns, last = ("PTS",), games["GAME_DATE"].max()
    tonight = (games["GAME_DATE"] == last).to_numpy()
    features = build_as_of(games, [last_ten_group(columns)], dates=[last])
    model = LastTenMean().fit(features, np.zeros(len(features)))
    expected = baseline_predictions(without_outcomes(games, tonight), columns)[tonight]
    np.testing.assert_array_equal(model.predict(features), expected)


def test_the_group_is_chosen_by_name_only() -> None:
    """Other recipes' `all` and tiers do not bring it along, and it can be added."""
    groups = builtin_groups(("PTS",))
    assert [group.name for group in select_groups(groups, recipe().features, ())] == ["last_ten"]
    assert select_groups(groups, "all", ()) == builtin_groups()
    assert "last_ten" in {group.name for group in select_groups(groups, "core,last_ten", ())}


def test_other_features_are_refused(games: pd.DataFrame) -> None:
    """In one line that names the group to add."""
    with pytest.raises(
        RecipeError, match="last_ten_total and last_ten_games is not there; leave --nbaprops-features out"
    ):
        LastTenMean().fit(games[["PTS"]], games["PTS"])


def test_it_is_stored_without_pickle(games: pd.DataFrame, tmp_path: Path) -> None:
    """And comes back the same, with no type to trust by hand."""
    features = build_features(games, [last_ten_group(("PTS",))]).frame.astype(np.float64)
    model = recipe().estimator.fit(features, games["PTS"])
    check_storable(recipe().estimator)
    save_model(model, tmp_path / "model", example=features.head())
    import mlflow.pyfunc  # noqa: PLC0415 - it warns unless the package has imported it before

    back = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    np.testing.assert_array_equal(back.predict(features), model.predict(features))
