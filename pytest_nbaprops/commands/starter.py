"""What `nbaprops init` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

KEYS: Final = {
    "nbaprops_model_name": ("NBAPropsModel",),
    "nbaprops_criterion": ("mae < baseline", "mae <= champion + 0.02"),
}
"""Ini keys and their lines."""

HINT: Final = """\
# Game logs in the stats.nba.com LeagueGameLog schema: a CSV or Parquet file, a folder or a glob.
# Without this line the simulated sample league is used.
# nbaprops_data = data/game_logs
"""

IGNORED: Final = (".nbaprops/", "nbaprops-report/", "mlflow.db", "mlruns/", "mlartifacts/", "/champion/")
"""What sessions leave behind: committed, it would make every later commit count as dirty."""

CONFTEST: Final = '''\
"""Feature groups of this project, added to every recipe's own."""

import pytest

from pytest_nbaprops import feature_group


@feature_group(tier="temporal", known_at="morning", version="1")
def hot_hand(games):
    """Points in the last three games against the player's mean so far; only earlier games are used."""
    past = games.groupby("PLAYER_ID")["PTS"].shift(1)
    recent = past.groupby(games["PLAYER_ID"]).rolling(3).mean().droplevel(0)
    usual = past.groupby(games["PLAYER_ID"]).expanding().mean().droplevel(0)
    return (recent - usual).reindex(games.index).to_frame("hot_hand")


@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_feature_groups(config):
    return [hot_hand]
'''

TEST: Final = '''\
"""The walk-forward validation of this project's model: every game date is one test."""

import pytest


@pytest.mark.walk_forward(recipe="advanced", refit=7)
def test_props(fold):
    result = fold.evaluate()
    assert result.mae < 12, result.worst(5)
'''

WORKFLOWS: Final[Mapping[str, str]] = {
    ".github/workflows/promotion-gate.yml": "promotion-gate.yml",
    ".github/actions/promotion-gate/action.yml": "action.yml",
}
TEMPLATES: Final = Path(__file__).parent / "templates" / "starter"


def starter_files(folder: str) -> dict[str, str]:
    """Content of each file by its path; `folder` is where the project's tests are."""
    return {
        f"{folder}/conftest.py": CONFTEST,
        f"{folder}/test_props.py": TEST,
        **{path: (TEMPLATES / name).read_text(encoding="utf-8") for path, name in WORKFLOWS.items()},
    }
