"""What a store's failure means, on one line, without passwords."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pytest_nbaprops.redaction import redact

_MAX_REASON: Final = 300

_NEWER: Final = "it was written by a newer MLflow than the one installed here (upgrade mlflow)"
_FOUND_VERSION: Final = re.compile(r"out-of-date database schema \(found version (\w+)")

# MLflow wraps what happened on the wire into long texts: the first pattern that is found names it, and the way out
# where that is another one than starting the server.
_MEANINGS: Final = (
    (r"NameResolutionError|getaddrinfo|Name or service not known", "its host name is not known", None),
    (r"Connection refused|NewConnectionError", "nothing answers at this address", None),
    (r"ReadTimeout|ConnectTimeout|timed out|timeout exception", "it does not answer in time", None),
    (
        r"error code 403\b.*Permission denied|PERMISSION_DENIED",
        "it does not allow this to who logs in (by MLFLOW_TRACKING_USERNAME or MLFLOW_TRACKING_TOKEN)",
        "ask for the right",
    ),
    (
        r"error code 40[13]\b|UNAUTHENTICATED|not authenticated",
        "it refuses the credentials (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN)",
        "set them",
    ),
    (
        r"error code (\d+) != 200",
        r"it answers with HTTP status \1, as no MLflow server does",
        "look at what it says there",
    ),
    (r"too many (\d+) error responses", r"it answers with HTTP status \1", "look at what it says there"),
    (r"API request to \S+ failed with exception", "the connection broke off", "look at its log"),
    (r"response body was not in a valid JSON format", "what answers there is no MLflow server", "look at the address"),
    (r"Can't locate revision", _NEWER, None),
    (
        r"out-of-date database schema",
        "it was written by an older MLflow (back it up and run mlflow db upgrade URI)",
        None,
    ),
    (r"(.*database is locked.*)", r"\1", "another program is writing to it: wait for that or end it, and run again"),
)


def _is_newer(text: str) -> bool:
    """Whether MLflow calls a schema out of date that it has never heard of."""
    named = _FOUND_VERSION.search(text)
    if named is None:
        return False
    from mlflow.store import db_migrations  # noqa: PLC0415  only for this one message

    versions = Path(str(db_migrations.__file__)).parent / "versions"
    return versions.is_dir() and not any(versions.glob(f"{named[1]}_*.py"))


def one_line(error: BaseException) -> str:
    """What an exception says or means, on one line, without passwords and at most 300 characters."""
    return explained(error)[0]


def explained(error: BaseException) -> tuple[str, str | None]:
    """The same, and what to do about it where that is known."""
    text, way_out = " ".join(redact(str(error)).split()) or type(error).__name__, None
    for pattern, meaning, way in _MEANINGS:
        if match := re.search(pattern, text):
            text, way_out = _NEWER if _is_newer(text) else match.expand(meaning), way
            break
    return (text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + "…"), way_out
