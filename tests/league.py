"""Runs as a training script would log them, for the tests of what comes after the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.metrics.point import point_metrics
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_nbaprops.tracking.connection import Store

DATES, GAMES = 30, 20


def outcomes(*, dates: int = DATES, first: str = "2024-01-01") -> pd.DataFrame:
    """Keys, actual and baseline of so many dates."""
    rng = np.random.default_rng(3)
    rows = dates * GAMES
    actual = rng.gamma(2, 9, rows)
    return pd.DataFrame(
        {
            "GAME_DATE": np.repeat(pd.date_range(first, periods=dates), GAMES),
            "GAME_ID": [f"{22300000 + row // 10:010d}" for row in range(rows)],
            "PLAYER_ID": np.tile(np.arange(GAMES), dates),
            "actual": actual,
            "baseline": actual + rng.normal(0, 9, rows),
        }
    )


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One run to log: its error's spread, its data, and what it keeps."""

    name: str
    spread: float = 7.0
    digest: str | None = "d" * 64
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, object] = field(default_factory=dict)
    columns: tuple[str, ...] = ("mean_10",)
    rows: pd.DataFrame | None = None
    keep: bool = True
    model: Any = None
    register: str | None = None


def log(store: Store, run: Logged, experiment: str = "League/Phase1") -> str:
    """Log it as a script without pytest does; its run id."""
    rows = outcomes() if run.rows is None else run.rows
    noise = np.random.default_rng(len(run.name)).normal(0, 1, len(rows))
    frame = rows.assign(predicted=rows["actual"] + run.spread * noise)
    window = {"target": "PTS+REB+AST", "first_test_date": "2024-01-01", "last_test_date": "2024-01-30"}
    with StandardNBAPropsTracker(experiment, store=store) as tracker:
        run_id = tracker.start_run(run.name, {"git_commit": "c" * 40, "verdict": "PROMOTE", **run.tags})
        tracker.log_params(window | dict(run.params))
        if run.digest is not None:
            tracker.log_dataset_info(rows, "games", "games.csv", digest=run.digest)
        tracker.log_feature_lineage("f", {"core": list(run.columns)})
        for number, (day, fold) in enumerate(frame.groupby("GAME_DATE"), 1):
            tracker.log_walk_forward_fold(number, day, fold)
        tracker.log_validation_metrics(point_metrics(frame["actual"], frame["predicted"]))
        if run.keep:
            tracker.log_predictions(frame)
        if run.model is not None:
            tracker.log_model(run.model, "xgboost", run.register, content=run.name)
    return run_id
