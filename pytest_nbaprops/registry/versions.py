"""Reading a registry: versions, aliases, who holds them, and the champion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.events import events_in
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.search import found, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

DEFAULT_CHAMPION: Final = "production"
_RESERVED: Final = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
_ALIAS: Final = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, kw_only=True)
class ChampionVersion:
    """The version that holds an alias; or a run that was named, registered or not: `name` is its own then."""

    name: str
    alias: str | None
    version: str | None
    run_id: str | None
    content: str | None
    tags: Mapping[str, str]

    @classmethod
    def of(cls, version: ModelVersion, alias: str) -> ChampionVersion:
        return cls(
            name=version.name,
            alias=alias,
            version=str(version.version),
            run_id=run_of(version),
            content=version.tags.get(tags.CONTENT),
            tags=dict(version.tags),
        )

    @classmethod
    def of_run(cls, run: Run) -> ChampionVersion:
        """A run's tags are its own affair: they do not give account as a version's do."""
        name = run.info.run_name or run.info.run_id
        return cls(name=name, alias=None, version=None, run_id=run.info.run_id, content=None, tags={})

    @property
    def label(self) -> str:
        """How people call it: `v4`."""
        return f"run {self.name}" if self.version is None else f"v{self.version}"

    @property
    def record(self) -> VersionRecord:
        """What it says of itself."""
        return VersionRecord.from_tags(self.tags)

    @property
    def criteria(self) -> tuple[str, ...] | None:
        """Expressions that it was judged by when it last was promoted to the alias; None where nobody wrote them down.

        A version that is promoted once more was perhaps judged by others than when it was registered.
        """
        if self.version is None or self.alias is None:
            return None
        judged = [VersionRecord.from_tags(event.details) for event in events_in(self.tags, self.version, self.alias)]
        last = next((record for record in reversed(judged) if record.criteria), self.record)
        return last.expressions


@dataclass(frozen=True, kw_only=True)
class UnknownChampion:
    """There are versions, but none that could be compared with: the gate calls that inconclusive."""

    name: str
    alias: str
    reason: str


def champion_of(client: MlflowClient, name: str, alias: str) -> ChampionVersion | UnknownChampion | None:
    """The version to beat; None only if there is none at all, UnknownChampion if there are versions without it.

    A version whose first promotion was interrupted was never anyone's champion: alone, it counts as none.
    """
    known = versions(client, name)
    holder = found(client.get_model_version_by_alias, name, alias) if known else None
    if holder is not None:
        return ChampionVersion.of(holder, alias)
    if all(tags.INTENT in version.tags for version in known):
        return None
    reason = f"{name} has {len(known)} version(s), but none has the alias {alias!r}"
    return UnknownChampion(name=name, alias=alias, reason=reason)


def is_alias(text: str) -> bool:
    """Whether a version could have it as an alias."""
    return _ALIAS.fullmatch(text) is not None and _RESERVED.fullmatch(text) is None


def alias_name(stage: str) -> str:
    """The alias that a stage or alias name means: MLflow keeps them in lower case.

    Raises:
        TrackingError: Names that MLflow reserves (`latest`, `v3`), or that are none.
    """
    alias = stage.lower()
    if not is_alias(alias):
        raise TrackingError(
            f"{stage!r} can't be an alias: latest, v<number> and numbers are MLflow's own;"
            " use letters, digits, - and _, such as staging or production (--nbaprops-alias)"
        )
    return alias


def holders(client: MlflowClient, name: str) -> dict[str, str]:
    """Version of each alias; empty where there is no such model."""
    model = found(client.get_registered_model, name)
    return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}


def known_version(client: MlflowClient, name: str, number: str) -> ModelVersion:
    """The version.

    Raises:
        TrackingError: There is none of this number; the line names those there are.
    """
    number = number.removeprefix("v")
    version = found(client.get_model_version, name, number) if number.isdecimal() else None
    if version is not None:
        return version
    raise TrackingError(f"{name} has no version {number}; there are: {listed(versions(client, name))}")


def listed(known: Sequence[ModelVersion]) -> str:
    """`v1, v2, v3`; of many only the last ten."""
    if not known:
        return "none"
    numbers = sorted(int(version.version) for version in known)
    shown = ", ".join(f"v{number}" for number in numbers[-10:])
    return shown if len(numbers) <= 10 else f"… {shown}"  # noqa: PLR2004 - one line of an error


def run_of(version: ModelVersion) -> str | None:
    """The run that decided on the version, else the one that logged its model."""
    return version.tags.get(tags.RUN) or version.run_id or None
