"""Passwords and tokens out of texts that are shown, logged or written. Standard library only.

In doubt something is masked: a masked word of prose is a nuisance, a password in a log is an incident.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

_MASK: Final = "***"

_USER_PASSWORD: Final = re.compile(r"(?<=//)([^/\s:@\[]*):(\S*)@")
# With blanks in the password; `//host:5000 …` is a port, and what comes after it is prose.
_BLANK_PASSWORD: Final = re.compile(
    r"(?<=//)([^/\s:@\[]*):(?!\d{1,5}(?:[^\w@]|$))(?:(?!://)[^\n\"'<>])*?@(?!\S*@)(?=[\w\[])"
)
_USER_ONLY: Final = re.compile(r"(https?)://[^/\s:@]+@")
# `user:password@host` where the scheme was forgotten; not 12:30@home, models:/name@alias, C:\x@y or to:bob@example.org.
_NO_SCHEME: Final = re.compile(
    r"(?<![\w/@.])(?!(?:mailto|e-?mail|mail|to|from|cc|bcc|contact):)"
    r"([A-Za-z][\w.+-]*):(?!\d{1,2}@)([^\s/\\\"'<>@][^\s\"'<>]*)@(?=[\w\[])",
    re.IGNORECASE,
)
_QUERY: Final = re.compile(r"([?&])([\w.%\[\]-]+)=([^&\s;\"'<>]+)")
_NAME: Final = r"(?:password|passwd|passphrase|secret|token|credentials?|api[-_]?key|access[-_]?key|private[-_]?key)"
_SECRET: Final = re.compile(rf"(?<![\w-])([\w-]*{_NAME}|pwd)=([\"']?)([^&\s;,\"'<>]+)", re.IGNORECASE)
# `"token": "abc"`, as mappings are written.
_QUOTED: Final = re.compile(rf"(?<![\w-])([\w-]*{_NAME}[\"']\s*:\s*[\"'])([^\"']+)(?=[\"'])", re.IGNORECASE)
_HEADER: Final = re.compile(
    r"\b((?:proxy-)?authorization|x-api-key|x-auth-token)([\"']?\s*[:=]\s*[\"']?)((?:bearer|basic|token)\s+)?[^\s\"',;]+",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"\b(bearer|basic)\s+(?=[\w.~+/=-]*[\d._~+/=-])[\w.~+/=-]{8,}", re.IGNORECASE)
# Tokens that are known by how they begin: GitHub, GitLab, AWS, Slack, OpenAI and Databricks, JSON web tokens.
_WELL_KNOWN: Final = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|A[KS]IA[A-Z0-9]{16}|xox[abprs]-[\w-]{10,}"
    r"|sk-[\w-]{20,}|dapi[0-9a-f]{32}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_SECRET_NAME: Final = re.compile(rf"(?:^|[^A-Za-z0-9]|(?<=[a-z])(?=[A-Z])){_NAME}$|^pwd$", re.IGNORECASE)
_SECRET_VARIABLE: Final = re.compile(
    r"PASSW|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|COOKIE|AUTHORIZATION|HEADER",
    re.IGNORECASE,
)
_ADDRESS_PASSWORD: Final = re.compile(r"//[^/\s:@\[]*:(\S+)@")
_SHORTEST: Final = 6  # a shorter one would mask half of every text

_HARMLESS: Final = frozenset(
    {
        "application_name", "cache", "charset", "check_same_thread", "compress", "connect_timeout",
        "database", "db", "dbname", "driver", "encoding", "experiment_id", "format", "host", "max_results",
        "metric", "mode", "name", "port", "read_timeout", "run_id", "schema", "ssl", "ssl_mode", "sslmode",
        "timeout", "unix_socket", "uri", "user", "username", "version", "workflowtype", "write_timeout",
    }
)  # fmt: skip
"""Query keys whose values may be shown; whatever else stands in a query may be a secret."""


def redact(text: str) -> str:
    """The text with `***` for the secrets in it.

    Those are passwords, tokens and unknown query values of every URI, what headers carry, and this process's own:
    whatever an environment variable of such a name holds, and the passwords of addresses in any of them.
    """
    return _without(text, _of_the_environment())


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _MASK)
    text = _USER_PASSWORD.sub(rf"\1:{_MASK}@", text)
    text = _BLANK_PASSWORD.sub(rf"\1:{_MASK}@", text)
    text = _USER_ONLY.sub(rf"\1://{_MASK}@", text)
    text = _NO_SCHEME.sub(rf"\1:{_MASK}@", text)
    text = _QUERY.sub(lambda key: key[0] if key[2].lower() in _HARMLESS else f"{key[1]}{key[2]}={_MASK}", text)
    text = _SECRET.sub(rf"\1=\2{_MASK}", text)
    text = _QUOTED.sub(rf"\1{_MASK}", text)
    text = _HEADER.sub(rf"\1\2{_MASK}", text)
    return _WELL_KNOWN.sub(_MASK, _BEARER.sub(rf"\1 {_MASK}", text))


def _of_the_environment() -> list[str]:
    """The longest first, since one may be part of another; no paths, which say where a secret is."""
    found = set()
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name):
            found.add(value)
        if "://" in value and (password := _ADDRESS_PASSWORD.search(value)) is not None:
            found |= {password[1], unquote(password[1])}
    known = {text for text in found if text.startswith(("/", "~", _MASK)) or text.lower() in ("disabled", "enabled")}
    return sorted((text for text in found - known if len(text) >= _SHORTEST), key=len, reverse=True)


def is_secret_name(name: str) -> bool:
    """Whether what is called so is kept from everybody: `db_password`, `apiToken`, but not `max_tokens`."""
    return _SECRET_NAME.search(name) is not None


def redacted_words(words: Sequence[str]) -> list[str]:
    """A command line without secrets, also where an option of such a name has its value in the next word."""
    shown, hides = [], False
    for word in map(str, words):
        shown.append(_MASK if hides and not word.startswith("-") else redact(word))
        hides = word.startswith("-") and "=" not in word and is_secret_name(word)
    return shown


def redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with every text in it, also those in lists and mappings, redacted."""
    plain: dict[str, Any] = _redacted(values, _of_the_environment())
    return plain


def _redacted(value: Any, secrets: Sequence[str], *, hides: bool = False) -> Any:
    """`secrets` are those of the environment, which is searched once for all texts."""
    if isinstance(value, str):
        return _MASK if hides and value else _without(value, secrets)
    if isinstance(value, Mapping):
        return {name: _redacted(part, secrets, hides=is_secret_name(str(name))) for name, part in value.items()}
    return [_redacted(part, secrets) for part in value] if isinstance(value, list | tuple) else value
