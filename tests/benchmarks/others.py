"""The walk-forward of mlforecast and skforecast beside a bare loop: seconds a fit. Run by hand; never a timed test.

    pip install mlforecast skforecast
    python -m tests.benchmarks.others DATA [--season 2023-24] [--games 30] [--refit 3]

Neither knows game dates: a series is a player's games of three seasons, and everyone's last `--games` games are
predicted one by one, with a fit of the `advanced` recipe's regressor every `--refit` games, on lags and means of the
games before. The bare loop fits on the same number of rows and columns. Their features are fewer than ours and nothing
is checked, so what compares is what each adds to its fits.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xgboost

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.recipes.advanced import PARAMETERS

LAGS, WINDOW = 10, 20


def series_of(data: str, season: str, games: int) -> pd.DataFrame:
    """unique_id, ds (a number that ends at the same one for all) and y of players with enough games."""
    rows = load_games(data)
    rows = rows.assign(y=target_values(rows, ("PTS", "REB", "AST"))).dropna(subset="y")
    seasons = sorted(rows.loc[rows["SEASON"] <= season, "SEASON"].unique())[-3:]
    rows = rows[rows["SEASON"].isin(seasons)]
    counted = rows.groupby("PLAYER_ID")["y"].transform("size")
    rows = rows[counted > games + WINDOW + 5]
    left = rows.groupby("PLAYER_ID").cumcount(ascending=False)
    return pd.DataFrame({"unique_id": rows["PLAYER_ID"], "ds": left.max() - left, "y": rows["y"]}).reset_index(
        drop=True
    )


def mlforecast(series: pd.DataFrame, games: int, refit: int) -> None:
    """`MLForecast.cross_validation`."""
    library: Any = importlib.import_module("mlforecast")
    transforms: Any = importlib.import_module("mlforecast.lag_transforms")
    forecast = library.MLForecast(
        models=xgboost.XGBRegressor(**PARAMETERS),
        freq=1,
        lags=list(range(1, LAGS + 1)),
        lag_transforms={1: [transforms.RollingMean(WINDOW, min_samples=1)]},
    )
    forecast.cross_validation(series, n_windows=games, h=1, step_size=1, refit=refit, static_features=[])


def skforecast(series: pd.DataFrame, games: int, refit: int) -> None:
    """`backtesting_forecaster_multiseries`."""
    recursive: Any = importlib.import_module("skforecast.recursive")
    preprocessing: Any = importlib.import_module("skforecast.preprocessing")
    selection: Any = importlib.import_module("skforecast.model_selection")
    forecaster = recursive.ForecasterRecursiveMultiSeries(
        estimator=xgboost.XGBRegressor(**PARAMETERS),
        lags=LAGS,
        window_features=preprocessing.RollingFeatures(stats=["mean"], window_sizes=WINDOW),
    )
    length = int(series["ds"].max()) + 1
    by_player = {
        str(player): pd.Series(group["y"].to_numpy(), index=pd.RangeIndex(length - len(group), length))
        for player, group in series.groupby("unique_id")
    }
    folds = selection.TimeSeriesFold(steps=1, initial_train_size=length - games, refit=refit)
    selection.backtesting_forecaster_multiseries(
        forecaster, by_player, cv=folds, metric="mean_absolute_error", show_progress=False, suppress_warnings=True
    )


def bare(series: pd.DataFrame, games: int, refit: int) -> None:
    """Nothing but the fits, on as many rows and columns."""
    matrix = np.random.default_rng(0).normal(size=(len(series), LAGS + 1)).astype(np.float32)
    order = np.argsort(series["ds"].to_numpy(), kind="stable")
    ds, y = series["ds"].to_numpy()[order], series["y"].to_numpy()[order]
    for window in range(games):
        first = int(np.searchsorted(ds, ds[-1] + 1 - games + window))
        if window % refit == 0:
            model = xgboost.XGBRegressor(**PARAMETERS).fit(matrix[:first], y[:first])
        model.predict(matrix[first : int(np.searchsorted(ds, ds[first], side="right"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--season", default="2023-24")
    parser.add_argument("--games", type=int, default=30)
    parser.add_argument("--refit", type=int, default=3)
    options = parser.parse_args()
    series = series_of(options.data, options.season, options.games)
    fits = -(-options.games // options.refit)
    print(f"{series['unique_id'].nunique()} players, {len(series):,} games, {fits} fits")  # noqa: T201
    ways: tuple[Callable[[pd.DataFrame, int, int], None], ...] = (bare, mlforecast, skforecast)
    alone = None
    for way in ways:
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            way(series, options.games, options.refit)
        seconds = time.perf_counter() - started
        alone = alone or seconds
        print(f"{way.__name__:10} {seconds:6.1f} s  {seconds / alone:.2f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
