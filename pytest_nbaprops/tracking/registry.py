"""Registered models: register, check, promote by alias, and who the champion is."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import PREDICTIONS
from pytest_nbaprops.tracking.connection import Store, as_store
from pytest_nbaprops.tracking.evaluation import Requirements, evaluate
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.runs import quoted

with quiet():
    from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_NO_PREVIOUS: Final = "none"
_INTENDED: Final = "intended"
_DONE: Final = "done"
_RESERVED: Final = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
_ALIAS: Final = re.compile(r"[A-Za-z_][\w-]*")
_MISSING: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_REASON_CHARACTERS: Final = 1000


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


@dataclass(frozen=True, kw_only=True)
class UnknownChampion:
    """There are versions, but none that could be compared with: the gate calls that inconclusive."""

    name: str
    alias: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What `promote_model` did; `changed` is False where the alias was already there."""

    name: str
    alias: str
    version: str
    previous_version: str | None
    changed: bool


class ModelRegistry:
    """The registry of a tracking store; every failure is a TrackingError of one line."""

    def __init__(self, tracking_uri: str | None = None, *, store: Store | None = None) -> None:
        """Connect.

        Raises:
            TrackingError: The store can't be used.
        """
        self.store = as_store(store, tracking_uri)

    # -- reading ------------------------------------------------------------------------------------------------

    def aliases(self, model_name: str) -> dict[str, str]:
        """Version of each alias; empty where there is no such model."""
        with self.store.calling(f"read the aliases of {model_name}") as client:
            model = _found(client.get_registered_model, model_name)
        return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}

    def champion(self, model_name: str, alias: str) -> ChampionVersion | UnknownChampion | None:
        """The version to beat; None only if there is none at all, UnknownChampion if there are versions without it.

        A version whose first promotion was interrupted was never anyone's champion: alone, it counts as none.
        """
        alias = alias_name(alias)
        with self.store.calling(f"find {alias} of {model_name}") as client:
            versions = _versions(client, model_name)
            holder = _holder(client, model_name, alias) if versions else None
        if holder is not None:
            return _champion(holder, alias)
        if all(tags.INTENT in version.tags for version in versions):
            return None
        reason = f"{model_name} has {len(versions)} version(s), but none has the alias {alias!r}"
        return UnknownChampion(name=model_name, alias=alias, reason=reason)

    def find_version(self, model_name: str, content: str) -> str | None:
        """Number of the newest version registered with this content, if there is one."""
        with self.store.calling(f"look for a version of {model_name}") as client:
            found = _versions(client, model_name, f" AND tags.`{tags.CONTENT}` = {quoted(content)}")
        return max((str(version.version) for version in found if version.status == "READY"), key=int, default=None)

    def load_predictions(self, champion: ChampionVersion) -> pd.DataFrame:
        """The predictions that the version's run kept (`predictions.parquet`).

        Raises:
            TrackingError: It kept none, or they can't be read.
        """
        if champion.run_id is None:
            raise TrackingError(f"{champion.name} {champion.label} names no run, so its predictions are unknown")
        with (
            tempfile.TemporaryDirectory(prefix="nbaprops-") as folder,
            self.store.calling(f"read the predictions of {champion.name} {champion.label}", artifacts=True) as client,
        ):
            return pd.read_parquet(client.download_artifacts(champion.run_id, PREDICTIONS, folder), engine="pyarrow")

    # -- register and promote -----------------------------------------------------------------------------------

    def register_model(  # noqa: PLR0913  the version's whole identity
        self,
        model_uri: str,
        model_name: str,
        *,
        content: str | None = None,
        run_id: str | None = None,
        alias: str | None = None,
        version_tags: Mapping[str, str] | None = None,
    ) -> str:
        """Number of the version of this model, a new one only if there is none yet.

        Args:
            model_uri: `models:/m-…` from `log_model`, or the id of the run that logged it.
            model_name: Registered model, created if need be.
            content: Identity of what was fitted; None: the model's own tag, else its URI.
            run_id: The run that decided, where it is not the one that logged the model.
            alias: Alias that it is registered for, if a promotion follows: an interrupted one is then recognised.
            version_tags: More tags, written together with the version.
        """
        with self.store.calling(f"register {model_uri}") as client:
            model = client.get_logged_model(_model_id(client, model_uri))
        content = content or model.tags.get(tags.CONTENT) or model.model_id
        if (known := self.find_version(model_name, content)) is not None:
            return known
        run_id = run_id or model.source_run_id
        values = {tags.CONTENT: content, tags.RUN: run_id or "", **(version_tags or {})}
        if alias is not None:
            values[tags.INTENT] = alias_name(alias)
        with self.store.calling(f"register a version of {model_name}", artifacts=True) as client:
            # Without a server MLflow would look a models:/ source up in its global tracking URI, not in this store.
            source = f"models:/{model.model_id}" if self.store.is_remote else model.artifact_location
            _ensure_registered(client, model_name)
            created = client.create_model_version(
                model_name, source, run_id=run_id, tags=values, model_id=model.model_id, await_creation_for=60
            )
        return str(created.version)

    def promote_model(  # noqa: PLR0913  who, where to, why, against whom
        self,
        model_name: str,
        version: str | int,
        stage: str,
        *,
        reason: str | None = None,
        expected_version: str | None = "any",
        details: Mapping[str, str] | None = None,
    ) -> Promotion:
        """Give the alias to the version: its tags first, then the alias, then a look whether it holds.

        Args:
            model_name: Registered model.
            version: Its version.
            stage: The alias; `Staging`, `Production` and `Archived` mean the aliases of that name in lower case.
            reason: Why, kept on the version.
            expected_version: Version that must hold the alias now, None for no one; "any": whoever does.
            details: More to keep in the version's event (verdict, commit, ...).

        Raises:
            TrackingError: No such version, a reserved alias, another holder than expected, or the alias does not stay.
        """
        alias, number = alias_name(stage), str(version)
        what = f"promote {model_name} v{number} to {alias}"
        with self.store.calling(what) as client:
            target = _known_version(client, model_name, number)
            previous = _holder_version(client, model_name, alias)
        if previous == number:
            self._complete(target, alias)
            return Promotion(name=model_name, alias=alias, version=number, previous_version=number, changed=False)
        _check_expected(what, previous, expected_version)
        with self.store.calling(what) as client:
            _record(client, target, _event(alias, previous, reason, details))
            _check_expected(what, _holder_version(client, model_name, alias), previous)
            _set_alias(client, model_name, alias, number)
            if _holder_version(client, model_name, alias) != number:
                raise TrackingError(f"could not {what}: another session moved the alias at the same time, run again")
        with self.store.calling(what) as client:
            target = _known_version(client, model_name, number)
        self._complete(target, alias)
        return Promotion(name=model_name, alias=alias, version=number, previous_version=previous, changed=True)

    def _complete(self, version: ModelVersion, alias: str) -> None:
        """Say on the version that the alias did move; after a crash the next promotion does it."""
        with self.store.calling(f"complete the promotion of {version.name} v{version.version}") as client:
            key = max(_event_keys(version, alias), default=None)
            if key is not None and (event := json.loads(version.tags[key]))["state"] != _DONE:
                client.set_model_version_tag(version.name, version.version, key, json.dumps({**event, "state": _DONE}))
            if tags.INTENT in version.tags:
                client.delete_model_version_tag(version.name, version.version, tags.INTENT)

    def evaluate_for_production(self, model_name: str, version: str | int, criteria: Requirements) -> dict[str, Any]:
        """Check a version's own metrics against criteria.

        Args:
            model_name: Registered model.
            version: Its version.
            criteria: Expressions (`["mae <= 6.2", "r2 >= 0.55"]`), or thresholds by metric (`{"mae": 6.2}`: at most
                for errors, at least for the others; `{"bias": "<= 0.5"}` says which).

        Returns:
            `model_name`, `version`, `run_id`, `passed` and `criteria`, a list with `expression`, `metric`, `value`,
            `threshold`, `passed`, `reason`. No criteria, a missing, NaN or infinite metric, and everything that the
            run's metrics can't tell (slices, intervals, references) never pass.
        """
        with self.store.calling(f"read the metrics of {model_name} v{version}") as client:
            target = _known_version(client, model_name, str(version))
            run_id = target.tags.get(tags.RUN) or target.run_id
            metrics = client.get_run(run_id).data.metrics if run_id else {}
        results = evaluate(metrics, criteria)
        return {
            "model_name": model_name,
            "version": str(version),
            "run_id": run_id,
            "passed": bool(results) and all(result["passed"] for result in results),
            "criteria": results,
        }


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


def _found(function: Any, *arguments: Any) -> Any | None:
    """The registry's answer, or None where it knows of no such thing."""
    try:
        return function(*arguments)
    except MlflowException as error:
        if error.error_code in _MISSING and "not found" in str(error).lower():
            return None
        raise


def _versions(client: MlflowClient, name: str, condition: str = "") -> list[ModelVersion]:
    versions: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = {quoted(name)}{condition}", max_results=200, page_token=token)
        versions.extend(page)
        token = page.token
        if not token:
            return versions


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    return _found(client.get_model_version_by_alias, name, alias)


def _holder_version(client: MlflowClient, name: str, alias: str) -> str | None:
    holder = _holder(client, name, alias)
    return None if holder is None else str(holder.version)


def _known_version(client: MlflowClient, name: str, number: str) -> ModelVersion:
    version = _found(client.get_model_version, name, number)
    if version is not None:
        return version
    there = ", ".join(f"v{known.version}" for known in _versions(client, name)) or "none"
    raise TrackingError(f"{name} has no version {number}; there are: {there}")


def _champion(version: ModelVersion, alias: str) -> ChampionVersion:
    return ChampionVersion(
        name=version.name,
        alias=alias,
        version=str(version.version),
        run_id=version.tags.get(tags.RUN) or version.run_id or None,
        content=version.tags.get(tags.CONTENT),
        tags=dict(version.tags),
    )


def _model_id(client: MlflowClient, model_uri: str) -> str:
    if model_uri.startswith("models:/m-"):
        return model_uri.removeprefix("models:/")
    run_id = model_uri.removeprefix("runs:/").partition("/")[0]
    uri = client.get_run(run_id).data.tags.get(tags.MODEL_URI)
    if uri is None:
        raise TrackingError(f"the run {run_id} has no stored model: call log_model first")
    return str(uri).removeprefix("models:/")


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _check_expected(what: str, holder: str | None, expected: str | None) -> None:
    if expected not in ("any", holder):
        now = "no version has the alias" if holder is None else f"v{holder} has it"
        then = "none" if expected is None else f"v{expected}"
        raise TrackingError(
            f"could not {what}: the alias moved since the comparison ({then} expected, now {now});"
            " run again to compare with the new champion"
        )


def _event(alias: str, previous: str | None, reason: str | None, details: Mapping[str, str] | None) -> dict[str, Any]:
    return {
        **(details or {}),
        "event": "promote",
        "state": _INTENDED,
        "alias": alias,
        "previous_version": previous,
        "reason": (reason or "")[:_REASON_CHARACTERS],
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def _event_keys(version: ModelVersion, alias: str) -> list[str]:
    prefix = f"{tags.EVENT_PREFIX}{alias}."
    return sorted(key for key in version.tags if key.startswith(prefix))


def _record(client: MlflowClient, version: ModelVersion, event: Mapping[str, Any]) -> None:
    """Tags that rollback and history read; written before the alias moves, so an alias always has its story."""
    alias = event["alias"]
    values = {
        f"{tags.EVENT_PREFIX}{alias}.{len(_event_keys(version, alias)) + 1:06d}": json.dumps(event),
        tags.PREVIOUS: event["previous_version"] or _NO_PREVIOUS,
        tags.REASON: event["reason"],
        tags.PROMOTED_AT: event["at"],
    }
    for key, value in values.items():
        client.set_model_version_tag(version.name, version.version, key, value)


def _set_alias(client: MlflowClient, name: str, alias: str, number: str) -> None:
    try:
        client.set_registered_model_alias(name, alias, number)
    except MlflowException as error:
        if "integrity" not in str(error).lower() and "unique constraint" not in str(error).lower():
            raise
        # Two sessions wrote an alias that did not exist yet: the row is there now.
        client.set_registered_model_alias(name, alias, number)
