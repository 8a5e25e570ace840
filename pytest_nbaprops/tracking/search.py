"""Questions to a store: every page of an answer, texts in MLflow's filter language, things that may not be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, ViewType
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException

T = TypeVar("T")

ACTIVE, DELETED, ALL = ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL
"""Which experiments and runs a search looks at."""

_MISSING: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def quoted(text: str) -> str:
    """The text as a string of MLflow's filter language, which knows no escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    raise TrackingError(f"{text!r} holds both kinds of quotes, which MLflow can't search for: leave one out")


def found(function: Any, *arguments: Any) -> Any | None:
    """The store's answer, or None where it knows of no such thing."""
    try:
        return function(*arguments)
    except MlflowException as error:
        if error.error_code in _MISSING and "not found" in str(error).lower():
            return None
        raise


def every(search: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """All that a search of MLflow's client finds, page after page."""
    token = None
    while True:
        page = search(*arguments, **options, page_token=token)
        yield from page
        if not (token := page.token):
            return


def versions(client: MlflowClient, name: str, condition: str = "") -> list[ModelVersion]:
    """All versions of the model that meet the condition, in no particular order."""
    return list(every(client.search_model_versions, f"name = {quoted(name)}{condition}", max_results=200))


def experiments(client: MlflowClient, view: int = ACTIVE) -> list[Experiment]:
    return list(every(client.search_experiments, view_type=view, max_results=1000))


def made_again(request: Callable[[], T]) -> T:
    """What the request gives, a second time where two writers met at the same new row: it is there now."""
    try:
        return request()
    except MlflowException as error:
        if not is_collision(error):
            raise
    return request()


def is_collision(error: MlflowException) -> bool:
    """Two writers at the same row: the database let one through, the other may try again."""
    text = str(error).lower()
    return is_there_already(error) or any(sign in text for sign in ("creation error", "database is locked"))


def is_there_already(error: MlflowException) -> bool:
    """The database has this row: another writer's, or ours, whose answer got lost before the client asked again."""
    text = str(error).lower()
    return "integrity" in text or "unique constraint" in text
