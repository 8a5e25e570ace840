"""A promotion or rollback that is killed, after whichever call to the registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_nbaprops.errors import ChampionMovedError
from pytest_nbaprops.registry.events import INTENDED, events_of
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.search import versions
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker
from tests.conftest import LogModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xgboost import XGBRegressor

    from pytest_nbaprops.tracking.connection import Store


@dataclass(frozen=True, kw_only=True)
class Killed:
    """Stores in which v2 was the champion, c3 was to replace it or v1 to come back, and the process was killed."""

    model_uri: str
    databases: dict[str, list[str]]

    def stores(self, verb: str, folder: Path) -> Iterator[Store]:
        """A store for each call after which it was killed, copied for one test."""
        for name in self.databases[verb]:
            yield connect(f"sqlite:///{shutil.copyfile(name, folder / Path(name).name)}")


@pytest.fixture(scope="module")
def killed(
    migrated: Path, booster: XGBRegressor, predictions: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    source = shutil.copyfile(migrated, folder / "source.db")
    store = connect(f"sqlite:///{source}")
    registry = ModelRegistry(store=store)
    log = LogModel(StandardNBAPropsTracker("League", store=store), booster, predictions)
    logged = [log(content) for content in ("c1", "c2", "c3")]
    for uri in logged[:2]:
        registry.promote_model("League", registry.register_model(uri, "League"), "staging", reason="good")
    command = [sys.executable, "-W", "ignore", "-m", "tests.registry.crashes", str(source), str(folder), logged[2]]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return Killed(model_uri=logged[2], databases=json.loads(done.stdout))


def assert_complete(registry: ModelRegistry, holders: set[str]) -> str:
    """The alias is on a version that can be served, and its story is told."""
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    assert champion.version in holders
    assert champion.content == f"c{champion.version}"
    assert any(key.startswith(tags.EVENT_PREFIX) for key in champion.tags)
    (current,) = [tenure for tenure in registry.history("League", "staging") if tenure.current]
    assert current.version == champion.version
    assert current.kind in {"promote", "rollback"}
    return champion.version


def assert_clean(store: Store, holder: str) -> None:
    """No version says that it is about to be promoted, and no event is left half told."""
    with store.calling("look") as client:
        known = versions(client, "League")
    assert {version.version for version in known} <= {1, 2, 3}
    for version in known:
        assert tags.INTENT not in version.tags
        if str(version.version) == holder:
            assert all(event.state != INTENDED for event in events_of(version))


def test_a_killed_promotion_leaves_the_old_alias_or_the_new_one_and_the_next_finishes_it(
    killed: Killed, tmp_path: Path
) -> None:
    """After each call: a complete champion; the same promotion again ends with the new one and nothing left over."""
    seen = []
    for store in killed.stores("promote", tmp_path):
        registry = ModelRegistry(store=store)
        seen.append(assert_complete(registry, {"2", "3"}))
        version = registry.register_model(killed.model_uri, "League", alias="staging")
        registry.promote_model("League", version, "staging", reason="because", expected_version="2")
        assert_complete(registry, {"3"})
        assert_clean(store, "3")
        assert [tenure.version for tenure in registry.history("League", "staging")] == ["3", "2", "1"]
    assert len(seen) > 10
    assert seen == sorted(seen)
    assert set(seen) == {"2", "3"}


def test_a_killed_rollback_leaves_one_of_the_two_and_is_never_done_twice(killed: Killed, tmp_path: Path) -> None:
    """After each call nothing is done yet, or it is, and settling moves the alias to where it was to go or not."""
    seen = set()
    for store in killed.stores("rollback", tmp_path):
        registry = ModelRegistry(store=store)
        before = assert_complete(registry, {"1", "2"})
        registry.recover("League")
        after = assert_complete(registry, {"1", before})
        registry.recover("League")
        assert assert_complete(registry, {after}) == after
        seen.add((before, after))
    assert seen == {("2", "2"), ("2", "1"), ("1", "1")}


def test_another_candidate_after_a_kill_sees_that_the_champion_moved(killed: Killed, tmp_path: Path) -> None:
    """Where v3 was entered, but v2 still has the alias, a promotion that was compared with v2 is refused."""
    moved = 0
    for store in killed.stores("promote", tmp_path):
        registry = ModelRegistry(store=store)
        entered = registry.aliases("League")["staging"] == "2"
        try:
            registry.promote_model("League", "1", "staging", expected_version="2")
        except ChampionMovedError:
            moved += entered
            assert_complete(registry, {"3"})
        else:
            assert_complete(registry, {"1"})
    assert moved >= 1


def test_who_stalled_never_undoes_a_later_promotion(killed: Killed, tmp_path: Path) -> None:
    """Overtaken just before it sets the alias, killed after any later call: v1, promoted meanwhile, is the champion.

    At the latest after recovery. v3, which it had entered, counts: the other session set it before v1.
    """
    seen = set()
    for store in killed.stores("overtaken", tmp_path):
        registry = ModelRegistry(store=store)
        seen.add(registry.aliases("League")["staging"])
        registry.recover("League")
        assert_complete(registry, {"1"})
        assert_clean(store, "1")
        assert [tenure.version for tenure in registry.history("League", "staging")] == ["1", "3", "2", "1"]
    assert seen == {"1", "3"}
