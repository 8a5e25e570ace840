"""Which of a run's files holds its predictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nbaprops.importing.predictions import old_predictions
from pytest_nbaprops.importing.source import Findings


@pytest.mark.parametrize(
    ("mae", "taken"), [(None, 5.0), (5.02, 5.0), (2.0, 2.0), (9.0, 5.0)], ids=["unknown", "first", "second", "neither"]
)
def test_the_file_that_has_the_runs_mae_is_taken(tmp_path: Path, mae: float | None, taken: float) -> None:
    """A check of the worst case has predictions, too; where nothing tells them apart the likeliest name does."""
    for name, error in (("preds.csv", 5.0), ("walkforward_predictions.csv", 2.0)):
        rows = "".join(f"2024-01-0{day},00223000{day},7,20,{20 + error}\n" for day in (1, 2, 3))
        (tmp_path / name).write_text(f"GAME_DATE,GAME_ID,PLAYER_ID,actual,predicted\n{rows}")
    findings = Findings()
    found = old_predictions(tmp_path, sorted(tmp_path.iterdir()), "old", "run", None, findings, mae)
    assert found is not None
    assert (found["predicted"] - found["actual"]).abs().mean() == taken
    assert [one.what for one in findings.found] == ["further per-row predictions"]
