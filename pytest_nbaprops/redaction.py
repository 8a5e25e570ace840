"""Passwords and tokens out of texts that are shown, logged or written. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_USER_PASSWORD: Final = re.compile(r"://([^/\s:@]*):(\S*)@")
_USER_ONLY: Final = re.compile(r"(https?)://[^/\s:@]+@")
_QUERY_SECRET: Final = re.compile(r"([?&](?:\w*password|\w*passwd|\w*token|\w*secret|pwd)=)[^&\s]+", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with the passwords and tokens of every URI in it replaced by `***`."""
    text = _USER_PASSWORD.sub(r"://\1:***@", text)
    text = _USER_ONLY.sub(r"\1://***@", text)
    return _QUERY_SECRET.sub(r"\1***", text)


def redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with every text in it, also those in lists, redacted."""
    return {name: _redacted(value) for name, value in values.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    return [_redacted(part) for part in value] if isinstance(value, list | tuple) else value
