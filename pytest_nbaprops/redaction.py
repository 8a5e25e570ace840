"""Passwords and tokens out of texts that are shown, logged or written. Standard library only.

In doubt something is masked: a masked word of prose is a nuisance, a password in a log is an incident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

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
_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9])(\w*(?:password|passwd|passphrase|secret|token|api_?key)|pwd)=([^&\s;,\"'<>]+)", re.IGNORECASE
)

_HARMLESS: Final = frozenset(
    {
        "application_name", "cache", "charset", "check_same_thread", "compress", "connect_timeout",
        "database", "db", "dbname", "driver", "encoding", "experiment_id", "format", "host", "max_results",
        "metric", "mode", "name", "port", "read_timeout", "run_id", "schema", "ssl", "ssl_mode", "sslmode",
        "timeout", "unix_socket", "uri", "user", "username", "version", "write_timeout",
    }
)  # fmt: skip
"""Query keys whose values may be shown; whatever else stands in a query may be a secret."""


def redact(text: str) -> str:
    """The text with passwords, tokens and unknown query values of every URI in it replaced by `***`."""
    text = _USER_PASSWORD.sub(rf"\1:{_MASK}@", text)
    text = _BLANK_PASSWORD.sub(rf"\1:{_MASK}@", text)
    text = _USER_ONLY.sub(rf"\1://{_MASK}@", text)
    text = _NO_SCHEME.sub(rf"\1:{_MASK}@", text)
    text = _QUERY.sub(_query_value, text)
    return _SECRET.sub(rf"\1={_MASK}", text)


def _query_value(found: re.Match[str]) -> str:
    return found[0] if found[2].lower() in _HARMLESS else f"{found[1]}{found[2]}={_MASK}"


def redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with every text in it, also those in lists and mappings, redacted."""
    return {name: _redacted(value) for name, value in values.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return redacted(value)
    return [_redacted(part) for part in value] if isinstance(value, list | tuple) else value
