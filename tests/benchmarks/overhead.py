"""What the plugin costs over a bare loop of `xgboost.train` and `predict`. Run by hand; never a timed test.

    python -m tests.benchmarks.overhead DATA [--test 2023-24] [--pairs 3] [--busy 1]

The bare side reads the games, builds the features and fits on all cores, one fit after the other; once more with a
fit on each core, which nothing that makes these fits can beat by more than what it reads and builds. The other side is
`pytest --nbaprops-train --nbaprops-promote=enforce` with everything on (leak guard, MLflow, registry), four times in
one folder: cold; with features and leak checks known and every fit to make; with everything in the fold store; with
one more game date, for which a fit is due. Prints the ratios of whole processes to the bare one, pair by pair, and peak
memory. `--busy N` puts N busy processes beside both sides.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from pytest_nbaprops.data.files import find_files
from pytest_nbaprops.data.schema import season_of_date

KNOWN = ("tables", "checks")
REFIT = 7  # days


def bare(data: str, test: str, *, side_by_side: bool) -> None:
    """Reading, features, then nothing but XGBoost: a fit on all cores, or one on each."""
    import xgboost  # noqa: PLC0415 - only on this side

    from pytest_nbaprops.data.load import load_games  # noqa: PLC0415
    from pytest_nbaprops.data.schema import target_values  # noqa: PLC0415
    from pytest_nbaprops.features.build import build_features  # noqa: PLC0415
    from pytest_nbaprops.features.catalog import builtin_groups, select_groups  # noqa: PLC0415
    from pytest_nbaprops.processes import thread_share  # noqa: PLC0415
    from pytest_nbaprops.recipes.catalog import resolve_recipe  # noqa: PLC0415
    from pytest_nbaprops.walkforward.dataset import game_dates  # noqa: PLC0415
    from pytest_nbaprops.walkforward.plan import Fold, plan  # noqa: PLC0415
    from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window  # noqa: PLC0415

    target = ("PTS", "REB", "AST")
    games = load_games(data)
    recipe = resolve_recipe("advanced", seed=42, threads=thread_share(1))
    groups = select_groups(builtin_groups(), recipe.features, ())
    table = build_features(games, groups)
    matrix = table.frame[[column for group in groups for column in table.columns[group.name]]].to_numpy()
    actual = target_values(games, target).to_numpy()
    days = games["GAME_DATE"].to_numpy().astype("datetime64[D]")
    folds = plan(
        game_dates(games, target),
        test=parse_test_window(test),
        step=1,
        refit=REFIT,
        train_window=parse_train_window("3 seasons"),
    )
    parameters = recipe.estimator.get_xgb_params()
    rounds = recipe.estimator.get_num_boosting_rounds()
    at_once = thread_share(1) if side_by_side else 1
    threads = thread_share(at_once)

    def fit(fold: Fold) -> xgboost.Booster:
        first, last = np.searchsorted(days, np.array([fold.train_start, fold.fitted_at], dtype="datetime64[D]"))
        bins = int(parameters.get("max_bin") or 256)
        train = xgboost.QuantileDMatrix(matrix[first:last], label=actual[first:last], max_bin=bins, nthread=threads)
        return xgboost.train({**parameters, "nthread": threads}, train, rounds)

    errors = []
    first_of_each = {fold.fitted_at: fold for fold in reversed(folds)}
    each = [first_of_each[day] for day in sorted(first_of_each)]
    with ThreadPoolExecutor(at_once) as pool:  # a lone fit in this thread: OpenMP waits otherwise in another one
        boosters = pool.map(fit, each) if side_by_side else map(fit, each)
        fitted, booster = None, None
        for fold in folds:
            if fold.fitted_at != fitted:
                fitted, booster = fold.fitted_at, next(boosters)
            rows = days == np.datetime64(fold.cutoff)
            assert booster is not None  # the first fold fits
            errors.append(np.abs(booster.inplace_predict(matrix[rows]) - actual[rows]))
    print(f"bare loop: mae {np.concatenate(errors).mean():.4f}")  # noqa: T201


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak MiB of one child process."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """Other programs at work."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


def _held_back(data: str, test: str, folder: Path) -> list[tuple[Path, str]]:
    """The games in `folder` without the last dates, so many that a fit is due at the first of them.

    Gives the files that have more with the next date.
    """
    frames = {path.name: pd.read_csv(path, dtype=str, keep_default_na=False) for path in find_files(data)}
    dates = {name: pd.to_datetime(frame["GAME_DATE"], format="mixed") for name, frame in frames.items()}
    tested = sorted(day for day in set().union(*dates.values()) if season_of_date(day) == test)
    next_day = tested[0]
    for day in tested:
        next_day = day if (day - next_day).days >= REFIT else next_day
    for name, frame in frames.items():
        frame[dates[name] < next_day].to_csv(folder / name, index=False)
    return [
        (folder / name, frame[dates[name] <= next_day].to_csv(index=False))
        for name, frame in frames.items()
        if (dates[name] == next_day).any()
    ]


def _pair(
    alone: list[str], plugin: list[str], root: Path, later: list[tuple[Path, str]]
) -> Iterator[tuple[str, float, float]]:
    """What is measured, its seconds and its peak."""
    yield ("bare", *timed(alone, root))
    yield ("at once", *timed([*alone, "--side-by-side"], root))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield ("cold", *timed(plugin, folder))
        for path in folder.iterdir():  # a fresh registry, too: a version that is known is not made again
            if path.is_file():
                path.unlink()
            elif path.name != ".nbaprops":
                shutil.rmtree(path)
        for path in (folder / ".nbaprops").iterdir():
            if path.is_dir() and path.name not in KNOWN:
                shutil.rmtree(path)
        yield ("known", *timed(plugin, folder))
        yield ("stored", *timed(plugin, folder))
        for path, text in later:
            path.write_text(text, encoding="utf-8")
        yield ("next", *timed(plugin, folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=lambda text: str(Path(text).resolve()))
    parser.add_argument("--test", default="2023-24")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--bare", action="store_true", help="run the bare side only, in this process")
    parser.add_argument("--side-by-side", action="store_true", help="of it, a fit on each core")
    options = parser.parse_args()
    if options.bare:
        bare(options.data, options.test, side_by_side=options.side_by_side)
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")  # noqa: T201
        return
    root = Path(__file__).resolve().parents[2]
    alone = [sys.executable, "-m", "tests.benchmarks.overhead", "--test", options.test, "--bare"]
    others = ["-p", "no:randomly", "-p", "no:hypothesispytest"]  # a second of imports, where these tests are installed
    plugin = [sys.executable, "-m", "pytest", "-q", *others, "--nbaprops-train"]
    plugin += ["--nbaprops-test", options.test, "--nbaprops-refit", str(REFIT)]
    plugin += ["--nbaprops-criterion", "mae < baseline", "--nbaprops-promote", "enforce"]
    for pair in range(1, options.pairs + 1):
        base = None
        with tempfile.TemporaryDirectory() as data, _busy(options.busy):
            later = _held_back(options.data, options.test, Path(data))
            pairs = _pair([*alone, data], [*plugin, "--nbaprops-data", data], root, later)
            for what, seconds, peak in pairs:
                base = base or seconds
                print(f"pair {pair}: {what:7} {seconds / base:.3f}  {seconds:6.1f} s  {peak:5.0f} MiB", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
