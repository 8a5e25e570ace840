"""Estimators of all kinds, handled alike."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from pytest_nbaprops.walkforward.estimators import last_step


class Descent(Ridge):  # type: ignore[misc] # scikit-learn has no types
    """Takes that many steps."""

    def __init__(self, steps: int = 100) -> None:
        super().__init__()
        self.steps = steps


@pytest.mark.parametrize("alone", [Ridge(), Descent()])
def test_who_predicts_is_the_last_step_of_a_pipeline(alone: Any) -> None:
    """Or the estimator itself, whatever it calls its parameters."""
    assert last_step(alone) == ("", alone)
    assert last_step(make_pipeline(SimpleImputer(), alone)) == (type(alone).__name__.lower(), alone)
