"""The dates and the player-games that went worst, for people to look at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

SHOWN = 5


def worst_of(predictions: Sequence[pd.DataFrame], games: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Tables `dates` (candidate, GAME_DATE, mae, bias, n) and `misses` (PLAYER_NAME and error too), the worst first.

    `all_dates` has every date, in their order.

    Args:
        predictions: one table a candidate, with candidate, GAME_DATE, PLAYER_ID, actual and predicted.
        games: where the players' names are.
    """
    if not predictions:
        return {}
    table = pd.concat(predictions, ignore_index=True)
    table["error"] = table["predicted"] - table["actual"]
    table["size"] = table["error"].abs()
    dates = _dates(table)
    return {
        "all_dates": dates,
        "dates": dates.nlargest(SHOWN, "mae", keep="first"),
        "misses": _misses(table, games),
    }


def _dates(table: pd.DataFrame) -> pd.DataFrame:
    grouped = table.groupby(["candidate", "GAME_DATE"], sort=True)
    return grouped.agg(mae=("size", "mean"), bias=("error", "mean"), n=("size", "size")).reset_index()


def _misses(table: pd.DataFrame, games: pd.DataFrame) -> pd.DataFrame:
    largest = table.nlargest(SHOWN, "size", keep="first")
    names = games.drop_duplicates("PLAYER_ID").set_index("PLAYER_ID")["PLAYER_NAME"]
    return largest.assign(PLAYER_NAME=largest["PLAYER_ID"].map(names))
