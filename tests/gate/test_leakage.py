"""The leak guard finds what groups know too early and names it, and leaves honest ones alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.errors import RowsChangedError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.leaks.leakage import check_groups, check_rows, leak_dates
from tests.gate.planted_memory import PLANTED

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.leaks.leakage import Leak

LEAKS, HONEST = PLANTED


# All of them share what the guard found, which takes a minute: one worker has to do it, not each.
pytestmark = pytest.mark.xdist_group("planted")


@pytest.fixture(scope="session")
def league() -> pd.DataFrame:
    return sample_league(seasons=2, players=40, seed=7)


@pytest.fixture(scope="session")
def cutoffs(league: pd.DataFrame) -> tuple[dt.date, ...]:
    days = league[["GAME_DATE", "SEASON"]].drop_duplicates()
    return leak_dates([day.date() for day in days["GAME_DATE"]], list(days["SEASON"]))


def features_of(games: pd.DataFrame, groups: list[FeatureGroup]) -> dict[FeatureGroup, pd.DataFrame]:
    features = {}
    for group in groups:
        try:
            features[group] = build_features(games.copy(), [group]).frame
        except RowsChangedError:  # nothing else may keep a group from being looked at
            continue
    return features


@pytest.fixture(scope="session")
def findings(league: pd.DataFrame, cutoffs: tuple[dt.date, ...]) -> dict[str, tuple[Leak, ...]]:
    """All groups at once, as a session does it."""
    groups = [*(group for group, _ in LEAKS), *HONEST, *builtin_groups()]
    built = features_of(league, groups)
    unbuilt = {group.name: check_rows(league, group) for group in groups if group not in built}
    return unbuilt | check_groups(league, list(built.items()), cutoffs=cutoffs, seed=3)


@pytest.mark.parametrize(("group", "kind"), [pytest.param(*one, id=one[0].name) for one in LEAKS])
def test_planted_leaks_are_named_by_kind(findings: dict[str, tuple[Leak, ...]], group: FeatureGroup, kind: str) -> None:
    """Each planted leak is caught and named by its kind."""
    assert [leak.kind for leak in findings[group.name]] == [kind]


@pytest.mark.parametrize("group", [*HONEST, *builtin_groups()], ids=lambda group: group.name)
def test_honest_groups_are_not_flagged(findings: dict[str, tuple[Leak, ...]], group: FeatureGroup) -> None:
    """Nothing is said about groups that only use what was known."""
    assert findings[group.name] == ()
