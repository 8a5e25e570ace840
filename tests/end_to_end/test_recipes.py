"""Built-in recipes and import paths in real sessions: judged, registered, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.conftest import Train

MODEL = "NBAPropsModel"


def predicted_by_staging(folder: Path, values: dict[str, float]) -> Any:
    """What the promoted version says to one row of ones, some of them replaced."""
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    try:
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}@staging")
        names = model.metadata.get_input_schema().input_names()
        return model.predict(pd.DataFrame(1.0, index=[0], columns=names).assign(**values))
    finally:
        mlflow.set_tracking_uri(None)


def params_of(folder: Path, run_id: str) -> dict[str, str]:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    params: dict[str, str] = mlflow.MlflowClient(uri, uri).get_run(run_id).data.params
    return params


def test_two_stage_is_promoted_and_loads(train: Train, project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """With parameters for both stages, which are logged."""
    params = [f"--nbaprops-param={text}" for text in ("n_estimators=8", "minutes__n_estimators=6", "max_depth=3")]
    session = train("--nbaprops-promote=enforce", "--nbaprops-recipe=two_stage", *params, *workers)
    assert session.code == 0, session.output
    assert np.isfinite(predicted_by_staging(project.path, {})).all()
    logged = params_of(project.path, session.candidate["run_id"])
    assert (logged["model.max_depth"], logged["model.minutes__n_estimators"]) == ("3", "6")


def test_the_baseline_can_be_promoted(train: Train, project: pytest.Pytester) -> None:
    """It is as good as the baseline to the last bit, and the stored model divides."""
    session = train("--nbaprops-promote=enforce", "--nbaprops-recipe=baseline", "--nbaprops-features=last_ten")
    assert session.code == 0, session.output
    frame = session.predictions
    np.testing.assert_array_equal(frame["predicted"], frame["baseline"])
    found = predicted_by_staging(project.path, {"last_ten_total": 45.0, "last_ten_games": 4.0})
    np.testing.assert_array_equal(found, [11.25])


def test_a_scikit_learn_regressor_by_import_path_is_promoted(train: Train, project: pytest.Pytester) -> None:
    """With its parameters logged."""
    session = train(
        "--nbaprops-promote=enforce", "--nbaprops-recipe=sklearn.linear_model:Ridge", "--nbaprops-param=alpha=2.5"
    )
    assert session.code == 0, session.output
    assert np.isfinite(predicted_by_staging(project.path, {})).all()
    logged = params_of(project.path, session.candidate["run_id"])
    assert [value for name, value in logged.items() if name.endswith("alpha")] == ["2.5"]


def test_a_mark_on_a_parameter_names_its_recipe(train: Train, project: pytest.Pytester) -> None:
    """Each parameter is a candidate; several recipes on one have a way out, before any fold is run."""
    module = (
        "import pytest\nmark = pytest.mark.walk_forward\n"
        "@pytest.mark.parametrize('name', [pytest.param('mean', marks=mark(recipe='sklearn.dummy:DummyRegressor')),\n"
        "    pytest.param('line', marks=mark(recipe=RECIPE))])\n"
        "def test_each(fold, name):\n    fold.evaluate()\n"
    )
    line = "sklearn.linear_model:LinearRegression"
    project.makepyfile(module.replace("RECIPE", repr(line)))
    session = train("--nbaprops-test=last 2 dates")
    mean, better = session.decision["candidates"]
    assert (mean["name"], better["name"]) == ("test_each[mean]", "test_each[line]")
    assert better["metrics"]["mae"] < mean["metrics"]["mae"]
    assert session.code == 0, session.output
    project.makepyfile(module.replace("RECIPE", repr([line, "baseline"])))
    session = train("--nbaprops-test=last 2 dates")
    assert session.code == pytest.ExitCode.USAGE_ERROR
    assert "a walk_forward mark on a parameter can name one recipe" in session.errors


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--nbaprops-recipe=two_stag",), "'two_stag' is unknown (did you mean two_stage?)"),
        (
            ("--nbaprops-recipe=two_stage", "--nbaprops-param=minutes__max_dept=3"),
            "recipe 'two_stage' has no parameter 'minutes__max_dept'",
        ),
    ],
)
def test_a_wrong_recipe_or_parameter_is_one_line(train: Train, args: tuple[str, ...], message: str) -> None:
    """Exit code 4, before any fold."""
    session = train(*args)
    assert session.code == 4
    assert message in session.errors + session.output


def test_the_command_line_names_the_recipe_before_the_marker(
    train: Train, project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """The marker's recipe is replaced with its parameters; a test of an own estimator stays what it is."""
    project.makepyfile(
        "import pytest\n\n@pytest.mark.walk_forward(recipe='quick', params={'n_estimators': 3})\n"
        "def test_it(fold):\n    fold.evaluate()\n\ndef test_own(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n"
    )
    session = train("--nbaprops-recipe=sklearn.linear_model:Ridge", *workers)
    assert [c["name"] for c in session.decision["candidates"]] == ["test_it[sklearn.linear_model:Ridge]", "test_own"]
    assert (
        params_of(project.path, session.decision["candidates"][0]["run_id"])["recipe"] == "sklearn.linear_model:Ridge"
    )
