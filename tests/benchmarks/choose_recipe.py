"""How the recipes' settings were chosen. Run by hand; prints a table.

    python -m tests.benchmarks.choose_recipe GAME_LOGS two_stage [--seasons 2021-22 2022-23] [--refit 60] [--threads 1]

Every setting is walked forward through the seasons named, none of which may be the one that results are reported on:
training on the three seasons before and the current one up to the fit, a new fit after `--refit` days. The settings
differ from the recipe in one thing each. `--only recipe --seasons 2023-24 --refit 7` is the final check.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.schema import parse_target, target_values
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.recipes.catalog import BUILT_IN, resolve_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

SEASONS_BEFORE = 3
SEED = 42
FEW_TREES = {"n_estimators": 80, "learning_rate": 0.12}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "advanced": {
        "recipe": {},
        "squared error": {"objective": "reg:squarederror"},
        "pseudo-Huber": {"objective": "reg:pseudohubererror", "huber_slope": 3.0},
        "depth 4": {"max_depth": 4},
        "depth 6": {"max_depth": 6},
        "small leaves": {"min_child_weight": 20},
        "large leaves": {"min_child_weight": 120},
        "80 trees": FEW_TREES,
        "160 trees": {"n_estimators": 160, "learning_rate": 0.06},
        "240 trees": {"n_estimators": 240, "learning_rate": 0.04},
        "all columns": {"colsample_bytree": 1.0},
        "all rows": {"subsample": 1.0},
        "256 bins": {"max_bin": 256},
        "seed 7": {"random_state": 7},
    },
    "two_stage": {
        "recipe": {},
        "3 blocks": {"blocks": 3},
        "4 blocks": {"blocks": 4},
        "minutes squared": {"minutes__objective": "reg:squarederror"},
        "minutes 120 trees": {"minutes__n_estimators": 120, "minutes__learning_rate": 0.08},
    },
    "enhanced": {"recipe": {}, "depth 4": {"max_depth": 4}, "80 trees": FEW_TREES},
    "baseline": {"recipe": {}},
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Games, their features and what came of them."""

    games: pd.DataFrame
    features: pd.DataFrame
    actual: pd.Series[float]


def main() -> None:
    options = _options()
    games = load_games(options.games)
    target = parse_target("PTS+REB+AST")
    started = time.perf_counter()
    selection = options.features or resolve_recipe(options.recipe, seed=SEED, threads=1).features
    features = build_features(games, select_groups(builtin_groups(target), selection, ())).frame
    _say(f"{features.shape[1]} features of {len(games)} rows in {time.perf_counter() - started:.1f} s")
    table = Table(games=games, features=features, actual=target_values(games, target))
    baseline = (baseline_predictions(games, target) - table.actual).abs()
    _row("baseline", [float(baseline[games["SEASON"] == season].mean()) for season in options.seasons], 0.0)
    settings = SETTINGS[options.recipe]
    for name in options.only or settings:
        started = time.perf_counter()
        maes = [_walk_forward(table, season, settings[name], options) for season in options.seasons]
        _row(name, maes, time.perf_counter() - started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", help="folder or file of game logs")
    parser.add_argument("recipe", choices=BUILT_IN)
    parser.add_argument("--seasons", nargs="+", default=["2021-22", "2022-23"], help="test seasons")
    parser.add_argument("--refit", type=int, default=60, help="days between fits")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit")
    parser.add_argument("--only", nargs="+", help="only these settings")
    parser.add_argument("--features", help="feature groups instead of the recipe's own")
    return parser.parse_args()


def _walk_forward(table: Table, season: str, setting: dict[str, Any], options: argparse.Namespace) -> float:
    """MAE over all rows of the season."""
    seasons, dates = table.games["SEASON"], table.games["GAME_DATE"].to_numpy()
    start = dates[seasons >= _seasons_earlier(season, SEASONS_BEFORE)].min()
    errors = []
    for first, after in _fits(np.unique(dates[seasons == season]), options.refit):
        train, test = (dates >= start) & (dates < first), (dates >= first) & (dates < after)
        # Not as the recipe's parameters, which are checked: XGBoost takes more than its wrapper lists (huber_slope).
        model = resolve_recipe(options.recipe, seed=SEED, threads=options.threads).estimator.set_params(**setting)
        needed = getattr(model, "needs_games", None)
        more = {"games": table.games.loc[train, list(needed)]} if needed else {}
        model.fit(table.features[train], table.actual[train], **more)
        errors.append(np.abs(model.predict(table.features[test]) - table.actual[test].to_numpy()))
    return float(np.concatenate(errors).mean())


def _fits(dates: np.ndarray, refit: int) -> Iterator[tuple[np.datetime64, np.datetime64]]:
    """First date of each fit, and the date at which the next one takes over."""
    age = np.timedelta64(refit, "D")
    firsts = [dates[0]]
    for date in dates:
        if date - firsts[-1] >= age:
            firsts.append(date)
    yield from zip(firsts, [*firsts[1:], dates[-1] + np.timedelta64(1, "D")], strict=True)


def _seasons_earlier(season: str, count: int) -> str:
    year = int(season[:4]) - count
    return f"{year}-{(year + 1) % 100:02d}"


def _row(name: str, maes: list[float], seconds: float) -> None:
    _say(f"{name:<18}" + "".join(f"{mae:9.4f}" for mae in maes) + f"{np.mean(maes):9.4f}  {seconds:6.1f} s")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
