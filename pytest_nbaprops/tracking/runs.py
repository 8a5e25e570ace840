"""Experiments and runs of a store: make sure, find again, number on."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.database import ARTIFACTS, artifacts_of_another_store, sqlite_path
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.search import ALL, every, quoted

with quiet():
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.exceptions import MlflowException

_UNFINISHED = 20


def ensure_experiment(store: Store, name: str, artifact_root: Path | None = None) -> str:
    """Id of the experiment, created if need be.

    Slashes in the name make a hierarchy. `artifact_root` is the folder for the artifacts of a new experiment in a store
    without a server; None: `mlartifacts` beside the sqlite file, else in the working directory.

    Raises:
        TrackingError: The experiment was deleted, or its artifact folder can't be written.
    """
    store.check_writable()
    with store.calling(f"open the experiment {name!r}") as client:
        experiment = client.get_experiment_by_name(name) or _create(store, client, name, artifact_root)
    if experiment.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the experiment {name!r} was deleted in {store.name}: restore it with"
            f" `mlflow experiments restore --experiment-id {experiment.experiment_id}`,"
            " or choose another name with --nbaprops-experiment"
        )
    _check_artifacts(store, experiment)
    return str(experiment.experiment_id)


def _create(store: Store, client: MlflowClient, name: str, artifact_root: Path | None) -> Experiment:
    location = None if store.is_remote else artifact_location(store.uri, name, artifact_root)
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=location, tags=dict(tags.KIND)))
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":  # another session was first
            return client.get_experiment_by_name(name)
        raise


def artifact_location(uri: str, name: str, artifact_root: Path | None) -> str:
    if artifact_root is None:
        artifact_root = (sqlite_path(uri).parent if uri.startswith("sqlite") else Path.cwd()) / ARTIFACTS
    folder = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "experiment"
    return (artifact_root / folder).resolve().as_uri()


def _check_artifacts(store: Store, experiment: Experiment) -> None:
    parts = urlsplit(experiment.artifact_location)
    if parts.scheme not in ("", "file"):
        return
    folder = Path(url2pathname(parts.path))
    if store.uri.startswith("sqlite"):
        path = sqlite_path(store.uri)
        if (elsewhere := artifacts_of_another_store(path, experiment.artifact_location)) is not None:
            raise TrackingError(
                f"the tracking store {path} is a copy without its files: runs of the experiment {experiment.name!r}"
                f" would write into {elsewhere}, which belongs to the store there; copy {elsewhere.parent} to"
                f" {path.resolve().parent / ARTIFACTS} as well, or choose another experiment with"
                " --nbaprops-experiment"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(
            f"the artifact folder {folder} of the experiment {experiment.name!r} can't be written: {error.strerror};"
            " make it writable, or choose another experiment with --nbaprops-experiment"
        ) from error


def find_running(store: Store, experiment_id: str, candidate: str) -> list[Run]:
    """Runs of this candidate that are RUNNING, the newest first: of sessions that live, or that were killed.

    `candidate` is what `start_run` put into the tag `nbaprops.candidate`.
    """
    condition = f"attributes.status = 'RUNNING' AND tags.`{tags.CANDIDATE}` = {quoted(candidate)}"
    with store.calling("look for an unfinished run") as client:
        order = ["attributes.start_time DESC"]
        return list(client.search_runs([experiment_id], condition, max_results=_UNFINISHED, order_by=order))


def next_version_number(store: Store, experiment_id: str, template: str) -> int:
    """The number for `{n}`: one more than the highest among the runs of this name, deleted ones included.

    `template` is a run name with every placeholder but `{n}` filled in; without `{n}` the answer is 1.
    """
    before, placeholder, after = template.partition("{n}")
    if not placeholder:
        return 1
    shape = re.compile(rf"{re.escape(before)}(\d+){re.escape(after.replace('{n}', ''))}")
    condition = f"attributes.run_name LIKE {quoted(before + '%')}"
    with store.calling("number the run") as client:
        runs = every(client.search_runs, [experiment_id], condition, ALL, max_results=1000)
        names = [run.info.run_name for run in runs]
    return max((int(match[1]) for name in names if (match := shape.fullmatch(name))), default=0) + 1
