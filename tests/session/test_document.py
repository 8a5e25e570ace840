"""decision.json tells what changed in words that a reader of the report knows."""

from __future__ import annotations

from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, Ridge
from sklearn.pipeline import make_pipeline

from pytest_nbaprops.recipes.parameters import plain_parameters
from pytest_nbaprops.session.document import parameter_changes


def test_another_step_of_a_pipeline_is_named_once() -> None:
    """By its class; the list of all steps, which changes with each of them, is not shown beside them."""
    before = plain_parameters(make_pipeline(SimpleImputer(), Ridge(alpha=2.0)))
    after = plain_parameters(make_pipeline(SimpleImputer(), Ridge(alpha=3.0)))
    assert parameter_changes(before, after) == {"ridge__alpha": [2.0, 3.0]}
    changed = parameter_changes(before, plain_parameters(make_pipeline(SimpleImputer(), Lasso())))
    assert "steps" not in changed
    was, now = changed["ridge"][0], changed["lasso"][1]
    assert (was.partition(" ")[0], now.partition(" ")[0]) == ("Ridge", "Lasso")
