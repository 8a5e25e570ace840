"""Decisions and predictions to report on: what a session writes, made up in milliseconds."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.reports.html import Tables

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b](javascript:alert(1)) `x` **bold** @everyone #1",
    "::error::forged%0A::set-output name=verdict::PROMOTE",
    "\u202egnp.exe\u202c",
    "line\nbreak\r\nEOF",
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}{% raw %}",
    "x" * 1_000_000,
)


def predictions_of(
    name: str = "advanced", *, dates: int = 160, players: int = 60, seed: int = 1, shift: float = 0.0
) -> pd.DataFrame:
    """As in predictions.parquet."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2023-10-24", periods=dates)
    table = pd.DataFrame(
        {
            "GAME_DATE": np.repeat(days, players),
            "GAME_ID": np.repeat([f"00223{number:05d}" for number in range(dates)], players),
            "PLAYER_ID": np.tile(np.arange(1, players + 1), dates),
        }
    )
    level = rng.gamma(3.0, 6.0, len(table))
    actual = np.round(np.clip(level + rng.normal(0, 7, len(table)), 0, None))
    noise = np.random.default_rng(seed + 1).normal(0, 1.5, len(table))
    folds = np.repeat(np.arange(1, dates + 1), players)
    return table.assign(candidate=name, fold=folds, actual=actual, predicted=level + shift, baseline=level + noise)[
        ["candidate", "fold", "GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted", "baseline"]
    ]


def tables_of(predictions: pd.DataFrame, *, player: str = "Luka Dončić", feature: str = "pts_last_5") -> Tables:
    """With a champion, names, minutes and importance."""
    rng = np.random.default_rng(3)
    games = predictions[["GAME_DATE", "GAME_ID", "PLAYER_ID"]].drop_duplicates()
    games = games.assign(
        PLAYER_NAME=player,
        MIN=rng.uniform(5, 40, len(games)),
        minutes=rng.uniform(5, 40, len(games)),
        home=rng.random(len(games)) < 0.5,
        rest=rng.integers(1, 6, len(games)).astype(float),
    )
    champion = predictions.assign(predicted=predictions["predicted"] + rng.normal(0, 1, len(predictions)))
    return Tables(
        predictions=predictions,
        champion=champion[["GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted"]],
        games=games,
        importance={name: pd.Series({feature: 0.5, "rest_days": 0.25}) for name in predictions["candidate"].unique()},
        environment={"python": "3.11.7", "xgboost": "3.0.0"},
    )


def criterion(expression: str, outcome: str, *numbers: float | None, reason: str = "as it is") -> dict[str, Any]:
    """A row of decision.json: value, low, high, threshold."""
    value, low, high, threshold = numbers or (None, None, None, None)
    return {
        "expression": expression,
        "metric": re.split(r"[\[ .]", expression, maxsplit=1)[0],
        "slice": None,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "threshold": threshold,
        "outcome": outcome,
        "reason": reason,
    }


CRITERIA = (
    criterion("mae < baseline", "passed", 5.844, 5.744, 5.934, 6.188),
    criterion("mae <= champion + 0.02", "passed", 5.844, 5.8221, 5.8658, 5.9035),
)


def candidate_of(name: str = "advanced", **changes: Any) -> dict[str, Any]:
    """A candidate's entry of decision.json."""
    return {
        "name": name,
        "verdict": "PROMOTE",
        "reasons": ["mae < baseline: mae is 5.8440"],
        "folds": {"planned": 160, "executed": 150, "cached": 10, "failed": 0, "missing": 0},
        "metrics": {"mae": 5.844, "rmse": 7.643, "r2": 0.6316, "bias": -0.59, "n_predictions": 9600.0},
        "criteria": [dict(row) for row in CRITERIA],
        "leaks": [],
        "run_id": "71d3fea8f1184ca2be25c6b8a149f5f3",
        "lineage": {
            "feature_version": "1cb5235b0cd7",
            "added": ["opponent"],
            "removed": [],
            "changed": ["form"],
            "parameters": {"max_depth": [4, 6]},
        },
        "attribution": [],
        "needs_lineups": [],
        "model_version": None,
        **changes,
    }


def document_of(*candidates: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """decision.json of a dry run."""
    document = {
        "schema_version": 1,
        "verdict": "PROMOTE",
        "exit_code": 0,
        "promoted": False,
        "promote_mode": "dry-run",
        "simulated": False,
        "created_at": "2026-11-26T02:54:05+00:00",
        "git_commit": "7237381" + "0" * 33,
        "command": ["pytest", "--nbaprops-train", "-n", "2"],
        "settings": {
            "rootdir": "/project",
            "data": "data/game_logs",
            "target": "PTS+REB+AST",
            "alias": "staging",
            "report": "/project/nbaprops-report",
            "criteria": ["mae < baseline", "mae <= champion + 0.02"],
        },
        "dataset": {
            "digest": "c39eaccadf7c" + "0" * 52,
            "rows": 228_207,
            "players": 1347,
            "first_date": "2015-10-27",
            "last_date": "2024-04-14",
            "source": "data/game_logs",
        },
        "test_window": "2023-24",
        "champion": {"name": "NBAPropsModel", "alias": "staging", "version": "3", "run_id": "0" * 32},
        "warnings": [],
        "leak_guard": {
            "dates": ["2024-02-08"],
            "groups": 17,
            "groups_known": 0,
            "folds_run_again": {"advanced": 0, "test_mine": 14},
            "folds_tested": {"advanced": 160, "test_mine": 160},
            "seconds": 6.26,
            "share": 0.068,
        },
        "reasons": ["mae < baseline: mae is 5.8440"],
        "candidates": list(candidates) or [candidate_of()],
    }
    return copy.deepcopy({**document, **changes})


def hostile_document(text: str, *, run: bool = False) -> dict[str, Any]:
    """The text in every place where a name or a message can stand; the champion is a run or a version."""
    leak = {"group": text, "columns": [text], "kind": text, "example": {"detail": text}}
    effect = {"group": text, "change": "added", "mae_variant": 5.9, "difference": -0.1, "low": -0.2, "high": -0.01}
    candidate = candidate_of(
        text,
        verdict="REJECT",
        reasons=[text],
        leaks=[leak],
        run_id=text,
        model_version=text,
        needs_lineups=[text],
        metrics={"mae": 5.844, "n_predictions": 9600.0, text: 1.0},
        criteria=[*CRITERIA, criterion("mae[home] < baseline", "inconclusive", reason=text)],
        attribution=[{**effect, "reason": None, "said": "helps"}],
        lineage={
            "feature_version": text,
            "added": [text],
            "removed": [text],
            "changed": [text],
            "parameters": {text: [text, text]},
            "sources": {text: text},
        },
        market={
            "metrics": {text: 0.1, "roi": text},
            "curve": [{"date": text, "profit": 1.0, "coin": 0.5}, {"date": "2024-01-02", "profit": 0.5, "coin": 0.7}],
        },
    )
    base = document_of()
    return document_of(
        candidate,
        verdict="REJECT",
        reasons=[text],
        warnings=[text],
        git_commit=text,
        command=["pytest", text],
        test_window=text,
        settings={**base["settings"], "data": text, "target": text, "alias": text, "phase": text},
        dataset={**base["dataset"], "source": text},
        champion={"name": text, "alias": None if run else text, "version": None if run else text, "run_id": text},
    )
