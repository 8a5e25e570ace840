"""Who had an alias when, rebuilt from the tags of the registered versions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.registry.events import Event, events_of, happened
from pytest_nbaprops.registry.moves import RUN
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.versions import alias_name, holders
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.search import versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

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
    """The tenures of one alias or of all, the newest first."""
    with store.calling(f"read the history of {model_name}") as client:
        known = versions(client, model_name)
        holding = holders(client, model_name)
    aliases = {event.alias for version in known for event in events_of(version)} | set(holding)
    placed: list[tuple[str, int, Tenure]] = []
    for name in [alias_name(alias)] if alias else sorted(aliases):
        since = ""
        for position, tenure in enumerate(_tenures(model_name, name, known, holding.get(name))):
            since = tenure.since or since  # where nobody wrote it down: just after the one before
            placed.append((since, position, tenure))
    return [tenure for _, _, tenure in sorted(placed, key=lambda place: place[:2], reverse=True)]


def _tenures(name: str, alias: str, known: Sequence[ModelVersion], holder: str | None) -> list[Tenure]:
    """The oldest first; also of those that only their successor's event names, or nobody's."""
    by_number = {str(version.version): version for version in known}
    tenures: list[Tenure] = []
    for event in happened(known, alias, holder):
        if event.previous is not None and event.previous != (tenures[-1].version if tenures else None):
            tenures.append(_unexplained(name, alias, event.previous))
        tenures.append(_of_event(name, event, by_number[event.version]))
    if holder is not None and (not tenures or tenures[-1].version != holder):
        tenures.append(_unexplained(name, alias, holder))
    ended = []
    for tenure, following in zip_longest(tenures, tenures[1:]):
        current = following is None and tenure.version == holder
        kind = tenure.kind if tenure.version in by_number else DELETED
        ended.append(replace(tenure, kind=kind, until=following.since if following else None, current=current))
    return ended


def _of_event(name: str, event: Event, version: ModelVersion) -> Tenure:
    at_event, at_first = VersionRecord.from_tags(event.details), VersionRecord.from_tags(version.tags)
    return Tenure(
        name=name,
        alias=event.alias,
        version=event.version,
        kind=event.kind,
        since=event.at,
        until=None,
        current=False,
        verdict=at_event.verdict or at_first.verdict,
        metrics={key: value for key, value in (at_event.metrics or at_first.metrics).items() if value is not None},
        reason=event.reason,
        commit=at_event.commit or at_first.commit,
        run_id=event.details.get(RUN) or version.run_id or None,
        forced=event.details.get(FORCED) == "true",
    )


def _unexplained(name: str, alias: str, version: str) -> Tenure:
    return Tenure(name=name, alias=alias, version=version, kind=BY_HAND, since=None, until=None, current=False)
