"""decision.json from somebody else: only what has the right shape is taken over, and nothing endless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pytest_nbaprops.reports.decision_file import SCHEMA_VERSION

VERDICTS: Final = ("PROMOTE", "REJECT", "INCONCLUSIVE", "ERROR")
MODES: Final = ("off", "dry-run", "enforce")
OUTCOMES: Final = ("passed", "failed", "not_applicable", "inconclusive", "skipped")
MOST_NUMBER: Final = 1e15
LONGEST: Final = 500
MOST: Final = 50
"""Entries of a list that are taken over."""


class UntrustedError(Exception):
    """What is wrong with it, in one line that quotes nothing of it."""


def checked_decision(value: object) -> dict[str, Any]:
    """A decision of known fields, each of its type; texts are cut, lists too.

    Raises:
        UntrustedError: it is not a decision.
    """
    given = _mapping(value, "decision.json")
    if given.get("schema_version") != SCHEMA_VERSION:
        raise UntrustedError("decision.json is of another version of pytest-nbaprops")
    settings = _mapping(given.get("settings") or {}, "settings")
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": _one_of(given.get("verdict"), VERDICTS, "verdict"),
        "promoted": given.get("promoted") is True,
        "promote_mode": _one_of(given.get("promote_mode"), MODES, "promote_mode"),
        "simulated": given.get("simulated") is True,
        "git_commit": _text_or_none(given.get("git_commit"), "git_commit"),
        # Commands are for pasting: those of the pull request are not shown to be pasted by somebody else.
        "command": ["pytest", "--nbaprops-train"],
        "settings": {name: _text(settings.get(name) or "", name) for name in ("alias", "target", "report")},
        "test_window": _text(given.get("test_window") or "", "test_window"),
        "dataset": _optional(given.get("dataset"), _dataset),
        "champion": _optional(given.get("champion"), _champion),
        "leak_guard": None,
        "warnings": _texts(given.get("warnings"), "warnings"),
        "reasons": _texts(given.get("reasons"), "reasons"),
        "candidates": [_candidate(one) for one in _list(given.get("candidates"), "candidates")],
    }


def _dataset(value: object) -> dict[str, Any]:
    given = _mapping(value, "dataset")
    return {
        "digest": _text(given.get("digest"), "digest"),
        "rows": int(_number(given.get("rows"), "rows") or 0),
        "last_date": _text(given.get("last_date"), "last_date"),
    }


def _champion(value: object) -> dict[str, Any]:
    given = _mapping(value, "champion")
    return {name: _text_or_none(given.get(name), name) for name in ("name", "alias", "version", "run_id")}


def _candidate(value: object) -> dict[str, Any]:
    given = _mapping(value, "a candidate")
    folds, lineage = _mapping(given.get("folds"), "folds"), _mapping(given.get("lineage"), "lineage")
    metrics = _mapping(given.get("metrics"), "metrics")
    counts = ("planned", "executed", "cached", "failed", "missing")
    return {
        "name": _text(given.get("name"), "a candidate's name"),
        "verdict": _one_of(given.get("verdict"), VERDICTS, "a candidate's verdict"),
        "reasons": _texts(given.get("reasons"), "reasons"),
        "folds": {name: int(_number(folds.get(name), name) or 0) for name in counts},
        "metrics": {_text(name, "a metric"): _number(metrics[name], "a metric") for name in list(metrics)[:MOST]},
        "criteria": [_criterion(one) for one in _list(given.get("criteria"), "criteria")],
        "leaks": [_leak(one) for one in _list(given.get("leaks"), "leaks")],
        "attribution": [_effect(one) for one in _list(given.get("attribution") or [], "attribution")],
        "run_id": _text_or_none(given.get("run_id"), "run_id"),
        "model_version": _text_or_none(given.get("model_version"), "model_version"),
        "needs_lineups": _texts(given.get("needs_lineups") or [], "needs_lineups"),
        "lineage": {
            "feature_version": _text(lineage.get("feature_version"), "feature_version"),
            **{kind: _texts(lineage.get(kind), kind) for kind in ("added", "removed", "changed")},
            "parameters": _parameters(lineage.get("parameters") or {}),
        },
    }


def _criterion(value: object) -> dict[str, Any]:
    given = _mapping(value, "a criterion")
    numbers = ("value", "ci_low", "ci_high", "threshold", "ci_level")
    return {
        **{name: _text(given.get(name), name) for name in ("expression", "metric", "reason")},
        **{name: _number(given.get(name), name) for name in numbers},
        "outcome": _one_of(given.get("outcome"), OUTCOMES, "outcome"),
    }


def _leak(value: object) -> dict[str, Any]:
    given = _mapping(value, "a leak")
    example = given.get("example")
    told = example.get("detail") if isinstance(example, Mapping) else None
    return {
        "group": _text(given.get("group"), "group"),
        "kind": _text(given.get("kind"), "kind"),
        "columns": _texts(given.get("columns"), "columns"),
        "example": {"detail": _text(told, "detail")} if isinstance(told, str) else None,
    }


def _effect(value: object) -> dict[str, Any]:
    given = _mapping(value, "an effect")
    return {
        **{name: _text(given.get(name), name) for name in ("group", "change", "said")},
        **{name: _number(given.get(name), name) for name in ("difference", "low", "high")},
        "reason": _text_or_none(given.get("reason"), "reason"),
    }


def _parameters(value: object) -> dict[str, list[str | None]]:
    found = {}
    for name, pair in list(_mapping(value, "parameters").items())[:MOST]:
        entries = _list(pair, "a parameter")
        if len(entries) != 2:  # noqa: PLR2004 - before and after
            raise UntrustedError("a parameter is not a pair")
        found[_text(name, "a parameter")] = [None if one is None else str(one)[:LONGEST] for one in entries]
    return found


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UntrustedError(f"{what} is no object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UntrustedError(f"{what} is no list")
    return value[:MOST]


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise UntrustedError(f"{what} is no text")
    return value[:LONGEST]


def _text_or_none(value: object, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _texts(value: object, what: str) -> list[str]:
    return [_text(one, what) for one in _list(value, what)]


def _number(value: object, what: str) -> float | None:
    if value is None:
        return None
    # No count and no metric is as large; NaN is not below it either.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST_NUMBER:
        raise UntrustedError(f"{what} is no number of a decision")
    return float(value)


def _one_of(value: object, allowed: tuple[str, ...], what: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise UntrustedError(f"{what} is none of {', '.join(allowed)}")
    return value


def _optional(value: object, read: Callable[[object], dict[str, Any]]) -> dict[str, Any] | None:
    return None if value is None else read(value)
