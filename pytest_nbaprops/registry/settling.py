"""Setting an alias as the journal wants it: by who entered the change, or by the next session after a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry import journal
from pytest_nbaprops.registry.events import DONE, INTENDED, Event, events_of
from pytest_nbaprops.registry.versions import found, holders
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


# one change


def apply(client: MlflowClient, name: str, entry: journal.Entry) -> None:
    """Set the alias as the entry wants it, and say that it is done; nothing where a later entry wants otherwise.

    Raises:
        TrackingError: The alias does not stay.
    """
    if _overtaken(client, name, entry) is None:  # else whoever entered the later one had finished this one first
        _set_until_last(client, name, entry)


def _set_until_last(client: MlflowClient, name: str, entry: journal.Entry) -> None:
    """Set the alias; again for each entry that came in between, since ours may have been set over theirs.

    All of it is announced before and retracted after: killed in between, `settle` knows whose change it finds.
    """
    key = journal.announce(client, name, entry)
    set_alias(client, name, entry.change.alias, entry.change.version)
    holder = holders(client, name).get(entry.change.alias)
    later = _overtaken(client, name, entry)
    if later is not None:
        _set_until_last(client, name, later)
    journal.retract(client, name, entry, key)
    if later is None:
        _check_stays(name, entry.change, holder)
        _tell(client, name, entry.change)
        journal.mark_applied(client, name, entry)


def _overtaken(client: MlflowClient, name: str, entry: journal.Entry) -> journal.Entry | None:
    """The last entry of the same alias where it is a later one."""
    last = journal.last_of_alias(client, name, entry.change.alias)
    return last if last is not None and last.number > entry.number else None


def _check_stays(name: str, change: journal.Change, holder: str | None) -> None:
    if holder == change.version:
        return
    now = "no version has it" if holder is None else f"v{holder} has it"
    raise TrackingError(
        f"could not move the alias {change.alias} of {name} to v{change.version}: it does not stay, {now};"
        " another session moved the alias by hand or without this tool; run again"
    )


def set_alias(client: MlflowClient, name: str, alias: str, number: str) -> None:
    """Set it, a second time where two sessions wrote an alias that did not exist yet: the row is there now."""
    try:
        client.set_registered_model_alias(name, alias, number)
    except MlflowException as error:
        if "integrity" not in str(error).lower() and "unique constraint" not in str(error).lower():
            raise
        client.set_registered_model_alias(name, alias, number)


# its story


def _tell(client: MlflowClient, name: str, change: journal.Change) -> None:
    """Say on the version that its event is done."""
    version = found(client.get_model_version, name, change.version)
    if version is None:
        return
    event = Event.from_tag(change.version, change.event, version.tags.get(change.event, ""))
    if event is not None:
        set_event(client, name, replace(event, state=DONE))
    tidy(client, version, change.alias, change.event)


def tidy(client: MlflowClient, version: ModelVersion, alias: str, event: str) -> None:
    """Take away what killed sessions left on a version that has the alias now: intentions other than this event."""
    left = [told.key for told in events_of(version, alias) if told.state == INTENDED and told.key != event]
    for key in [*left, *({tags.INTENT} & version.tags.keys())]:
        client.delete_model_version_tag(version.name, version.version, key)


def set_event(client: MlflowClient, name: str, event: Event) -> None:
    """Write the event on its version."""
    client.set_model_version_tag(name, event.version, event.key, event.to_json())


# after a crash


def settle(client: MlflowClient, name: str) -> journal.Entry | None:
    """Finish what a killed session had entered but not set, and take back what it set too late; the last entry."""
    entries = journal.counting_entries(client, name)
    if not entries:
        return None
    if not entries[-1].is_applied:
        _finish(client, name, entries[-1])
    if any(entry.setters for entry in entries):
        _mend(client, name, entries)
    return entries[-1]


def _finish(client: MlflowClient, name: str, last: journal.Entry) -> None:
    change = last.change
    holder = holders(client, name).get(change.alias)
    if _is_deleted(client, name, change) or holder not in (change.previous, change.version):
        journal.mark_applied(client, name, last)  # somebody cleaned up by hand in the meantime: that stays
    else:
        apply(client, name, last)


def _is_deleted(client: MlflowClient, name: str, change: journal.Change) -> bool:
    return found(client.get_model_version, name, change.version) is None


def _mend(client: MlflowClient, name: str, entries: Sequence[journal.Entry]) -> None:
    """Set each alias again that a session which had been overtaken set over a later change before it was killed."""
    holding = holders(client, name)
    for alias, last in {entry.change.alias: entry for entry in entries}.items():
        of_alias = [entry for entry in entries if entry.change.alias == alias]
        late = [entry for entry in of_alias if entry.setters and entry.change.version == holding.get(alias)]
        if late and holding.get(alias) != last.change.version and not _is_deleted(client, name, last.change):
            _set_until_last(client, name, last)
            _retract(client, name, [(entry, key) for entry in late for key in entry.setters])
    _retract(client, name, [(entry, key) for entry in entries for key in entry.dead_setters])


def _retract(client: MlflowClient, name: str, announced: Sequence[tuple[journal.Entry, str]]) -> None:
    """From now on a hand that moves the alias there is respected."""
    for entry, key in announced:
        journal.retract(client, name, entry, key)
