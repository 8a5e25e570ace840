"""The journal of a model's alias changes: what makes one of two simultaneous promotions lose.

MLflow sets an alias whoever had it before. But it gives every new version of a model a number of its own, in order. So
each change of an alias is first entered as a version of a second registered model, `<name>.nbaprops-journal`, together
with the number of the last entry its author had seen. An entry counts only if nothing that counts came in between:
whoever reads the journal comes to the same answer, and of two authors who had seen the same past the second one's entry
is void. The alias itself is set afterwards, from the last entry that counts, by its author or, if that one was killed,
by whoever changes an alias next.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.registering import append_version
from pytest_nbaprops.tracking.search import every, quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

Kind = Literal["promote", "rollback"]

SUFFIX: Final = ".nbaprops-journal"
_DESCRIPTION: Final = (
    "Journal of the alias changes of {name}, kept by pytest-nbaprops so that of two promotions at once only one goes"
    " through. Its versions are entries, not models of their own: each points to the version that got the alias."
    " Serve and compare {name}, not this; it may be deleted while nobody promotes (the history is on {name} itself)."
)
_ENTERED: Final = "entered"
APPLIED: Final = "applied"
VOID: Final = "void"
_PAGE: Final = 50
_STALL: Final = timedelta(hours=1)  # no process comes back after more between two calls to the registry


@dataclass(frozen=True, kw_only=True)
class Change:
    """An alias that is to go to a version; `event` is the version's tag that tells its story, `at` its time."""

    alias: str
    version: str
    previous: str | None
    kind: Kind
    event: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A change as entered.

    Attributes:
        after: number of the last entry that counted when it was made, 0 for none.
        setters: tags of the sessions that were about to set the alias as the entry wants it, with the time of each.
    """

    number: int
    after: int
    state: str
    change: Change
    setters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_applied(self) -> bool:
        return self.state == APPLIED

    @property
    def dead_setters(self) -> list[str]:
        """Those that were killed: the alias will not be set by them any more."""
        dead = []
        for key, since in self.setters.items():
            try:
                lives = datetime.now(UTC) - datetime.fromisoformat(since) <= _STALL
            except ValueError:
                lives = False
            dead += [] if lives else [key]
        return dead


def journal_name(model_name: str) -> str:
    return model_name + SUFFIX


def last_entry(client: MlflowClient, model_name: str, alias: str | None = None) -> Entry | None:
    """The last of the recent entries that counts, about this alias or about any."""
    entries = counting_entries(client, model_name)[::-1]
    return next((entry for entry in entries if alias in (None, entry.change.alias)), None)


def counting_entries(client: MlflowClient, model_name: str) -> list[Entry]:
    """The recent entries that count, the oldest first.

    Applied ones always do, so nothing needs to be read that is older than one of them. A page is read in any case: who
    stalled before it set an alias may have been overtaken by several.
    """
    entries: list[Entry] = []
    for position, version in enumerate(_newest_first(client, journal_name(model_name)), 1):
        entry = _parsed(version)
        if entry is not None:
            entries.append(entry)
        if position >= _PAGE and any(entry.is_applied for entry in entries):
            break
    chain: list[Entry] = []
    for entry in reversed(entries):
        follows = entry.after == (chain[-1].number if chain else 0)
        if entry.is_applied or (follows and entry.state != VOID):
            chain.append(entry)
    return chain


def _newest_first(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    order = ["version_number DESC"]
    return every(client.search_model_versions, f"name = {quoted(name)}", max_results=_PAGE, order_by=order)


def _parsed(version: ModelVersion) -> Entry | None:
    """None for what is no entry: somebody may have registered a model under the journal's name."""
    try:
        plain = json.loads(version.tags[tags.JOURNAL_ENTRY])
        after = int(plain.pop("after"))
        state = version.tags.get(tags.JOURNAL_STATE, _ENTERED)
        setters = {key: text for key, text in version.tags.items() if key.startswith(tags.JOURNAL_SETTER)}
        change = Change(**plain)
        return Entry(number=int(version.version), after=after, state=state, change=change, setters=setters)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def counts(client: MlflowClient, model_name: str, entry: Entry) -> bool:
    """Whether the entry just made counts: no other with the same past has a lower number."""
    for version in _newest_first(client, journal_name(model_name)):
        if int(version.version) <= entry.after:
            break
        other = _parsed(version)
        if other is not None and other.after == entry.after and other.number < entry.number:
            return False
    return True


def enter(client: MlflowClient, model_name: str, change: Change, after: Entry | None) -> Entry:
    """Write the entry, its tags and its number in one transaction of the registry; it may turn out void."""
    name, seen = journal_name(model_name), 0 if after is None else after.number
    before = "no version" if change.previous is None else f"v{change.previous}"
    text = json.dumps({**asdict(change), "after": seen})

    def create() -> ModelVersion:
        return client.create_model_version(
            name,
            f"models:/{model_name}/{change.version}",
            tags={tags.JOURNAL_ENTRY: text},
            description=f"{change.kind}: {change.alias} from {before} to v{change.version}",
            await_creation_for=None,
        )

    def look() -> ModelVersion | None:  # each entry names an event of its own
        recent = islice(_newest_first(client, name), _PAGE)
        return next((version for version in recent if version.tags.get(tags.JOURNAL_ENTRY) == text), None)

    description = _DESCRIPTION.format(name=model_name)
    created = append_version(client, name, create, look, tags={tags.JOURNAL_OF: model_name}, description=description)
    return Entry(number=int(created.version), after=seen, state=_ENTERED, change=change)


def mark(client: MlflowClient, model_name: str, entry: Entry, state: str) -> None:
    """Say what became of the entry: once it is `APPLIED`, a hand that moves the alias is respected."""
    client.set_model_version_tag(journal_name(model_name), str(entry.number), tags.JOURNAL_STATE, state)


def announce(client: MlflowClient, model_name: str, entry: Entry) -> str:
    """Say that this session is about to set the alias as the entry wants it; the tag that says so.

    A session may stall just before, for as long as others need to promote another version, and be killed just after:
    then the alias is where nobody wants it any more, and this tag tells such a change from one by hand.
    """
    key = f"{tags.JOURNAL_SETTER}{secrets.token_hex(4)}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    client.set_model_version_tag(journal_name(model_name), str(entry.number), key, now)
    return key


def retract(client: MlflowClient, model_name: str, entry: Entry, key: str) -> None:
    """Take back what `announce` said: the alias was set and looked at."""
    client.delete_model_version_tag(journal_name(model_name), str(entry.number), key)
