"""How long `nbaprops compare`, `best` and `history` take in a store with 10,000 runs, over starting Python and MLflow.

By hand: `python -m tests.benchmarks.many_runs [FOLDER]`. A folder that holds a store already is used as it is.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pytest_nbaprops.metrics.point import point_metrics
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker
from tests.benchmarks.by_hand import COMMAND, in_folder

RUNS, METRICS, DATES, GAMES = 10_000, 20, 160, 165
REPEATS = 5
_START = """
from mlflow import MlflowClient
MlflowClient({uri!r}, {uri!r}).search_experiments(max_results=1)
"""


def predictions(rng: np.random.Generator) -> pd.DataFrame:
    rows = DATES * GAMES
    actual = np.random.default_rng(0).gamma(2, 9, rows)
    return pd.DataFrame(
        {
            "GAME_DATE": np.repeat(pd.date_range("2023-11-01", periods=DATES), GAMES),
            "GAME_ID": [f"{2_000_000 + row // 20:010d}" for row in range(rows)],
            "PLAYER_ID": np.tile(np.arange(GAMES), DATES),
            "actual": actual,
            "predicted": actual + rng.normal(0, 7.5, rows),
        }
    )


def fill(folder: Path) -> str:
    """A store with RUNS runs of METRICS metrics, the last two with predictions; bulk SQL, as logging takes an hour."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    if (folder / "mlflow.db").exists():
        return uri
    tracker = StandardNBAPropsTracker("Many", tracking_uri=uri)
    rows = sqlite3.connect(folder / "mlflow.db")
    _insert(rows, tracker.experiment_id, folder)
    rows.commit()
    rows.close()
    for number in (1, 2):
        frame = predictions(np.random.default_rng(number))
        with tracker:
            tracker.start_run(f"kept{number}", {"verdict": "PROMOTE"})
            tracker.log_dataset_info(frame, "games", "games.csv", digest="d" * 64)
            tracker.log_params({"target": "PTS", "first_test_date": "2023-11-01", "last_test_date": "2024-04-08"})
            tracker.log_validation_metrics(point_metrics(frame["actual"], frame["predicted"]))
            tracker.log_predictions(frame)
    return uri


def _insert(rows: sqlite3.Connection, experiment: str, folder: Path) -> None:
    rng = np.random.default_rng(7)
    names = ["mae", "r2", "rmse", *(f"metric_{number}" for number in range(METRICS - 3))]
    columns = "run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, artifact_uri"
    columns += ", experiment_id, user_id"
    for number in range(RUNS):
        run = f"{rng.integers(2**60):015x}{number:017x}"
        begun = 1_700_000_000_000 + number * 1000
        values = (
            run,
            f"run{number}",
            "LOCAL",
            "FINISHED",
            begun,
            begun + 900,
            "active",
            f"{folder}/{run}",
            experiment,
            "",
        )
        rows.execute(f"INSERT INTO runs ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?)", values)  # noqa: S608 - constant
        logged = [(name, float(rng.normal(6, 0.3)), begun, run, 0, 0) for name in names]
        rows.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?,?,?,?,?,?)", logged
        )
        tagged = [("nbaprops.dataset_digest", "d" * 64, run), ("mlflow.runName", f"run{number}", run)]
        rows.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?,?,?)", tagged)
        params = [("target", "PTS"), ("first_test_date", "2023-11-01"), ("last_test_date", "2024-04-08")]
        rows.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?,?,?)", [(*param, run) for param in params]
        )


def seconds(code: str, *arguments: str) -> tuple[float, float]:
    """Wall clock and processor time of the quickest of a few processes; the second is right on a busy machine, too."""
    taken = []
    for _ in range(REPEATS):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append((time.perf_counter() - began, processor))
    return min(wall for wall, _ in taken), min(processor for _, processor in taken)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    uri = fill(folder)
    start = seconds(_START.format(uri=uri))
    print(f"{RUNS:,} runs; start-up (Python, MLflow, store open): {start[0]:.2f} s, processor {start[1]:.2f} s")  # noqa: T201
    for arguments in (("compare", "kept1", "kept2"), ("compare", "latest", "run77"), ("best",), ("history",)):
        taken = seconds(COMMAND, *arguments, "--tracking-uri", uri)
        over = f"{taken[0] - start[0]:+.2f} s over start-up, processor {taken[1] - start[1]:+.2f} s"
        print(f"nbaprops {' '.join(arguments)}: {over}")  # noqa: T201


if __name__ == "__main__":
    in_folder(main)
