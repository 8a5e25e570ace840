"""The main job on real game logs, where they are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import Train

LOGS = Path(__file__).parents[3] / "shared" / "data" / "game_logs"

pytestmark = pytest.mark.skipif(not LOGS.is_dir(), reason="the real game logs are not here")


def test_the_advanced_recipe_beats_the_baseline_on_real_games(train: Train) -> None:
    """The last weeks of 2023-24: every player-game is predicted, better than by the last-10 mean, and honestly so."""
    session = train(
        f"--nbaprops-data={LOGS / '202[23]-*.csv'}",
        "--nbaprops-recipe=advanced",
        "--nbaprops-features=all",
        "--nbaprops-test=2024-03-20..2024-04-14",
        "--nbaprops-train-window=1 season",
        "--nbaprops-refit=30",
        "--nbaprops-criterion=mae < baseline",
    )
    assert session.code in (0, 1), session.output  # a month may be too short for significance
    table = session.predictions
    games = pd.read_csv(LOGS / "2023-24.csv", usecols=["GAME_DATE", "PLAYER_ID"])
    assert len(table) == games["GAME_DATE"].between("2024-03-20", "2024-04-14").sum()
    mae = (table["predicted"] - table["actual"]).abs().mean()
    baseline = (table["baseline"] - table["actual"]).abs().mean()
    # A whole season shows 5.5% between them; a tenth of that would mean that something broke, twice it a leak.
    assert 0.89 * baseline < mae < 0.995 * baseline
