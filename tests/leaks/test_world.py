"""What predictions give away by themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.leaks.world import copied_outcomes


def frame(predicted: object = 0.0, baseline: object = 0.5, target: float = 18.0) -> pd.DataFrame:
    actual = np.random.default_rng(3).poisson(target, 600).astype(float)
    return pd.DataFrame({"actual": actual, "predicted": predicted, "baseline": baseline})


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_copies_are_seen(share: float) -> None:
    """Also where only some of the predictions are the outcome."""
    rows = frame()
    copied = np.random.default_rng(4).random(len(rows)) < share
    found = copied_outcomes(rows.assign(predicted=np.where(copied, rows["actual"], 17.3)))
    assert found is not None
    assert "are the outcome itself" in str(found["detail"])


def test_a_rounded_model_is_none() -> None:
    """Whole numbers are right now and then."""
    assert copied_outcomes(frame(predicted=18.0)) is None


def test_the_most_common_outcome_does_not_count() -> None:
    """Nobody blocks a shot most nights, and a constant 0 is right on most of them."""
    assert copied_outcomes(frame(predicted=0.0, target=0.4)) is None


def test_what_the_baseline_hits_too_is_no_copy() -> None:
    """In a made-up league without any chance the baseline is exact as well."""
    rows = frame()
    assert copied_outcomes(rows.assign(predicted=rows["actual"], baseline=rows["actual"])) is None


def test_few_rows_prove_nothing() -> None:
    """Under a hundred games there is no telling."""
    rows = frame().head(80)
    assert copied_outcomes(rows.assign(predicted=rows["actual"])) is None
