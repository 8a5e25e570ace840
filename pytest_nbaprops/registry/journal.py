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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.retries import create_once
from pytest_nbaprops.tracking.search import every, is_collision, quoted

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
_APPLIED: Final = "applied"
_VOID: Final = "void"
_PAGE: Final = 50
_TRIES: Final = 5
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
        return self.state == _APPLIED

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
    """The registered model that holds the journal."""
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
    return _counting(entries[::-1])


def _counting(entries: Sequence[Entry]) -> list[Entry]:
    chain: list[Entry] = []
    for entry in entries:
        follows = entry.after == (chain[-1].number if chain else 0)
        if entry.is_applied or (follows and entry.state != _VOID):
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
    entry = json.dumps({**asdict(change), "after": seen})
    for left in reversed(range(_TRIES)):
        try:
            created = create_once(
                lambda: client.create_model_version(
                    name,
                    f"models:/{model_name}/{change.version}",
                    tags={tags.JOURNAL_ENTRY: entry},
                    description=f"{change.kind}: {change.alias} from {before} to v{change.version}",
                    await_creation_for=None,
                ),
                lambda: _of_text(client, name, entry),
            )
            return Entry(number=int(created.version), after=seen, state=_ENTERED, change=change)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" and name in str(error) and left:
                _create_journal(client, model_name)
            elif not is_collision(error) or not left:
                raise
    raise AssertionError


def _of_text(client: MlflowClient, name: str, entry: str) -> ModelVersion | None:
    """The version of the journal that was made with this entry: each names an event of its own."""
    recent = islice(_newest_first(client, name), _PAGE)
    return next((version for version in recent if version.tags.get(tags.JOURNAL_ENTRY) == entry), None)


def _create_journal(client: MlflowClient, model_name: str) -> None:
    try:
        client.create_registered_model(
            journal_name(model_name),
            tags={tags.JOURNAL_OF: model_name},
            description=_DESCRIPTION.format(name=model_name),
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS" and not is_collision(error):
            raise


def mark_applied(client: MlflowClient, model_name: str, entry: Entry) -> None:
    """Say that the alias is where the entry wants it: from now on a hand that moves it is respected."""
    client.set_model_version_tag(journal_name(model_name), str(entry.number), tags.JOURNAL_STATE, _APPLIED)


def mark_void(client: MlflowClient, model_name: str, entry: Entry) -> None:
    client.set_model_version_tag(journal_name(model_name), str(entry.number), tags.JOURNAL_STATE, _VOID)


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
