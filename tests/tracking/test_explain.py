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
        ("user:S3cretPw@127.0.0.1:9", "user:***@127.0.0.1:9"),
        ("postgresql:user:S3cretPw@h", "postgresql:***@h"),
        ("--tracking-uri=user:a/b@c@h/db", "--tracking-uri=user:***@h/db"),
        ("//user:S3cretPw@h", "//user:***@h"),
        ("postgresql+psycopg2://user:S3cret Pw@h:1/db", "postgresql+psycopg2://user:***@h:1/db"),
        ("http://user:S3cretPw@[::bad/x", "http://user:***@[::bad/x"),
        ("http://h?api_key=K&apikey=K&key=K&sig=S&signature=S", "http://h?api_key=***&apikey=***&key=***&sig=***&signature=***"),
        ("http://h?auth=A&pw=P&pass=P&access_token=T", "http://h?auth=***&pw=***&pass=***&access_token=***"),
        ("mysql://h/db?charset=utf8&connect_timeout=3&x=1", "mysql://h/db?charset=utf8&connect_timeout=3&x=***"),
        ("http://h/x;token=abc", "http://h/x;token=***"),
        ("host=h user=bob password=hunter2 dbname=x", "host=h user=bob password=*** dbname=x"),
    ],
)  # fmt: skip
def test_passwords_are_masked(text: str, expected: str) -> None:
    """Passwords and tokens of every URI in a text become stars, the rest stays."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "tip-off 12:30@Boston, 7:05@LAL",
        "write to bob@example.org, or mailto:bob@example.org",
        "contact: bob@example.org",
        "could not reach http://host:5000 (mail bob@example.org)",
        "could not reach http://host:5000/api, mail bob@example.org",
        "could not reach http://[::1]:5000, mail bob@example.org",
        "models:/NBAPropsModel@champion",
        "sqlite:////home/bob@work/mlflow.db",
        "a ratio of 3:1 at @staging; depth=3;eta=0.1",
        '{"a": 1, "note": "x=1 & y=2"}',
        "is it fair? yes",
        "max_tokens=5 and n_tokens: 7",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Times, addresses in prose, aliases, ports and parameters are no passwords."""
    assert redact(text) == text


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
        ("Detected out-of-date database schema (found version 728d730b5ebd, but", "mlflow db upgrade"),
        ("Detected out-of-date database schema (found version ffffffffffff, but", "newer MLflow"),
    ],
)
def test_what_mlflow_wraps_is_unwrapped(text: str, meaning: str) -> None:
    """MLflow's long texts about the wire are said in a few words."""
    assert meaning in one_line(RuntimeError(text))
