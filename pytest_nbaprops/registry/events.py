"""The story of an alias, kept on the versions themselves: one tag per change, and what follows from all of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_nbaprops.tracking import tags

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

INTENDED: Final = "intended"
DONE: Final = "done"
PROMOTE: Final = "promote"
ROLLBACK: Final = "rollback"
_REASON_CHARACTERS: Final = 1000
_DETAIL_CHARACTERS: Final = 20_000  # of 100,000 that a version's tag holds; lineage is a tag of its own anyway
_OWN: Final = ("event", "state", "alias", "previous_version", "reason", "at")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change of an alias, `promote` or `rollback`, as told on the version that got it.

    `key` is the tag's name, `previous` who had the alias before (None for no one), `at` ISO 8601 in UTC, and `details`
    are verdict, metrics and criteria (JSON), git_commit, forced and whatever else the promotion was given.
    """

    key: str
    version: str
    alias: str
    kind: str
    state: str
    previous: str | None
    reason: str
    at: str
    details: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        values = (self.kind, self.state, self.alias, self.previous, self.reason, self.at)
        return json.dumps({**self.details, **dict(zip(_OWN, values, strict=True))})

    @classmethod
    def from_tag(cls, version: str, key: str, value: str) -> Self | None:
        """The event that the tag tells; None where it tells none."""
        try:
            plain: dict[str, Any] = json.loads(value)
            previous = plain["previous_version"]
            return cls(
                key=key,
                version=version,
                alias=plain["alias"],
                kind=plain["event"],
                state=plain["state"],
                previous=None if previous is None else str(previous),
                reason=plain.get("reason") or "",
                at=plain["at"],
                details={name: str(text) for name, text in plain.items() if name not in _OWN and text is not None},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def new_event(  # noqa: PLR0913 - an event's whole story
    version: str,
    alias: str,
    kind: str,
    *,
    previous: str | None,
    reason: str | None,
    details: Mapping[str, str],
    after: str | None = None,
) -> Event:
    """An event that is about to happen now; `after` is when the last one was, by another machine's clock perhaps."""
    now = datetime.now(UTC)
    if after is not None:
        now = max(now, datetime.fromisoformat(after) + timedelta(milliseconds=1))
    stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}"
    return Event(
        key=f"{tags.EVENT_PREFIX}{alias}.{stamp}-{secrets.token_hex(4)}",
        version=version,
        alias=alias,
        kind=kind,
        state=INTENDED,
        previous=previous,
        reason=(reason or "")[:_REASON_CHARACTERS],
        at=now.isoformat(timespec="milliseconds"),
        details={name: value for name, value in details.items() if len(value) <= _DETAIL_CHARACTERS},
    )


def events_of(version: ModelVersion, alias: str | None = None) -> list[Event]:
    """In the order of time, of one alias or of all."""
    return events_in(version.tags, str(version.version), alias)


def events_in(values: Mapping[str, str], number: str, alias: str | None = None) -> list[Event]:
    """The same from the tags of the version of this number."""
    prefix = tags.EVENT_PREFIX + (f"{alias}." if alias else "")
    read = [Event.from_tag(number, key, value) for key, value in values.items() if key.startswith(prefix)]
    return sorted((event for event in read if event is not None), key=lambda event: (event.at, event.key))


def happened(versions: Sequence[ModelVersion], alias: str, holder: str | None) -> list[Event]:
    """What did happen to the alias, in the order of time.

    An event that was only intended counts if its version has the alias: the session was killed before it could say so.
    """
    events: list[Event] = []
    for version in versions:
        own = events_of(version, alias)
        last = own[-1:] if str(version.version) == holder else []
        events += [event for event in own if event.state == DONE or event in last]
    return sorted(events, key=lambda event: (event.at, event.key))


def taken_back(events: Sequence[Event]) -> dict[str, Event]:
    """Versions that a rollback took the alias from, and that did not get it again, each with that rollback."""
    taken: dict[str, Event] = {}
    for event in events:
        if event.kind == ROLLBACK and event.previous is not None:
            taken[event.previous] = event
        taken.pop(event.version, None)
    return taken


def succession(events: Sequence[Event], holder: str | None) -> list[str]:
    """Versions that a rollback goes back through, the holder last.

    A promotion is put on top of what was there, a rollback takes off what it left: rolled back twice is two back, and
    a promotion after a rollback starts from where that led. A holder that no event explains was put there by hand.
    """
    stack: list[str] = []
    for event in events:
        if event.previous is not None and stack[-1:] != [event.previous]:
            stack.append(event.previous)
        if event.kind == ROLLBACK:
            while stack and stack[-1] != event.version:
                stack.pop()
        if stack[-1:] != [event.version]:  # it may have been taken away by hand and given back
            stack.append(event.version)
    if holder is not None and stack[-1:] != [holder]:
        stack.append(holder)
    return stack
