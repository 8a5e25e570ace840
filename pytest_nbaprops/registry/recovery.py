"""Setting an alias as the journal wants it: by who entered the change, or by the next session after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry import journal
from pytest_nbaprops.registry.events import DONE, INTENDED, Event, events_of
from pytest_nbaprops.registry.versions import holders
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.search import found, made_again

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def apply(client: MlflowClient, name: str, entry: journal.Entry) -> None:
    """Set the alias as the entry wants it, and say that it is done; nothing where a later entry wants otherwise.

    Raises:
        TrackingError: The alias does not stay.
    """
    if _overtaken(client, name, entry) is None:  # else whoever entered the later one had finished this one first
        _set_until_last(client, name, entry)


def _set_until_last(client: MlflowClient, name: str, entry: journal.Entry) -> None:
    """Set the alias; again for each entry that came in between, since ours may have been set over theirs.

    All of it is announced before and retracted after: killed in between, `recover` knows whose change it finds.
    """
    change = entry.change
    key = journal.announce(client, name, entry)
    set_alias(client, name, change.alias, change.version)
    holder = holders(client, name).get(change.alias)
    later = _overtaken(client, name, entry)
    if later is not None:
        _set_until_last(client, name, later)
    journal.retract(client, name, entry, key)
    if later is not None:
        return
    if holder != change.version:
        now = "no version has it" if holder is None else f"v{holder} has it"
        raise TrackingError(
            f"could not move the alias {change.alias} of {name} to v{change.version}: it does not stay, {now};"
            " another session moved the alias by hand or without this tool; run again"
        )
    version = found(client.get_model_version, name, change.version)
    if version is not None:
        event = Event.from_tag(change.version, change.event, version.tags.get(change.event, ""))
        finish_event(client, version, change.alias, event, keep=change.event)
    journal.mark(client, name, entry, journal.APPLIED)


def _overtaken(client: MlflowClient, name: str, entry: journal.Entry) -> journal.Entry | None:
    """The last entry of the same alias where it is a later one."""
    last = journal.last_entry(client, name, entry.change.alias)
    return last if last is not None and last.number > entry.number else None


def set_alias(client: MlflowClient, name: str, alias: str, number: str) -> None:
    """Set it, a second time where two sessions wrote an alias that did not exist yet: the row is there now."""
    made_again(lambda: client.set_registered_model_alias(name, alias, number))


def finish_event(client: MlflowClient, version: ModelVersion, alias: str, event: Event | None, *, keep: str) -> None:
    """The version has the alias: its event is done, and what killed sessions left on it is taken away."""
    if event is not None:
        set_event(client, version.name, replace(event, state=DONE))
    left = [other.key for other in events_of(version, alias) if other.state == INTENDED and other.key != keep]
    for key in [*left, *({tags.INTENT} & version.tags.keys())]:
        client.delete_model_version_tag(version.name, version.version, key)


def set_event(client: MlflowClient, name: str, event: Event) -> None:
    client.set_model_version_tag(name, event.version, event.key, event.to_json())


def recover(client: MlflowClient, name: str) -> journal.Entry | None:
    """Finish what a killed session had entered but not set, and take back what it set too late; the last entry."""
    entries = journal.counting_entries(client, name)
    if not entries:
        return None
    last = entries[-1]
    if not last.is_applied:
        holder = holders(client, name).get(last.change.alias)
        if _is_deleted(client, name, last.change) or holder not in (last.change.previous, last.change.version):
            journal.mark(client, name, last, journal.APPLIED)  # somebody cleaned up by hand meanwhile: that stays
        else:
            apply(client, name, last)
    if any(entry.setters for entry in entries):
        _take_back(client, name, entries)
    return last


def _is_deleted(client: MlflowClient, name: str, change: journal.Change) -> bool:
    return found(client.get_model_version, name, change.version) is None


def _take_back(client: MlflowClient, name: str, entries: Sequence[journal.Entry]) -> None:
    """Set each alias again that a session which had been overtaken set over a later change before it was killed.

    What was announced is retracted then: from now on a hand that moves the alias there is respected.
    """
    holding = holders(client, name)
    for alias, last in {entry.change.alias: entry for entry in entries}.items():
        of_alias = [entry for entry in entries if entry.change.alias == alias]
        late = [entry for entry in of_alias if entry.setters and entry.change.version == holding.get(alias)]
        if late and holding.get(alias) != last.change.version and not _is_deleted(client, name, last.change):
            _set_until_last(client, name, last)
            for entry in late:
                for key in entry.setters:
                    journal.retract(client, name, entry, key)
    for entry in entries:
        for key in entry.dead_setters:
            journal.retract(client, name, entry, key)
