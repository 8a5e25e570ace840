"""Reading a registry: versions, aliases, who holds them, and the champion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.events import events_in
from pytest_nbaprops.registry.journal import SUFFIX
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.search import found, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

DEFAULT_CHAMPION: Final = "production"
_RESERVED: Final = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
_ALIAS: Final = re.compile(r"[A-Za-z_][\w-]*")


def version_as_champion(version: ModelVersion, alias: str) -> Champion:
    return Champion(
        name=version.name,
        alias=alias,
        version=str(version.version),
        run_id=run_of(version),
        content=version.tags.get(tags.CONTENT),
        tags=dict(version.tags),
    )


def run_as_champion(run: Run) -> Champion:
    return Champion(name=run.info.run_name or run.info.run_id, run_id=run.info.run_id)


def record_of(champion: Champion) -> VersionRecord:
    return VersionRecord.from_tags(champion.tags)


def criteria_of_champion(champion: Champion) -> tuple[str, ...] | None:
    """Expressions that it was judged by when it last was promoted to the alias; None where nobody wrote them down.

    A version that is promoted once more was perhaps judged by others than when it was registered.
    """
    if champion.version is None or champion.alias is None:
        return None
    events = events_in(champion.tags, champion.version, champion.alias)
    judged = [VersionRecord.from_tags(event.details) for event in events]
    last = next((record for record in reversed(judged) if record.criteria), record_of(champion))
    return last.expressions


def champion_of(client: MlflowClient, name: str, alias: str) -> Champion | None:
    """The version to beat; None only if there is none at all, one that is not known if versions are without the alias.

    A version whose first promotion was interrupted was never anyone's champion: alone, it counts as none.
    """
    known = versions(client, name)
    holder = found(client.get_model_version_by_alias, name, alias) if known else None
    if holder is not None:
        return version_as_champion(holder, alias)
    if all(tags.INTENT in version.tags for version in known):
        return None
    reason = f"{name} has {len(known)} version(s), but none has the alias {alias!r}"
    return Champion(name=name, alias=alias, unavailable=reason)


def is_alias(text: str) -> bool:
    return _ALIAS.fullmatch(text) is not None and _RESERVED.fullmatch(text) is None


def alias_name(stage: str) -> str:
    """The alias that a stage or alias name means, in lower case: MLflow takes `Production` for another one.

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
    there = versions(client, name)
    raise TrackingError(
        f"{name} has no version {number}; there are: {listed(there)}" if there else no_such_model(client, name)
    )


def no_such_model(client: MlflowClient, name: str) -> str:
    """That a model has no version, and which models there are."""
    return (
        f"there is no version of {name}; registered models: {', '.join(model_names(client)) or 'none'} (--model NAME)"
    )


def model_names(client: MlflowClient) -> list[str]:
    """The names of the registered models, without their journals."""
    names = sorted(str(model.name) for model in client.search_registered_models())
    return [name for name in names if not name.endswith(SUFFIX)]


def listed(known: Sequence[ModelVersion]) -> str:
    """`v1, v2, v3`; of many only the last ten."""
    if not known:
        return "none"
    numbers = sorted(int(version.version) for version in known)
    shown = ", ".join(f"v{number}" for number in numbers[-10:])
    return shown if len(numbers) <= 10 else f"… {shown}"  # noqa: PLR2004 - one line of an error


def deciding_run(client: MlflowClient, version: ModelVersion) -> Run | None:
    """As `run_of`, the run itself; None where the version names none, or it is gone."""
    run_id = run_of(version)
    return found(client.get_run, run_id) if run_id else None


def run_of(version: ModelVersion) -> str | None:
    """The run that decided on the version, else the one that logged its model."""
    return version.tags.get(tags.RUN) or version.run_id or None
