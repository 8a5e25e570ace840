"""Who had an alias when, rebuilt from the tags of the registered versions alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.registry.events import Event, events_of, happened
from pytest_nbaprops.registry.versions import alias_name, holders, versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from pytest_nbaprops.tracking.connection import Store

BY_HAND: Final = "by hand"
DELETED: Final = "deleted"
FORCED: Final = "forced"


@dataclass(frozen=True, kw_only=True)
class Tenure:
    """The time that a version had an alias.

    Attributes:
        kind: `promote`, `rollback`, `by hand` (the alias was moved without this tool) or `deleted` (the version is
            gone and its story with it).
        since, until: ISO 8601 in UTC. `since` is None where nobody wrote it down; `until` is None for the holder and
            where the next one's `since` is unknown.
        current: whether it has the alias now.
        forced: the criteria were overruled.
    """

    name: str
    alias: str
    version: str
    kind: str
    since: str | None
    until: str | None
    current: bool
    verdict: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    commit: str | None = None
    run_id: str | None = None
    forced: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "metrics": dict(self.metrics)}


def read_history(store: Store, model_name: str, alias: str | None = None) -> list[Tenure]:
    """The tenures of one alias or of all, the newest first.

    Raises:
        TrackingError: The registry cannot be read.
    """
    with store.calling(f"read the history of {model_name}") as client:
        known = versions(client, model_name)
        holding = holders(client, model_name)
    names = [alias_name(alias)] if alias else sorted(_told_aliases(known) | set(holding))
    placed = [place for name in names for place in _placed(_tenures(model_name, name, known, holding.get(name)))]
    return [tenure for _, _, tenure in sorted(placed, key=lambda place: place[:2], reverse=True)]


def _placed(tenures: Sequence[Tenure]) -> list[tuple[str, int, Tenure]]:
    """Each with its place in time: where nobody wrote it down, just after the one before."""
    placed, stamp = [], ""
    for position, tenure in enumerate(tenures):
        stamp = tenure.since or stamp
        placed.append((stamp, position, tenure))
    return placed


def _told_aliases(known: Sequence[ModelVersion]) -> set[str]:
    return {event.alias for version in known for event in events_of(version)}


def _tenures(name: str, alias: str, known: Sequence[ModelVersion], holder: str | None) -> list[Tenure]:
    by_number = {str(version.version): version for version in known}
    events = happened(known, alias, holder)
    told = [_told(name, event, by_number[event.version]) for event in events]
    whole = _with_untold(name, alias, told, events, holder)
    return [_known(tenure, by_number) for tenure in _ended(whole, holder)]


def _known(tenure: Tenure, by_number: Mapping[str, ModelVersion]) -> Tenure:
    return tenure if tenure.version in by_number else replace(tenure, kind=DELETED)


def _told(name: str, event: Event, version: ModelVersion) -> Tenure:
    details = event.details
    return Tenure(
        name=name,
        alias=event.alias,
        version=event.version,
        kind=event.kind,
        since=event.at,
        until=None,
        current=False,
        verdict=details.get("verdict") or version.tags.get("verdict"),
        metrics=_numbers(details.get("metrics") or version.tags.get("metrics")),
        reason=event.reason,
        commit=details.get("git_commit") or version.tags.get("git_commit"),
        run_id=details.get("run_id") or version.run_id or None,
        forced=details.get(FORCED) == "true",
    )


def _with_untold(
    name: str, alias: str, told: Sequence[Tenure], events: Sequence[Event], holder: str | None
) -> list[Tenure]:
    """Holders that only their successor's event names, or nobody's: deleted versions, aliases moved by hand."""
    whole: list[Tenure] = []
    for tenure, event in zip(told, events, strict=True):
        before = whole[-1].version if whole else None
        if event.previous is not None and event.previous != before:
            whole.append(_untold(name, alias, event.previous))
        whole.append(tenure)
    if holder is not None and (not whole or whole[-1].version != holder):
        whole.append(_untold(name, alias, holder))
    return whole


def _untold(name: str, alias: str, version: str) -> Tenure:
    return Tenure(name=name, alias=alias, version=version, kind=BY_HAND, since=None, until=None, current=False)


def _ended(whole: Sequence[Tenure], holder: str | None) -> list[Tenure]:
    ended = []
    for position, tenure in enumerate(whole):
        following = whole[position + 1] if position + 1 < len(whole) else None
        current = following is None and tenure.version == holder
        ended.append(replace(tenure, until=following.since if following else None, current=current))
    return ended


def _numbers(text: str | None) -> dict[str, float]:
    """Metrics as JSON; what is no finite number is left out."""
    try:
        plain = json.loads(text or "{}")
        return {
            str(key): float(value)
            for key, value in plain.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
    except (ValueError, AttributeError):
        return {}
