from __future__ import annotations

import math

import pytest

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.registry.evaluation import evaluate, expressions

METRICS = {"mae": 5.9, "r2": 0.6, "bias": 0.1, "rmse": math.nan, "roi": 1.797e308}


@pytest.mark.parametrize(
    ("expression", "passed"),
    [
        ("mae <= 5.9", True),
        ("mae < 5.9", False),
        ("r2 >= 0.55", True),
        ("rmse <= 100", False),
        ("roi >= 0", False),
        ("maee <= 6", False),
        ("mae < baseline", False),
        ("mae <= champion + 1", False),
        ("mae.high <= 100", False),
        ("mae[minutes >= 24] <= 100", False),
    ],
)
def test_only_what_is_known_and_holds_passes(expression: str, passed: bool) -> None:  # noqa: FBT001
    """NaN, a stored infinity, an unknown metric and whatever needs predictions never pass."""
    (result,) = evaluate(METRICS, [expression])
    assert result["passed"] is passed
    assert result["reason"]


def test_thresholds_by_metric_know_their_direction() -> None:
    """Errors are bounded from above, the others from below, and text says which."""
    assert expressions({"mae": 6.2, "r2": 0.55, "bias": "<= 0.5"}) == ["mae <= 6.2", "r2 >= 0.55", "bias <= 0.5"]


def test_a_metric_of_unknown_direction_is_refused() -> None:
    """Where nobody knows whether more is better, a bare number is an error."""
    with pytest.raises(SettingsError, match="more or less of coverage is better"):
        expressions({"coverage": 0.8})


def test_one_expression_may_stand_alone() -> None:
    """A text is one criterion, not one for each letter."""
    assert expressions("mae <= 6.2") == ["mae <= 6.2"]
