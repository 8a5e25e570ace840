"""Moving an alias: entered in the journal first, set last, and finished by the next one after a crash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import ChampionMovedError, TrackingError
from pytest_nbaprops.tracking import journal, tags
from pytest_nbaprops.tracking.events import DONE, INTENDED, ROLLBACK, Event, events_of, happened, new_event
from pytest_nbaprops.tracking.events import succession as succession_of
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.versions import found, holders, known_version, listed, run_of, versions

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pytest_nbaprops.tracking.connection import Store

_TRIES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What `promote_model` or `rollback_model` did; `changed` is False where the alias was already there."""

    name: str
    alias: str
    version: str
    previous_version: str | None
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Move:
    """An alias to be moved.

    Attributes:
        kind: `promote` or `rollback`.
        conditions: version that each of these aliases must hold, None for no one; else ChampionMovedError.
        details: more for the event; metrics and commit of the version's run are added where they are not in it.
    """

    name: str
    alias: str
    version: str
    kind: journal.Kind
    reason: str | None
    conditions: Mapping[str, str | None]
    details: Mapping[str, str]

    @property
    def what(self) -> str:
        """Completes "could not …"."""
        if self.kind == ROLLBACK:
            return f"roll {self.alias} of {self.name} back to v{self.version}"
        return f"promote {self.name} v{self.version} to {self.alias}"


def carry_out(store: Store, move: Move) -> Promotion:
    """Move the alias to the version.

    Raises:
        ChampionMovedError: A condition does not hold, or no longer does.
        TrackingError: No such version, or the alias does not stay.
    """
    with store.calling(move.what) as client:
        target = known_version(client, move.name, move.version)
        _refuse_incomplete(move, target)
        move = replace(move, details=_story(client, target) | dict(move.details))
        for _ in range(_TRIES):
            last = settle(client, move.name)
            holding = holders(client, move.name)
            previous = holding.get(move.alias)
            if previous == move.version:
                _complete(client, move)
                return _done(move, previous, changed=False)
            _check_conditions(move, holding)
            if (entry := _entered(client, move, previous, last)) is not None:
                _apply(client, move.name, entry)
                return _done(move, previous, changed=True)
            _check_overruled(client, move)
    raise TrackingError(f"could not {move.what}: {_TRIES} other changes came first each time; run again")


def _refuse_incomplete(move: Move, target: ModelVersion) -> None:
    if target.status != "READY":
        raise TrackingError(
            f"could not {move.what}: the version is not complete ({target.status}); register the model again"
        )


def _done(move: Move, previous: str | None, *, changed: bool) -> Promotion:
    return Promotion(name=move.name, alias=move.alias, version=move.version, previous_version=previous, changed=changed)


def _check_conditions(move: Move, holding: Mapping[str, str]) -> None:
    for alias, expected in move.conditions.items():
        holder = holding.get(alias)
        if holder == expected:
            continue
        now = "no version has the alias" if holder is None else f"v{holder} has it"
        then = "none" if expected is None else f"v{expected}"
        raise ChampionMovedError(
            f"could not {move.what}: the alias {alias} moved since the comparison, so what it was compared with"
            f" is no longer the champion ({then} expected, now {now}); run again to compare with the new champion"
        )


def _check_overruled(client: MlflowClient, move: Move) -> None:
    """The winner may still be about to set the alias: what it has entered counts already."""
    last = journal.last_entry(client, move.name)
    if last is not None and last.change.alias in move.conditions:
        _check_conditions(move, {**holders(client, move.name), last.change.alias: last.change.version})


def _entered(
    client: MlflowClient, move: Move, previous: str | None, last: journal.Entry | None
) -> journal.Entry | None:
    """The journal's entry, None where another change came first; an alias always has its story before it moves."""
    event = new_event(
        move.version,
        move.alias,
        move.kind,
        previous=previous,
        reason=move.reason,
        details=move.details,
        after=None if last is None else last.change.at,
    )
    _set_event(client, move.name, event)
    change = journal.Change(
        alias=move.alias, version=move.version, previous=previous, kind=move.kind, event=event.key, at=event.at
    )
    entry = journal.enter(client, move.name, change, last)
    if journal.counts(client, move.name, entry):
        return entry
    journal.mark_void(client, move.name, entry)
    client.delete_model_version_tag(move.name, move.version, event.key)
    return None


def _apply(client: MlflowClient, name: str, entry: journal.Entry) -> None:
    """Set the alias as the entry wants it, unless a later one wants otherwise, and say that it is done."""
    change = entry.change
    set_alias(client, name, change.alias, change.version)
    if (holder := holders(client, name).get(change.alias)) != change.version and not _overtaken(client, name, entry):
        now = "no version has it" if holder is None else f"v{holder} has it"
        raise TrackingError(
            f"could not move the alias {change.alias} of {name} to v{change.version}: it does not stay, {now};"
            " another session moved the alias by hand or without this tool; run again"
        )
    _tell(client, name, change)
    journal.mark_applied(client, name, entry)
    if (later := _overtaken(client, name, entry)) is not None:  # ours may have been set over theirs
        set_alias(client, name, later.change.alias, later.change.version)


def _overtaken(client: MlflowClient, name: str, entry: journal.Entry) -> journal.Entry | None:
    """The last entry where it is a later one of the same alias."""
    last = journal.last_entry(client, name)
    later = last is not None and last.number != entry.number and last.change.alias == entry.change.alias
    return last if later else None


def _tell(client: MlflowClient, name: str, change: journal.Change) -> None:
    """Say on the version that its event is done."""
    version = found(client.get_model_version, name, change.version)
    if version is None:
        return
    event = Event.from_tag(change.version, change.event, version.tags.get(change.event, ""))
    if event is not None:
        _set_event(client, name, replace(event, state=DONE))
    _tidy(client, version, change.alias, change.event)


def _tidy(client: MlflowClient, version: ModelVersion, alias: str, event: str) -> None:
    """Take away what killed sessions left on a version that has the alias now: intentions other than this event."""
    left = [told.key for told in events_of(version, alias) if told.state == INTENDED and told.key != event]
    for key in [*left, *({tags.INTENT} & version.tags.keys())]:
        client.delete_model_version_tag(version.name, version.version, key)


def _set_event(client: MlflowClient, name: str, event: Event) -> None:
    client.set_model_version_tag(name, event.version, event.key, event.to_json())


def settle(client: MlflowClient, name: str) -> journal.Entry | None:
    """Finish what a killed session had entered but not set; the journal's last entry."""
    last = journal.last_entry(client, name)
    if last is None or last.is_applied:
        return last
    change = last.change
    deleted = found(client.get_model_version, name, change.version) is None
    if deleted or holders(client, name).get(change.alias) not in (change.previous, change.version):
        journal.mark_applied(client, name, last)  # somebody cleaned up by hand in the meantime: that stays
        return last
    _apply(client, name, last)
    return last


def _complete(client: MlflowClient, move: Move) -> None:
    """The version has the alias: take away what a killed session left on it."""
    target = known_version(client, move.name, move.version)
    told = events_of(target, move.alias)
    last = told[-1] if told else None
    if last is not None and last.state == INTENDED:
        _set_event(client, move.name, replace(last, state=DONE))
    _tidy(client, target, move.alias, last.key if last is not None else "")


def set_alias(client: MlflowClient, name: str, alias: str, number: str) -> None:
    """Set it, a second time where two sessions wrote an alias that did not exist yet: the row is there now."""
    try:
        client.set_registered_model_alias(name, alias, number)
    except MlflowException as error:
        if "integrity" not in str(error).lower() and "unique constraint" not in str(error).lower():
            raise
        client.set_registered_model_alias(name, alias, number)


def _story(client: MlflowClient, version: ModelVersion) -> dict[str, str]:
    """Verdict, metrics and commit as the version's own run tells them, so that its history needs no run any more."""
    run_id = run_of(version)
    run = found(client.get_run, run_id) if run_id else None
    if run is None:
        return {}
    metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith("fold_")}
    told = {"metrics": json.dumps(metrics), "run_id": str(run_id)}
    for key in ("verdict", "git_commit"):
        if key in run.data.tags:
            told[key] = run.data.tags[key]
    return told


def version_before(client: MlflowClient, name: str, alias: str) -> tuple[str, str]:
    """The holder of the alias and the version that a rollback goes back to.

    Raises:
        TrackingError: Nobody has the alias, there is nothing before, or it was deleted.
    """
    what = f"could not roll {alias} of {name} back"
    holder = holders(client, name).get(alias)
    known = versions(client, name)
    numbers = sorted(int(version.version) for version in known)
    if holder is None:
        raise TrackingError(f"{what}: no version has the alias; versions: {listed(numbers)}; promote one instead")
    stack = succession_of(happened(known, alias, holder), holder)
    if len(stack) < 2:  # noqa: PLR2004 - the holder and one before
        raise TrackingError(
            f"{what}: there is nothing before v{holder}; versions: {listed(numbers)}; promote another one instead"
        )
    if int(stack[-2]) not in numbers:
        raise TrackingError(
            f"{what}: the version before v{holder}, v{stack[-2]}, was deleted; versions: {listed(numbers)};"
            " promote another one instead"
        )
    return holder, stack[-2]


def roll_back(store: Store, name: str, alias: str, reason: str) -> Promotion:
    """Give the alias back to the version that had it before."""
    with store.calling(f"roll {alias} of {name} back") as client:
        settle(client, name)
        holder, before = version_before(client, name, alias)
    return carry_out(
        store,
        Move(
            name=name,
            alias=alias,
            version=before,
            kind=ROLLBACK,
            reason=reason,
            conditions={alias: holder},
            details={},
        ),
    )
