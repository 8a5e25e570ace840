"""Registered models: a stored one registered once, whatever session tries it again, and its files."""

from __future__ import annotations

import hashlib
import tempfile
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
from pytest_nbaprops.wholefile import file_digest

with quiet():
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts, list_artifacts
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

MODEL_FILE: Final = "MLmodel"
_OF_MLFLOW: Final = "registered_model_meta"
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
    digest = {tags.MODEL_DIGEST: stored} if (stored := model.tags.get(tags.MODEL_DIGEST)) else {}
    content = content or model.tags.get(tags.CONTENT) or model.model_id
    if (known := version_of_content(store, name, content)) is not None:
        refuse_damaged(store, name, known)
        return known
    run_id = run_id or model.source_run_id
    values = {tags.CONTENT: content, tags.RUN: run_id or "", **digest, **(version_tags or {})}
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


def model_digest(folder: Path) -> str:
    """SHA-256 of an MLflow model's files, but for those that MLflow writes again when it stores or registers one."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in {MODEL_FILE, _OF_MLFLOW})
    lines = (f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fault_of_model(store: Store, name: str, number: str) -> str | None:
    """Why nobody could serve the version: its model is not there, or not the one that was stored; else None."""
    with store.calling(f"look at the model of {name} v{number}", artifacts=True) as client:
        source: str = client.get_model_version_download_uri(name, number)
        files = list_artifacts(artifact_uri=source, tracking_uri=store.uri)
        if not any(Path(file.path).name == MODEL_FILE for file in files):
            return f"has lost its model, which is not at {redact(source)}"
        stored = client.get_model_version(name, number).tags.get(tags.MODEL_DIGEST)
        if stored is None:  # of a version that is older than digests
            return None
        with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
            path = download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=store.uri)
            is_it = stored == model_digest(Path(path))
    return None if is_it else f"has other files at {redact(source)} than were stored"


def refuse_damaged(store: Store, name: str, number: str) -> None:
    """See that a version's model is there and whole: whoever serves it would have none, or another one.

    Where the folder may not be read nobody knows that it is lost.

    Raises:
        TrackingError: It is not where the registry says, or was changed.
    """
    try:
        fault = fault_of_model(store, name, number)
    except TrackingError:
        return
    if fault is not None:
        raise TrackingError(
            f"{name} v{number} {fault}: put it back there, or delete the version "
            f"(MlflowClient().delete_model_version({name!r}, {number!r})) and run the session again"
        )


def download_model(store: Store, name: str, number: str, what: str, folder: Path) -> Path:
    """The folder of the version's MLflow model, below `folder`, which is made if need be.

    Raises:
        TrackingError: Its files are not those that were stored.
    """
    with store.calling(what, artifacts=True) as client:
        source = client.get_model_version_download_uri(name, number)
        stored = client.get_model_version(name, number).tags.get(tags.MODEL_DIGEST)
        path = Path(download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=store.uri))
    if stored not in {None, model_digest(path)}:
        raise TrackingError(
            f"{name} v{number} cannot be loaded: its files at {redact(source)} are not those that were stored; "
            "put them back, or roll back to another version"
        )
    return path


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
