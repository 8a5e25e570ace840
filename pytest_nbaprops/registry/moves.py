"""Moving an alias: conditions first, then an entry in the journal; `settling` sets the alias, last of all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import ChampionMovedError, TrackingError
from pytest_nbaprops.registry import journal
from pytest_nbaprops.registry.events import DONE, INTENDED, ROLLBACK, events_of, happened, new_event
from pytest_nbaprops.registry.events import succession as succession_of
from pytest_nbaprops.registry.settling import apply, set_event, settle, tidy
from pytest_nbaprops.registry.versions import found, holders, known_version, listed, run_of, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pytest_nbaprops.tracking.connection import Store

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
    store.check_writable()
    was_there = store.lost is None
    try:
        return _carried_out(store, move)
    except TrackingError as error:
        if was_there and store.lost is not None:
            raise TrackingError(f"{error}; {_PERHAPS_ENTERED}") from error
        raise


def _carried_out(store: Store, move: Move) -> Promotion:
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
                apply(client, move.name, entry)
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
    set_event(client, move.name, event)
    change = journal.Change(
        alias=move.alias, version=move.version, previous=previous, kind=move.kind, event=event.key, at=event.at
    )
    entry = journal.enter(client, move.name, change, last)
    if journal.counts(client, move.name, entry):
        return entry
    journal.mark_void(client, move.name, entry)
    client.delete_model_version_tag(move.name, move.version, event.key)
    return None


def _complete(client: MlflowClient, move: Move) -> None:
    """The version has the alias: take away what a killed session left on it."""
    target = known_version(client, move.name, move.version)
    told = events_of(target, move.alias)
    last = told[-1] if told else None
    if last is not None and last.state == INTENDED:
        set_event(client, move.name, replace(last, state=DONE))
    tidy(client, target, move.alias, last.key if last is not None else "")


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
    store.check_writable()
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
