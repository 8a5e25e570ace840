"""What a session finds that others have left of their promotions; test_crashes.py kills real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.registry import journal, moves, recovery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from pytest_nbaprops.registry.registry import ModelRegistry
    from pytest_nbaprops.tracking.connection import Store


@pytest.fixture
def league(registry: ModelRegistry, store: Store) -> ModelRegistry:
    """v1 and then v2 were promoted, v3 is there."""
    with store.calling("prepare") as client:
        client.create_registered_model("League")
        for _ in range(3):
            client.create_model_version("League", "file:///nowhere")
    registry.promote_model("League", 1, "production")
    registry.promote_model("League", 2, "production")
    return registry


def entries(store: Store) -> list[journal.Entry]:
    with store.calling("look") as client:
        return journal.counting_entries(client, "League")


def move_by_hand(store: Store, version: str) -> None:
    with store.calling("move") as client:
        client.set_registered_model_alias("League", "production", version)


def stalled(store: Store, entry: journal.Entry, *, since: timedelta = timedelta()) -> None:
    """A session said so long ago that it is about to set the alias, and nothing more."""
    with store.calling("stall") as client:
        key = journal.announce(client, "League", entry)
        at = (datetime.now(UTC) - since).isoformat()
        client.set_model_version_tag(journal.journal_name("League"), str(entry.number), key, at)


def test_nothing_is_left_of_a_promotion_that_went_well(league: ModelRegistry, store: Store) -> None:
    """Every entry is applied, and nobody is said to be about to set the alias."""
    assert league.aliases("League") == {"production": "2"}
    assert [(entry.is_applied, entry.setters) for entry in entries(store)] == [(True, {}), (True, {})]


def test_a_hand_that_moves_the_alias_back_is_respected(league: ModelRegistry, store: Store) -> None:
    """A version that was promoted earlier may come back without this tool."""
    move_by_hand(store, "1")
    league.recover("League")
    assert league.aliases("League") == {"production": "1"}


def test_a_change_that_came_too_late_is_taken_back_once(league: ModelRegistry, store: Store) -> None:
    """The session that stalled changes the alias once; the same change afterwards is a hand's."""
    stalled(store, entries(store)[0])
    move_by_hand(store, "1")
    league.recover("League")
    assert league.aliases("League") == {"production": "2"}
    move_by_hand(store, "1")
    league.recover("League")
    assert league.aliases("League") == {"production": "1"}


def test_a_late_change_is_found_behind_those_of_other_aliases(league: ModelRegistry, store: Store) -> None:
    """Each alias has a last entry of its own."""
    league.promote_model("League", 3, "staging")
    stalled(store, entries(store)[0])
    move_by_hand(store, "1")
    league.recover("League")
    assert league.aliases("League") == {"production": "2", "staging": "3"}


def test_a_version_that_no_entry_explains_stays(league: ModelRegistry, store: Store) -> None:
    """Whoever stalled wanted v1: v3 was set by hand."""
    stalled(store, entries(store)[0])
    move_by_hand(store, "3")
    league.recover("League")
    assert league.aliases("League") == {"production": "3"}


def test_who_stalled_for_hours_does_not_come_back(league: ModelRegistry, store: Store) -> None:
    """What a killed session left is swept while the alias is where it should be."""
    stalled(store, entries(store)[0], since=timedelta(hours=2))
    stalled(store, entries(store)[1])
    league.recover("League")
    assert [len(entry.setters) for entry in entries(store)] == [0, 1]


def test_who_was_overtaken_before_it_set_the_alias_does_not_set_it(
    league: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later promotion finished the earlier one first: nothing is left to do."""
    calls: list[str] = []

    def stall(client: MlflowClient, name: str, entry: journal.Entry) -> None:
        monkeypatch.setattr(moves, "apply", recovery.apply)
        league.promote_model("League", 1, "production", reason="meanwhile")
        monkeypatch.setattr(recovery, "set_alias", lambda *_: calls.append("set"))
        recovery.apply(client, name, entry)

    monkeypatch.setattr(moves, "apply", stall)
    league.promote_model("League", 3, "production")
    assert calls == []
    assert league.aliases("League") == {"production": "1"}
    told: list[Mapping[str, object]] = [tenure.to_dict() for tenure in league.history("League")]
    assert [row["version"] for row in told] == ["1", "3", "2", "1"]
