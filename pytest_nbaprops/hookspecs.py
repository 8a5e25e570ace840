"""The extension hooks. They count in initial conftests (rootdir, testpaths, command-line folders) and `-p` plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from pytest_nbaprops.features.group import FeatureGroup


@pytest.hookspec(firstresult=True)
def pytest_nbaprops_load_games(config: pytest.Config) -> pd.DataFrame | None:
    """Return the game logs as a DataFrame, one row per player-game; called on the controller only.

    It replaces `--nbaprops-data`, unless that option is given on the command line.
    """


@pytest.hookspec
def pytest_nbaprops_feature_groups(config: pytest.Config) -> Iterable[FeatureGroup]:  # type: ignore[empty-body]
    """Return feature groups; they are added to every recipe's own."""


@pytest.hookspec
def pytest_nbaprops_recipes(config: pytest.Config) -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return `{name: unfitted scikit-learn regressor}`; the names can be used wherever a recipe is named."""


@pytest.hookspec
def pytest_nbaprops_metrics(predictions: pd.DataFrame) -> Mapping[str, float]:  # type: ignore[empty-body]
    """Return `{name: float}` for one candidate's predictions.

    `predictions` has GAME_DATE, GAME_ID, PLAYER_ID, actual, predicted and baseline, one row per player-game.
    """


@pytest.hookspec
def pytest_nbaprops_decision(config: pytest.Config, decision: Mapping[str, Any]) -> None:
    """Called when the verdict is known, with the content of decision.json."""
