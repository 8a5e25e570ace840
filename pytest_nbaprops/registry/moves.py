"""Moving an alias: conditions first, then an entry in the journal; `recovery` sets the alias, last of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import ChampionMovedError, TrackingError
from pytest_nbaprops.registry import journal
from pytest_nbaprops.registry.events import INTENDED, ROLLBACK, events_of, happened, new_event, succession
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.recovery import apply, finish_event, recover, set_event
from pytest_nbaprops.registry.versions import deciding_run, holders, known_version, listed, no_such_model, run_of
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.registering import refuse_damaged
from pytest_nbaprops.tracking.search import versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RUN: Final = "run_id"
"""Detail of an event: the run that decided."""

_TRIES: Final = 20
_PERHAPS_ENTERED: Final = (
    "the change may have been entered already, and the next change of an alias then finishes it: look at the history"
)


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

    `conditions` are the versions that some aliases must hold, None for no one, else it is a ChampionMovedError.
    `details` are more for the event; metrics and commit of the version's run are added where they are not in it.
    """

    name: str
    alias: str
    version: str
    kind: journal.Kind
    reason: str | None
    conditions: Mapping[str, str | None]
    details: Mapping[str, str] = field(default_factory=dict)

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
    store.check_writable()
    was_there = store.lost is None
    try:
        with store.calling(move.what) as client:
            return _carried_out(client, move)
    except TrackingError as error:
        if was_there and store.lost is not None:
            raise TrackingError(f"{error}; {_PERHAPS_ENTERED}") from error
        raise


def _carried_out(client: MlflowClient, move: Move) -> Promotion:
    target = known_version(client, move.name, move.version)
    if target.status != "READY":
        raise TrackingError(
            f"could not {move.what}: the version is not complete ({target.status}); register the model again"
        )
    move = replace(move, details=_story(client, target) | dict(move.details))
    for _ in range(_TRIES):
        last = recover(client, move.name)
        holding = holders(client, move.name)
        before = holding.get(move.alias)
        changed = before != move.version
        done = Promotion(
            name=move.name, alias=move.alias, version=move.version, previous_version=before, changed=changed
        )
        if not changed:  # a killed session may have left something on it
            target = known_version(client, move.name, move.version)
            last_event = next(iter(events_of(target, move.alias)[::-1]), None)
            unfinished = last_event if last_event is not None and last_event.state == INTENDED else None
            finish_event(client, target, move.alias, unfinished, keep=last_event.key if last_event is not None else "")
            return done
        _check_conditions(move, holding)
        if (entry := _entered(client, move, before, last)) is not None:
            apply(client, move.name, entry)
            return done
        # The winner may still be about to set the alias: what it has entered counts already.
        winner = journal.last_entry(client, move.name)
        if winner is not None and winner.change.alias in move.conditions:
            change = winner.change
            _check_conditions(move, {**holders(client, move.name), change.alias: change.version})
    raise TrackingError(f"could not {move.what}: {_TRIES} other changes came first each time; run again")


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


def _entered(
    client: MlflowClient, move: Move, previous: str | None, last: journal.Entry | None
) -> journal.Entry | None:
    """The journal's entry, None where another change came first; an alias always has its story before it moves."""
    seen = None if last is None else last.change.at
    event = new_event(
        move.version, move.alias, move.kind, previous=previous, reason=move.reason, details=move.details, after=seen
    )
    set_event(client, move.name, event)
    change = journal.Change(
        alias=move.alias, version=move.version, previous=previous, kind=move.kind, event=event.key, at=event.at
    )
    entry = journal.enter(client, move.name, change, last)
    if journal.counts(client, move.name, entry):
        return entry
    journal.mark(client, move.name, entry, journal.VOID)
    client.delete_model_version_tag(move.name, move.version, event.key)
    return None


def _story(client: MlflowClient, version: ModelVersion) -> dict[str, str]:
    """Verdict, metrics and commit as the version's own run tells them, so that its history needs no run any more."""
    if (run := deciding_run(client, version)) is None:
        return {}
    kept = run.data.tags
    record = VersionRecord(
        metrics={key: value for key, value in run.data.metrics.items() if not key.startswith("fold_")},
        verdict=kept.get(tags.VERDICT),
        commit=kept.get(tags.COMMIT),
    )
    return {**record.to_tags(), RUN: str(run_of(version))}


def roll_back(store: Store, name: str, alias: str, reason: str) -> Promotion:
    """Give the alias back to the version that had it before.

    Raises:
        TrackingError: Nobody has the alias, there is nothing before, or it was deleted.
    """
    store.check_writable()
    what = f"roll {alias} of {name} back"
    with store.calling(what) as client:
        recover(client, name)
        holder = holders(client, name).get(alias)
        known = versions(client, name)
        if not known:
            raise TrackingError(f"could not {what}: {no_such_model(client, name)}")
    there = f"versions: {listed(known)}; promote"
    if holder is None:
        raise TrackingError(f"could not {what}: no version has the alias; {there} one instead")
    before = succession(happened(known, alias, holder), holder)[-2:-1]
    if not before:
        raise TrackingError(f"could not {what}: there is nothing before v{holder}; {there} another one instead")
    target = next((version for version in known if str(version.version) == before[0]), None)
    if target is None:
        raise TrackingError(
            f"could not {what}: the version before v{holder}, v{before[0]}, was deleted; {there} another one instead"
        )
    if tags.SERVABLE not in target.tags:  # an imported one may have been none that can be served from the beginning
        refuse_damaged(store, name, before[0])
    conditions: dict[str, str | None] = {alias: holder}
    move = Move(name=name, alias=alias, version=before[0], kind=ROLLBACK, reason=reason, conditions=conditions)
    return carry_out(store, move)
