from __future__ import annotations

import pytest

from pytest_nbaprops.redaction import redact
from pytest_nbaprops.tracking.explain import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://bob:hunter2@host:5000", "http://bob:***@host:5000"),
        ("postgresql://bob:hun@ter/2@db/mlflow", "postgresql://bob:***@db/mlflow"),
        ("mysql+pymysql://bob:@db/x", "mysql+pymysql://bob:***@db/x"),
        ("https://s3cr3t@host/path", "https://***@host/path"),
        ("postgresql://bob@db/mlflow", "postgresql://bob@db/mlflow"),
        ("postgresql://db/x?user=bob&password=hunter2&sslmode=require", "postgresql://db/x?user=bob&password=***&sslmode=require"),
        ("https://host/?access_token=abc", "https://host/?access_token=***"),
        ("sqlite:////home/bob/mlflow.db", "sqlite:////home/bob/mlflow.db"),
        ("could not reach http://a:b@c and http://d:e@f", "could not reach http://a:***@c and http://d:***@f"),
        ("http://host:5000/path", "http://host:5000/path"),
    ],
)  # fmt: skip
def test_passwords_are_masked(text: str, expected: str) -> None:
    """Passwords and tokens of every URI in a text become stars, the rest stays."""
    assert redact(text) == expected


def test_one_line_is_one_short_line() -> None:
    """A long text of many lines becomes one line of about 300 characters."""
    line = one_line(ValueError("first\n  second\t" + "x" * 1000))
    assert line.startswith("first second xxx")
    assert len(line) == 301
    assert "\n" not in line


def test_an_exception_without_text_is_named() -> None:
    """Where the exception says nothing, its type does."""
    assert one_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("API request to http://x failed with exception (Caused by NewConnectionError(...))", "nothing answers"),
        ("API request to http://x failed with timeout exception", "in time"),
        ("API request to endpoint /y failed with error code 401 != 200.", "credentials"),
        ("API request to endpoint /y failed with error code 404 != 200.", "HTTP status 404"),
        ("NameResolutionError(...)", "host name"),
        ("Can't locate revision identified by 'abc'", "newer MLflow"),
        ("Detected out-of-date database schema (found version a)", "mlflow db upgrade"),
    ],
)
def test_what_mlflow_wraps_is_unwrapped(text: str, meaning: str) -> None:
    """MLflow's long texts about the wire are said in a few words."""
    assert meaning in one_line(RuntimeError(text))
