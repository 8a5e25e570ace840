"""Requests whose answer was lost, sent again where that is safe: newer MLflow sends no POST a second time itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow.exceptions import MlflowException

T = TypeVar("T")

_PAUSE_SECONDS: Final = 1.0
_LOCKED_SECONDS: Final = 60.0
_PAUSES: Final = (1.0, 2.0, 4.0)
_READING: Final = ("get_", "search_", "list_")
# Answers that say to come back; of an error of the server's own once more is enough.
_BUSY: Final = re.compile(r"error code (429|502|503|504)\b|too many (429|50[234]) error responses")
# Twice is the same as once; who moves an alias looks at it again afterwards.
_REPEATABLE: Final = frozenset((
    "finalize_logged_model", "log_batch", "log_inputs", "set_model_version_tag", "set_registered_model_alias",
    "set_tag", "set_terminated", "update_run",
))  # fmt: skip
# The server may have done what it was asked for: only its answer is lost, or an error of its own.
_TRANSIENT: Final = re.compile(
    r"error code (429|500|502|503|504)\b|too many (429|50[0234]) error responses|Connection aborted|RemoteDisconnected"
    r"|Connection reset|IncompleteRead|Read timed out"
)


def create_once(create: Callable[[], T], look: Callable[[], T | None]) -> T:
    """What `create` gives; where its answer was lost, what `look` finds, and only then a second try."""
    try:
        return create()
    except MlflowException as error:
        if _TRANSIENT.search(str(error)) is None:
            raise
    time.sleep(_PAUSE_SECONDS)
    there = look()
    return create() if there is None else there


def _patiently(method: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Ask again, after longer and longer pauses, a server that says that it is busy."""
    for pause in _PAUSES:
        try:
            return method(*arguments, **named)
        except MlflowException as error:
            if _BUSY.search(str(error)) is None:
                raise
        time.sleep(pause)
    return method(*arguments, **named)


class RetryingClient:
    """MLflow's client, which sends what can be repeated a second time, and asks a busy server more often."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name.startswith(_READING):
            return partial(_patiently, method)
        if name not in _REPEATABLE:
            return method
        method = partial(_patiently, method)
        return lambda *arguments, **named: create_once(partial(method, *arguments, **named), lambda: None)


class PatientClient:
    """MLflow's client on a sqlite file, which waits while another process has it locked.

    What met the lock was rolled back as a whole, so that any request can be sent again.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return partial(_once_unlocked, getattr(self._client, name))


def _once_unlocked(method: Any, *arguments: Any, **named: Any) -> Any:
    end = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            return method(*arguments, **named)
        except Exception as error:  # SQLAlchemy's own, where MLflow has not yet opened its registry
            if "database is locked" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)
