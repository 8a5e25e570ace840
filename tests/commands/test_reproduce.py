"""What `nbaprops reproduce` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.commands.output import show
from pytest_nbaprops.commands.reproduce import report_of, reproduce, verdict
from pytest_nbaprops.runs.recorded import Check, Recorded
from pytest_nbaprops.runs.reproduce import CLOSE, DIFFERENT, IDENTICAL, FoldComparison, Reproduction

CHECKS = (
    Check(what="data", recorded="a", now="a", outcome="same", cause=""),
    Check(what="library: xgboost", recorded="3.0", now="3.1", outcome="differs", cause="library version of xgboost"),
)


def _result(*folds: FoldComparison, checks: tuple[Check, ...] = CHECKS, stored: int = 0) -> Reproduction:
    document: dict[str, Any] = {"candidate": {"folds_from_store": stored}}
    run = Recorded(run_id="abc", run_name="run_v1", document=document, predictions=pd.DataFrame())
    return Reproduction(run=run, checks=checks, folds=folds)


def _fold(day: int, outcome: str, difference: float | None = 0.0) -> FoldComparison:
    return FoldComparison(date=f"2024-01-0{day}", rows=100, outcome=outcome, difference=difference)


def test_identical_counts_folds_and_predictions() -> None:
    """What differs of the surroundings does not matter then."""
    assert verdict(_result(_fold(1, IDENTICAL), _fold(2, IDENTICAL))) == "run_v1: identical (2 folds, 200 predictions)"


def test_equal_says_by_how_much() -> None:
    """The largest difference of all folds."""
    said = verdict(_result(_fold(1, IDENTICAL), _fold(2, CLOSE, 3e-8)))
    assert said == "run_v1: equal within 1e-6 (2 folds, 200 predictions, largest difference 3e-08)"


def test_different_names_the_first_fold_and_the_cause() -> None:
    """A fold that is equal within the tolerance is not the first that differs."""
    said = verdict(_result(_fold(1, CLOSE, 1e-9), _fold(2, DIFFERENT, 0.5), _fold(3, DIFFERENT, 0.1)))
    assert said == ("run_v1: different from fold 2024-01-02 on, 2 of 3 folds; likely cause: library version of xgboost")


def test_different_without_a_difference_says_unknown() -> None:
    """And that folds came from the store, if they did."""
    said = verdict(_result(_fold(1, DIFFERENT, None), checks=CHECKS[:1], stored=3))
    assert "(no predictions of the same player-games)" in said
    assert "unknown: everything that was recorded is the same; 3 of its folds came from the fold store" in said


@pytest.mark.parametrize("style", ["table", "csv", "md"])
def test_every_format_says_what_differs(capsys: pytest.CaptureFixture[str], style: str) -> None:
    """A row for each thing, with what it was and is."""
    show(report_of(_result(_fold(1, DIFFERENT, 0.5))), style)
    assert "library: xgboost" in capsys.readouterr().out


def test_json_has_every_fold(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those that are identical; a difference without bounds is null."""
    show(report_of(_result(_fold(1, IDENTICAL), _fold(2, DIFFERENT, float("inf")))), "json")
    document = json.loads(capsys.readouterr().out)
    assert (document["outcome"], document["first_different"]) == ("different", "2024-01-02")
    assert [fold["difference"] for fold in document["folds"]] == [0.0, None]


def test_without_a_run_it_is_a_usage_error(tmp_path: Path) -> None:
    """Exit code 2, as for a rootdir that is not there."""
    assert CliRunner().invoke(reproduce, []).exit_code == 2
    assert CliRunner().invoke(reproduce, ["abc", "--root", str(tmp_path / "nowhere")]).exit_code == 2
