"""A session's store and two promoters at once on PostgreSQL and MariaDB, where these are installed."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from xgboost import XGBRegressor

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.verify import verify
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker
from tests.conftest import LogModel
from tests.registry.database_servers import DRIVERS, KINDS, database_server, missing
from tests.registry.test_races import RACES, raced

pytestmark = pytest.mark.skipif(
    "NBAPROPS_DATABASES" not in os.environ, reason="migrating takes a minute: set NBAPROPS_DATABASES"
)


@pytest.fixture(params=KINDS)
def uri(request: pytest.FixtureRequest) -> Iterator[str]:
    kind: str = request.param
    if programs := missing(kind):
        pytest.skip(f"not installed: {', '.join(programs)}")
    if importlib.util.find_spec(DRIVERS[kind]) is None:
        pytest.skip(f"not installed: {DRIVERS[kind]}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with database_server(kind, folder / kind) as uri:
            yield uri


def test_two_promoters_at_once(uri: str, booster: XGBRegressor, predictions: pd.DataFrame) -> None:
    """Of two promotions against one champion exactly one goes through; journal, versions and runs agree."""
    store = connect(uri, timeout=120)
    registry = ModelRegistry(store=store)
    log = LogModel(StandardNBAPropsTracker("League", store=store), booster, predictions)
    for content in ("c1", "c2", "c3"):
        registry.register_model(log(content), "League")
    registry.promote_model("League", 1, "production")
    races = raced(uri)
    assert {tuple(sorted(race.won for race in races[number])) for number in range(RACES)} == {(False, True)}
    winners = [race.wanted for number in range(RACES) for race in races[number] if race.won]
    assert [race.champion for number in range(1, RACES) for race in races[number] if race.won] == winners[:-1]
    assert registry.aliases("League") == {"production": winners[-1]}
    assert [finding for finding in verify(store, "League") if not finding.agrees] == []
