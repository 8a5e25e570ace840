"""Registered models: a stored one registered once, whatever session tries it again, and its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.retries import create_once
from pytest_nbaprops.tracking.search import is_collision, quoted, versions

with quiet():
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts, list_artifacts
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

MODEL_FILE: Final = "MLmodel"
_TRIES: Final = 5


def version_of_content(store: Store, name: str, content: str) -> str | None:
    """Number of the newest complete version registered with this content."""
    with store.calling(f"look for a version of {name}") as client:
        there = _complete(client, name, content)
    return None if there is None else str(there.version)


def _complete(client: MlflowClient, name: str, content: str) -> ModelVersion | None:
    there = versions(client, name, f" AND tags.`{tags.CONTENT}` = {quoted(content)}")
    ready = [version for version in there if version.status == "READY"]
    return max(ready, key=lambda version: int(version.version), default=None)


def register(  # noqa: PLR0913 - the version's whole identity
    store: Store,
    model_uri: str,
    name: str,
    *,
    content: str | None = None,
    run_id: str | None = None,
    version_tags: Mapping[str, str] | None = None,
) -> str:
    """Number of the version of this content, a new one only if there is none yet; as `ModelRegistry.register_model`."""
    store.check_writable()
    with store.calling(f"register {model_uri}") as client:
        model = client.get_logged_model(_model_id(client, model_uri))
    content = content or model.tags.get(tags.CONTENT) or model.model_id
    if (known := version_of_content(store, name, content)) is not None:
        refuse_missing(store, name, known)
        return known
    run_id = run_id or model.source_run_id
    values = {tags.CONTENT: content, tags.RUN: run_id or "", **(version_tags or {})}
    with store.calling(f"register a version of {name}", artifacts=True) as client:
        # Without a server MLflow would look a models:/ source up in its global tracking URI, not in this store.
        source = f"models:/{model.model_id}" if store.is_remote else model.artifact_location
        make_model(client, name)
        created = create_once(
            lambda: client.create_model_version(
                name, source, run_id=run_id, tags=values, model_id=model.model_id, await_creation_for=60
            ),
            lambda: _complete(client, name, content),
        )
    return str(created.version)


def append_version(
    client: MlflowClient,
    name: str,
    create: Callable[[], ModelVersion],
    look: Callable[[], ModelVersion | None],
    **model: Any,
) -> ModelVersion:
    """What `create` gives, or `look` finds of it; the registered model is made with `model` where there is none yet.

    Several sessions may do so at once.
    """
    for left in reversed(range(_TRIES)):
        try:
            return create_once(create, look)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" and name in str(error) and left:
                make_model(client, name, **model)
            elif not is_collision(error) or not left:
                raise
    raise AssertionError


def make_model(client: MlflowClient, name: str, **model: Any) -> None:
    """Make the registered model, unless another session is doing so."""
    try:
        client.create_registered_model(name, **model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS" and not is_collision(error):
            raise


def missing_model(store: Store, name: str, number: str) -> str | None:
    """The address at which the version's model should be and is not; None where it is there."""
    with store.calling(f"look for the model of {name} v{number}", artifacts=True) as client:
        source: str = client.get_model_version_download_uri(name, number)
        files = list_artifacts(artifact_uri=source, tracking_uri=store.uri)
    return None if any(Path(file.path).name == MODEL_FILE for file in files) else source


def refuse_missing(store: Store, name: str, number: str) -> None:
    """See that a version's model is there: whoever serves it would have none.

    Where the folder may not be listed nobody knows that it is lost.

    Raises:
        TrackingError: It is not where the registry says.
    """
    try:
        source = missing_model(store, name, number)
    except TrackingError:
        return
    if source is not None:
        raise TrackingError(
            f"{name} v{number} has lost its model, which is not at {redact(source)}: put it back there, or delete the "
            f"version (MlflowClient().delete_model_version({name!r}, {number!r})) and run the session again"
        )


def download_model(store: Store, name: str, number: str, what: str, folder: Path) -> Path:
    """The folder of the version's MLflow model, below `folder`, which is made if need be."""
    with store.calling(what, artifacts=True) as client:
        source = client.get_model_version_download_uri(name, number)
        return Path(download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=store.uri))


def model_flavors(folder: Path) -> dict[str, Any]:
    """What the MLflow model in the folder says of how it is stored, by flavor."""
    with quiet():
        return dict(Model.load(str(folder)).flavors)


def _model_id(client: MlflowClient, model_uri: str) -> str:
    if model_uri.startswith("models:/m-"):
        return model_uri.removeprefix("models:/")
    run_id = model_uri.removeprefix("runs:/").partition("/")[0]
    uri = client.get_run(run_id).data.tags.get(tags.MODEL_URI)
    if uri is None:
        raise TrackingError(f"the run {run_id} has no stored model: call log_model first")
    return str(uri).removeprefix("models:/")
