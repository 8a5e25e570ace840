"""What is masked beside addresses (tests/tracking/test_explain.py): headers, mappings, options, this process's own."""

from __future__ import annotations

import pytest

from pytest_nbaprops.redaction import is_secret_name, redact, redacted, redacted_words


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer S3cretPw",
        "{'Authorization': 'Basic S3cretPw'}",
        "x-api-key: S3cretPw",
        "got a 401 for Bearer S3cretPw-1",
        '{"db_password": "S3cretPw", "host": "h"}',
        "client(api_key='S3cretPw')",
        "--db-password=S3cretPw",
        "ghp_S3cretPwS3cretPwS3cretPw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTM2NyZXRQdyJ9.S3cretPw",
    ],
)
def test_headers_mappings_and_tokens_are_masked(text: str) -> None:
    """However a program writes them."""
    assert "S3cretPw" not in redact(text)
    assert "***" in redact(text)


def test_this_processs_own_secrets_are_masked_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their values, also the password of an address in whatever variable; paths and short values are not."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    monkeypatch.setenv("DATABASE_URL", "postgresql://bob:p%40ssword1@h/db")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/etc/key.json")
    monkeypatch.setenv("MY_TOKEN", "on")
    assert redact("login failed for 'correct horse' and p@ssword1 or p%40ssword1") == (
        "login failed for '***' and *** or ***"
    )
    assert redact("see /etc/key.json, on") == "see /etc/key.json, on"


def test_a_value_behind_an_option_of_such_a_name_is_masked() -> None:
    """In the same word or the next one; other options stay."""
    words = ["pytest", "--db-password", "hunter2", "-k", "token", "--api-key=x1", "--nbaprops-seed", "7"]
    assert redacted_words(words) == [
        "pytest", "--db-password", "***", "-k", "token", "--api-key=***", "--nbaprops-seed", "7",
    ]  # fmt: skip


def test_values_of_such_names_are_masked_in_mappings() -> None:
    """Texts only: a number of tokens is no token."""
    found = redacted({"params": {"api_token": "abc", "max_tokens": 5, "tokens": "a b"}, "list": [{"password": "x"}]})
    assert found == {"params": {"api_token": "***", "max_tokens": 5, "tokens": "a b"}, "list": [{"password": "***"}]}


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "apiToken", "--api-key", "access_key", "client.secret"])
def test_secret_names(name: str) -> None:
    """As people call them."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["max_tokens", "tokenizer", "keyword", "monkey", "secretary", "target", "key"])
def test_ordinary_names(name: str) -> None:
    """That only look like it."""
    assert not is_secret_name(name)
