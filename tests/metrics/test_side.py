"""Metrics of what is predicted beside the target are those of all rows together."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from pytest_nbaprops.metrics.side import side_metrics, side_sums


def test_they_are_pooled_over_the_folds() -> None:
    """MAE and R2 are scikit-learn's over all rows, not means of folds of different sizes."""
    rng = np.random.default_rng(2)
    folds = [(actual, actual + rng.normal(size=len(actual))) for actual in (rng.normal(size=9), rng.normal(5, 3, 40))]
    found = side_metrics([{"minutes": side_sums(*fold)} for fold in folds])
    actual, predicted = (np.concatenate(part) for part in zip(*folds, strict=True))
    assert found["mae_minutes"] == pytest.approx(mean_absolute_error(actual, predicted))
    assert found["r2_minutes"] == pytest.approx(r2_score(actual, predicted))


def test_sums_survive_json() -> None:
    """The fold store keeps them as text."""
    sums = side_sums([1.0, 2.5], np.array([1.1, 2.0], dtype=np.float32))
    assert json.loads(json.dumps(sums)) == sums


def test_nothing_beside_the_target_is_no_metric() -> None:
    """Most recipes predict nothing else."""
    assert side_metrics([{}, {}]) == {}
    assert side_metrics([]) == {}


def test_a_fold_without_them_leaves_them_unknown() -> None:
    """A criterion on them cannot pass on part of the folds."""
    found = side_metrics([{"minutes": side_sums([1.0], [2.0])}, {}])
    assert math.isnan(found["mae_minutes"])
