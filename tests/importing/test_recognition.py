"""What names, tags and params of old scripts tell."""

from __future__ import annotations

import pytest

from pytest_nbaprops.importing.recognition import recognise, standard_metrics
from pytest_nbaprops.importing.source import Point, SourceRun

START = 1_672_700_000_000


def told(
    name: str, experiment: str = "Old", *, tags: dict[str, str] | None = None, **params: str
) -> tuple[str | None, ...]:
    run = SourceRun(
        run_id="r", experiment="1", name=name, status="FINISHED", start_time=START, end_time=START, params=params,
        tags=tags or {},
    )  # fmt: skip
    found = recognise(run, experiment)
    return found.name, found.phase, found.model_type, found.validation_type


@pytest.mark.parametrize(
    ("name", "experiment", "params", "expected"),
    [
        ("20240105_p2_opponent_walkforward_v4", "Old", {},
         ("2024-01-05_p2_opponent_walkforward_v{n}", "p2", None, "walk_forward")),
        ("two_stage_walk_forward", "NBA_Props_Model/Phase1_Features", {},
         ("2023-01-02_p1_two_stage_walkforward_v{n}", "p1", "two_stage", "walk_forward")),
        ("xgb run", "Phase 3", {"feature_set": "Temporal+CTG"},
         ("2023-01-02_p3_temporal_ctg_v{n}", "p3", "xgboost", None)),
        ("bemused-crab-42", "phase2", {"model": "LGBMRegressor", "cv": "5-fold"},
         ("bemused-crab-42", "p2", "lightgbm", "cross_validation")),
        ("final model", "Old", {"model_type": "Ridge"}, ("final model", None, "ridge", None)),
        ("performance", "Old", {}, ("performance", None, None, None)),
        ("2024-01-05_p1_advanced_walkforward_v2", "Old", {},
         ("2024-01-05_p1_advanced_walkforward_v2", "p1", None, "walk_forward")),
    ],
)  # fmt: skip
def test_runs_are_recognised(
    name: str, experiment: str, params: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    """What cannot be told stays as it was."""
    assert told(name, experiment, tags=None, **params) == expected


def test_one_name_for_one_metric() -> None:
    """A single number before a series, the whole validation before a part, never the training rows."""
    metrics = {
        "train_mae": [Point(1, 1.0, 0)],
        "val_mae": [Point(1, 6.0, 0)],
        "test_mae": [Point(1, 6.5, 0)],
        "RMSE": [Point(1, 8.0, 0), Point(2, 7.0, 1)],
        "Test R²": [Point(1, 0.5, 0)],
        "bias": [Point(1, 0.1, 0)],
        "accuracy_within_5": [Point(1, 0.4, 0)],
    }
    found = {one.name: (one.original, one.point.value, one.last_of) for one in standard_metrics(metrics)}
    assert found == {"mae": ("test_mae", 6.5, 1), "rmse": ("RMSE", 7.0, 2), "r2": ("Test R²", 0.5, 1)}


def test_a_number_that_is_none_gets_no_standard_name() -> None:
    """NaN stays where it was."""
    assert standard_metrics({"MAE": [Point(1, float("nan"), 0)]}) == []
