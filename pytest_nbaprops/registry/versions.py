"""Reading a registry: versions, aliases, and who holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.events import events_in
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.runs import quoted

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CRITERIA: Final = "criteria"
"""Tag of a version and detail of its events: the criteria it was judged by, rows as in decision.json."""

_RESERVED: Final = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
_ALIAS: Final = re.compile(r"[A-Za-z_][\w-]*")
_MISSING: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True, kw_only=True)
class ChampionVersion:
    """The version that holds an alias."""

    name: str
    alias: str
    version: str
    run_id: str | None
    content: str | None
    tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """How people call it: `v4`."""
        return f"v{self.version}"

    @property
    def criteria(self) -> tuple[str, ...] | None:
        """Expressions that it was judged by when it last was promoted to the alias; None where nobody wrote them down.

        A version that is promoted once more was perhaps judged by others than when it was registered.
        """
        told = [event.details.get(CRITERIA) for event in events_in(self.tags, self.version, self.alias)]
        text = next((text for text in reversed(told) if text), self.tags.get(CRITERIA))
        return None if text is None else _expressions(text)


def _expressions(text: str) -> tuple[str, ...] | None:
    try:
        return tuple(str(row["expression"]) for row in json.loads(text))
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, kw_only=True)
class UnknownChampion:
    """There are versions, but none that could be compared with: the gate calls that inconclusive."""

    name: str
    alias: str
    reason: str


def alias_name(stage: str) -> str:
    """The alias that a stage or alias name means: MLflow keeps them in lower case.

    Raises:
        TrackingError: Names that MLflow reserves (`latest`, `v3`), or that are none.
    """
    alias = stage.lower()
    if _RESERVED.fullmatch(alias) or not _ALIAS.fullmatch(alias):
        raise TrackingError(
            f"{stage!r} can't be an alias: latest, v<number> and numbers are MLflow's own;"
            " use letters, digits, - and _, such as staging or production (--nbaprops-alias)"
        )
    return alias


def found(function: Any, *arguments: Any) -> Any | None:
    """The registry's answer, or None where it knows of no such thing."""
    try:
        return function(*arguments)
    except MlflowException as error:
        if error.error_code in _MISSING and "not found" in str(error).lower():
            return None
        raise


def versions(client: MlflowClient, name: str, condition: str = "") -> list[ModelVersion]:
    """All versions of the model that meet the condition, in no particular order."""
    collected: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = {quoted(name)}{condition}", max_results=200, page_token=token)
        collected.extend(page)
        token = page.token
        if not token:
            return collected


def holders(client: MlflowClient, name: str) -> dict[str, str]:
    """Version of each alias; empty where there is no such model."""
    model = found(client.get_registered_model, name)
    return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}


def is_registered(client: MlflowClient, name: str) -> bool:
    """Whether there is a registered model of this name."""
    return found(client.get_registered_model, name) is not None


def known_version(client: MlflowClient, name: str, number: str) -> ModelVersion:
    """The version.

    Raises:
        TrackingError: There is none of this number; the line names those there are.
    """
    number = number.removeprefix("v")
    version = found(client.get_model_version, name, number) if number.isdecimal() else None
    if version is not None:
        return version
    numbers = sorted(int(known.version) for known in versions(client, name))
    raise TrackingError(f"{name} has no version {number}; there are: {listed(numbers)}")


def listed(numbers: Sequence[int]) -> str:
    """`v1, v2, v3`; of many only the last ten."""
    if not numbers:
        return "none"
    shown = ", ".join(f"v{number}" for number in numbers[-10:])
    return shown if len(numbers) <= 10 else f"… {shown}"  # noqa: PLR2004 - one line of an error


def run_of(version: ModelVersion) -> str | None:
    """The run that decided on the version, else the one that logged its model."""
    return version.tags.get(tags.RUN) or version.run_id or None


def as_champion(version: ModelVersion, alias: str) -> ChampionVersion:
    return ChampionVersion(
        name=version.name,
        alias=alias,
        version=str(version.version),
        run_id=run_of(version),
        content=version.tags.get(tags.CONTENT),
        tags=dict(version.tags),
    )
