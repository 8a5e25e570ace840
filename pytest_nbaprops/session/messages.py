"""What a fold's report carries to the controller: the key of its result, and what speaks against the fold.

Whatever else a test, a fixture or a plugin writes into a report is theirs, and is believed of nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

OURS = "nbaprops_"
FOLD, KEY, LOST, PROBLEM, RAISED = (
    "nbaprops_fold",
    "nbaprops_key",
    "nbaprops_lost",
    "nbaprops_problem",
    "nbaprops_raised",
)


def cleaned(properties: Iterable[object]) -> list[tuple[str, object]]:
    """A test's own properties: pairs, of which no name is one of ours, and plain values that go over xdist's wire."""
    return [
        (str(name), value if type(value) in (str, int, float, bool) or value is None else _plain(value))
        for name, value in _pairs(properties)
        if not name.startswith(OURS)
    ]


def read_message(report: pytest.TestReport) -> dict[str, str]:
    """Our part of a report's properties; only texts, and the last of each name, which is ours."""
    ours = _pairs(report.user_properties)
    return {str(name): value for name, value in ours if name.startswith(OURS) and isinstance(value, str)}


def _pairs(properties: Iterable[object]) -> list[tuple[str, Any]]:
    found = [pair for pair in properties if isinstance(pair, tuple | list) and len(pair) == 2]  # noqa: PLR2004
    return [(pair[0], pair[1]) for pair in found if isinstance(pair[0], str)]


def _plain(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever a test's object does
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"
