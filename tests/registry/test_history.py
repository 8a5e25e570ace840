"""Who had an alias when, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import ChampionMovedError, TrackingError
from pytest_nbaprops.registry.events import Event, new_event, succession, taken_back
from pytest_nbaprops.registry.journal import journal_name
from pytest_nbaprops.tracking import tags

if TYPE_CHECKING:
    from pytest_nbaprops.registry.registry import ModelRegistry
    from pytest_nbaprops.tracking.connection import Store
    from tests.conftest import LogModel


@pytest.fixture
def promoted(registry: ModelRegistry, log_model: LogModel) -> ModelRegistry:
    """v1, v2 and v3 were in production one after the other."""
    for content in ("c1", "c2", "c3"):
        version = registry.register_model(log_model(content), "League")
        registry.promote_model("League", version, "production", reason=f"for {content}")
    return registry


def holder(registry: ModelRegistry) -> str | None:
    return registry.aliases("League").get("production")


def story(registry: ModelRegistry) -> list[tuple[str, str]]:
    return [(tenure.version, tenure.kind) for tenure in registry.history("League", "production")]


def test_the_history_says_who_when_and_why(promoted: ModelRegistry) -> None:
    """Newest first; each ends when the next begins; verdict, metrics and commit are those of the version's run."""
    third, second, first = promoted.history("League", "Production")
    assert [tenure.version for tenure in (first, second, third)] == ["1", "2", "3"]
    assert (third.current, third.until) == (True, None)
    assert (second.until, first.until) == (third.since, second.since)
    assert (second.verdict, second.commit, second.reason) == ("PROMOTE", "commit-of-c2", "for c2")
    assert second.metrics == {"mae": 5.9}
    json.dumps(second.to_dict(), allow_nan=False)


def test_the_history_needs_neither_the_runs_nor_the_journal(promoted: ModelRegistry, store: Store) -> None:
    """With all runs and the journal gone, the versions' tags still tell the same."""
    before = promoted.history("League")
    with store.calling("lose") as client:
        for run in client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]):
            client.delete_run(run.info.run_id)
        client.delete_registered_model(journal_name("League"))
    assert promoted.history("League") == before
    promoted.rollback_model("League", "production", "still works")
    assert holder(promoted) == "2"


def test_all_aliases_are_told_unless_one_is_asked_for(promoted: ModelRegistry) -> None:
    """Without an alias the history is that of all of them; of an unknown model there is none."""
    promoted.promote_model("League", 1, "staging")
    assert {tenure.alias for tenure in promoted.history("League")} == {"production", "staging"}
    assert [tenure.version for tenure in promoted.history("League", "staging")] == ["1"]
    assert promoted.history("Nobody") == []


def test_a_rollback_goes_one_back_and_twice_two(promoted: ModelRegistry) -> None:
    """v3 to v2 to v1, never forth again, and there is nothing before the first."""
    done = promoted.rollback_model("League", "Production", "worse")
    assert (done.version, done.previous_version, done.changed) == ("2", "3", True)
    assert promoted.rollback_model("League", "production", "worse still").version == "1"
    with pytest.raises(TrackingError, match="there is nothing before v1; versions: v1, v2, v3; promote another"):
        promoted.rollback_model("League", "production", "more")
    assert story(promoted) == [
        ("1", "rollback"), ("2", "rollback"), ("3", "promote"), ("2", "promote"), ("1", "promote"),
    ]  # fmt: skip
    assert promoted.history("League")[0].reason == "worse still"


def test_a_promotion_after_a_rollback_starts_from_there(promoted: ModelRegistry) -> None:
    """Back to v2, v1 promoted anew: the way back from it is v2, then v1."""
    promoted.rollback_model("League", "production", "worse")
    promoted.promote_model("League", 1, "production")
    assert promoted.rollback_model("League", "production", "no").version == "2"
    assert promoted.rollback_model("League", "production", "no").version == "1"


def test_a_deleted_version_before_is_refused(promoted: ModelRegistry, store: Store) -> None:
    """It is named, with those there are; nothing is written; the history knows that it was there."""
    with store.calling("delete") as client:
        client.delete_model_version("League", "2")
    with pytest.raises(TrackingError, match="the version before v3, v2, was deleted; versions: v1, v3"):
        promoted.rollback_model("League", "production", "worse")
    assert holder(promoted) == "3"
    assert story(promoted) == [("3", "promote"), ("2", "deleted"), ("1", "promote")]


def test_without_a_holder_there_is_no_way_back(promoted: ModelRegistry, store: Store) -> None:
    """A deleted holder takes the alias with it: which one is to serve must be said."""
    with store.calling("delete") as client:
        client.delete_model_version("League", "3")
    with pytest.raises(TrackingError, match="no version has the alias; versions: v1, v2; promote one"):
        promoted.rollback_model("League", "production", "worse")
    with pytest.raises(TrackingError, match="there is no version of Nobody; registered models: League"):
        promoted.rollback_model("Nobody", "production", "worse")


def test_a_rollback_needs_a_reason(promoted: ModelRegistry) -> None:
    """An empty one is none."""
    with pytest.raises(TrackingError, match="needs a reason"):
        promoted.rollback_model("League", "production", "  ")


def test_an_alias_moved_by_hand_is_told_and_can_be_rolled_back(promoted: ModelRegistry, store: Store) -> None:
    """Nobody knows since when; the way back leads to whom it was taken from."""
    with store.calling("move") as client:
        client.set_registered_model_alias("League", "production", "1")
    current = promoted.history("League")[0]
    assert (current.version, current.kind, current.since, current.current) == ("1", "by hand", None, True)
    assert promoted.rollback_model("League", "production", "not by hand").version == "3"


def test_a_champion_elsewhere_can_be_a_condition(promoted: ModelRegistry) -> None:
    """A promotion to staging that was compared with production is refused when production moved."""
    promoted.promote_model("League", 1, "staging", expected_aliases={"Production": "3"})
    promoted.rollback_model("League", "production", "worse")
    with pytest.raises(ChampionMovedError, match="the alias production moved since the comparison"):
        promoted.promote_model("League", 2, "staging", expected_aliases={"production": "3"})
    assert promoted.aliases("League")["staging"] == "1"


@pytest.mark.usefixtures("promoted")
def test_the_journal_explains_itself(store: Store) -> None:
    """Whoever finds it among the registered models reads what it is; its entries name alias and versions."""
    with store.calling("look") as client:
        journal = client.get_registered_model(journal_name("League"))
        entries = client.search_model_versions(f"name = '{journal.name}'")
    assert "kept by pytest-nbaprops" in journal.description
    assert journal.tags[tags.JOURNAL_OF] == "League"
    assert {entry.description for entry in entries} >= {"promote: production from v2 to v3"}
    assert {entry.tags[tags.JOURNAL_STATE] for entry in entries} == {"applied"}


def test_a_foreign_version_in_the_journal_changes_nothing(promoted: ModelRegistry, store: Store) -> None:
    """What is no entry is passed over, and what is no event too."""
    with store.calling("meddle") as client:
        client.create_model_version(journal_name("League"), "models:/League/1")
        client.set_model_version_tag("League", "1", f"{tags.EVENT_PREFIX}production.x", "not JSON")
    assert promoted.rollback_model("League", "production", "worse").version == "2"
    assert story(promoted)[0] == ("2", "rollback")


def event(version: str, previous: str | None, kind: str = "promote") -> Event:
    return new_event(version, "production", kind, previous=previous, reason=None, details={})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], ["9"]),
        ([event("1", None), event("9", "1")], ["1", "9"]),
        ([event("1", None), event("2", "1"), event("1", "2", "rollback"), event("9", "1")], ["1", "9"]),
        ([event("1", None), event("9", "4")], ["1", "4", "9"]),
        ([event("9", None), event("1", "9"), event("9", "1", "rollback")], ["9"]),
        ([event("1", None), event("9", "1"), event("9", None)], ["1", "9"]),
    ],
)
def test_the_succession_is_a_stack(events: list[Event], expected: list[str]) -> None:
    """Promotions pile up, rollbacks take away, and what nobody told is put in where its successor names it."""
    assert succession(events, "9") == expected


def test_what_a_rollback_took_is_known_until_it_is_given_back() -> None:
    """Two rolled back one after the other are both, and one that somebody promoted again is not."""
    events = [event("1", None), event("2", "1"), event("3", "2")]
    events += [event("2", "3", "rollback"), event("1", "2", "rollback")]
    assert list(taken_back(events)) == ["3", "2"]
    assert list(taken_back([*events, event("2", "1")])) == ["3"]


def test_time_never_runs_backwards() -> None:
    """After an event of a machine whose clock is ahead the next one is still later."""
    ahead = "2999-01-01T00:00:00.000+00:00"
    assert new_event("1", "a", "promote", previous=None, reason=None, details={}, after=ahead).at > ahead
