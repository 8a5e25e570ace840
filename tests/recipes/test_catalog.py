from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import StackingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor
from xgboost.callback import EarlyStopping

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.recipes.advanced import PARAMETERS
from pytest_nbaprops.recipes.catalog import Recipe, parse_param, resolve_recipe
from pytest_nbaprops.recipes.parameters import plain_parameters


class Constant(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Predicts one number; says nothing of missing values."""

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def fit(self, X: Any, y: Any) -> Constant:  # noqa: ARG002, N803 - scikit-learn's own naming
        self.rows_ = len(y)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's own naming
        return np.full(len(X), self.value)


class NeedsArgument(Constant):
    def __init__(self, value: float) -> None:
        super().__init__(value)


def resolve(name: str, **keywords: Any) -> Recipe:
    return resolve_recipe(name, **{"seed": 3, "threads": 1, **keywords})


def test_advanced_is_seeded_and_on_its_threads() -> None:
    """The built-in recipe is an XGBoost regressor with the measured setting."""
    parameters = resolve("advanced", threads=2).estimator.get_params()
    assert (parameters["random_state"], parameters["n_jobs"], parameters["tree_method"]) == (3, 2, "hist")
    assert {name: parameters[name] for name in PARAMETERS} == PARAMETERS


def test_parameters_change_the_estimator_and_its_identity() -> None:
    """A parameter counts, the number of threads does not."""
    plain = resolve("advanced").identity()
    assert plain == resolve("advanced", threads=2).identity()
    assert plain != resolve("advanced", params={"max_depth": 2}).identity()
    assert plain != resolve("advanced", seed=4).identity()


@pytest.mark.parametrize("name", ["advanced", "sklearn.linear_model:Ridge", "sklearn.ensemble:RandomForestRegressor"])
def test_identity_is_exact_builtins(name: str) -> None:
    """The identity survives JSON unchanged."""
    identity = resolve(name).identity()
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity
    assert not [key for key in identity["parameters"] if key.endswith("n_jobs")]


def test_estimator_without_nan_gets_an_imputer() -> None:
    """Ridge fits features with holes."""
    recipe = resolve("sklearn.linear_model:Ridge", params={"alpha": 2.0})
    assert isinstance(recipe.estimator, Pipeline)
    assert recipe.import_path == "sklearn.linear_model._ridge:Ridge"
    holes = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [np.nan] * 3})
    recipe.estimator.fit(holes, [1, 2, 3])
    assert np.isfinite(recipe.estimator.predict(holes)).all()


def test_behind_the_imputer_columns_are_found_by_name() -> None:
    """By who picks them so; everybody else gets an array, as behind any imputer."""
    mine = ColumnTransformer([("scaled", StandardScaler(), ["b"])], remainder="passthrough")
    recipe = resolve("mine", registered={"mine": make_pipeline(mine, Ridge())})
    holes = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [2.0, 1.0, np.nan]})
    assert np.isfinite(recipe.estimator.fit(holes, [1, 2, 3]).predict(holes)).all()


def test_pipeline_and_forest_that_take_nan_stay_as_they_are() -> None:
    """No imputer where the estimator says that it takes missing values."""
    recipe = resolve("sklearn.ensemble:HistGradientBoostingRegressor")
    assert not isinstance(recipe.estimator, Pipeline)


def test_registered_estimator_is_cloned() -> None:
    """The hook's own object is never touched."""
    mine = make_pipeline(StandardScaler(), Ridge())
    recipe = resolve("two_stage", registered={"two_stage": mine}, params={"ridge__alpha": 9})
    assert mine.get_params()["ridge__alpha"] == 1.0
    assert mine.get_params()["ridge__random_state"] is None
    (alpha,) = [value for name, value in recipe.estimator.get_params().items() if name.endswith("ridge__alpha")]
    assert alpha == 9


def test_seed_that_was_given_stays() -> None:
    """Only a seed that was left open is filled."""
    recipe = resolve("mine", registered={"mine": Ridge(random_state=77)})
    assert recipe.estimator.get_params()["ridge__random_state"] == 77


PAIRS = {
    "columns that are chosen": lambda text: make_column_transformer((StandardScaler(), make_column_selector(text))),
    "a callback": lambda text: XGBRegressor(callbacks=[EarlyStopping(rounds=len(text))]),
    "what a search draws from": lambda text: RandomizedSearchCV(Ridge(), {"alpha": loguniform(1, 1 + len(text))}),
    "a random state": lambda text: SGDRegressor(random_state=np.random.RandomState(len(text))),
    "what is fitted": lambda text: FrozenEstimator(Ridge().fit([[0.0], [1.0]], [0.0, len(text)])),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_what_parameters_hold_counts(kind: str) -> None:
    """Else one recipe would get the fits of another."""
    one, same, other = (plain_parameters(PAIRS[kind](text)) for text in ("min", "min", "minutes"))
    assert one == same != other


def test_a_stack_that_is_not_fitted_is_a_regressor() -> None:
    """scikit-learn shows its predict() only once its final estimator is known."""
    stack = StackingRegressor([("ridge", Ridge()), ("constant", Constant())])
    assert resolve("mine", registered={"mine": stack}).import_path.endswith(":StackingRegressor")


def test_code_of_project_classes_counts() -> None:
    """Two classes of one's own with the same parameters are two recipes."""
    one = resolve("a", registered={"a": Constant()})
    two = resolve("a", registered={"a": NeedsArgument(1.0)})
    assert one.code_digest != two.code_digest


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("advancd", {}, "--nbaprops-recipe 'advancd' is unknown (did you mean advanced?)"),
        (
            "nope",
            {"registered": {"mine": Ridge()}},
            "use advanced, baseline, enhanced, mine, two_stage, or an import path",
        ),
        ("no_such_module:X", {}, "module 'no_such_module' cannot be imported"),
        ("sklearn.linear_model:Rige", {}, "has no 'Rige' (did you mean Ridge"),
        ("sklearn.linear_model:", {}, "has no ''"),
        (":Ridge", {}, "cannot be imported"),
        ("sklearn.linear_model:LogisticRegression", {}, "LogisticRegression is a classifier; use a regressor"),
        ("mine", {"registered": {"mine": LogisticRegression()}}, "is a classifier"),
        ("mine", {"registered": {"mine": Ridge}}, "is a class, not an instance"),
        ("mine", {"registered": {"mine": object()}}, "has no fit()"),
        ("os:getcwd", {}, "has no fit()"),
        (f"{__name__}:NeedsArgument", {}, "cannot be made without arguments"),
        ("advanced", {"params": {"max_dept": 3}}, "--nbaprops-param max_dept=3: recipe 'advanced' has no parameter"),
        ("advanced", {"params": {"max_depth": "deep"}}, "--nbaprops-param (recipe 'advanced'): Invalid Parameter"),
        ("advanced", {"params": {"n_estimators": 0}}, "n_estimators=0 is no whole number above 0"),
        (
            "advanced",
            {"params": {"objective": "x"}},
            "--nbaprops-param (recipe 'advanced'): Unknown objective function",
        ),
        ("sklearn.linear_model:Ridge", {"params": {"alpha": -1}}, "The 'alpha' parameter of Ridge must be"),
    ],
)
def test_bad_recipes_are_one_line_with_the_way_out(name: str, keywords: dict[str, Any], message: str) -> None:
    """Every wrong recipe or parameter is told in one line that names the option."""
    with pytest.raises(SettingsError) as caught:
        resolve(name, **keywords)
    assert message in str(caught.value)
    assert str(caught.value).startswith("--nbaprops-")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_depth=4", ("max_depth", 4)),
        ("eta = 0.1", ("eta", 0.1)),
        ("rate=1e-3", ("rate", 0.001)),
        ("flag=true", ("flag", True)),
        ("flag=False", ("flag", False)),
        ("left=None", ("left", None)),
        ("objective=reg:absoluteerror", ("objective", "reg:absoluteerror")),
        ("name='a=b'", ("name", "a=b")),
        ("list=[1, 2]", ("list", "[1, 2]")),
        ("ridge__alpha=2", ("ridge__alpha", 2)),
    ],
)
def test_parameters_are_read_as_what_they_look_like(text: str, expected: tuple[str, object]) -> None:
    """Numbers, truth values and None are read, all else is text."""
    found = parse_param(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["max_depth", "=4", "max depth=4", "max_depth=", ""])
def test_parameter_without_name_or_value_is_refused(text: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(SettingsError, match=r"--nbaprops-param .* is no name=value; write for example max_depth=4"):
        parse_param(text)
