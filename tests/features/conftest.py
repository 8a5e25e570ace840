from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import sample_league

GAME_LOGS = Path(__file__).parents[3] / "shared" / "data" / "game_logs"


@pytest.fixture(scope="session")
def league() -> pd.DataFrame:
    """Two simulated seasons of a small league."""
    return sample_league(seasons=2, players=60)


@pytest.fixture(scope="session")
def real_games() -> pd.DataFrame:
    if not GAME_LOGS.is_dir():
        pytest.skip("the real game logs are not here")
    return load_games(GAME_LOGS)
