"""The numbers behind the page's plots and the terminal's highlights, from the predictions and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from pytest_nbaprops.gate.rows import KEYS, with_plain_keys
from pytest_nbaprops.metrics.intervals import learn_errors

ROLLING: Final = 15
"""Game dates in the rolling mean."""
MOST_POINTS: Final = 170
"""More dates than a season has are drawn as bins of neighbouring ones."""
SHOWN, HIGHLIGHTS = 8, 5
BINS: Final = 10
FEWEST_IN_SLICE: Final = 30
LEVEL: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class CandidateFigures:
    """What the page shows of one candidate's predictions; a table is empty where nothing is known.

    Attributes:
        dates: first, last, n, mae, rolling, baseline, champion, gap (cumulated error less the champion's), bias.
        bin_dates: game dates in each row of `dates`.
        worst_dates: GAME_DATE, n, mae, baseline, champion, bias.
        worst_misses: GAME_DATE, player, actual, predicted, error, minutes, line.
        residuals: low, high, n, predicted, bias, p10, p90, mae, by tenths of the prediction.
        slices: what, slice, n, mae, baseline, champion, bias.
        coverage: level, n, share of outcomes inside the 80% intervals learnt on the first half of the dates.
    """

    dates: pd.DataFrame
    bin_dates: int
    worst_dates: pd.DataFrame
    worst_misses: pd.DataFrame
    residuals: pd.DataFrame
    slices: pd.DataFrame
    coverage: pd.DataFrame
    rows: int
    players: int
    lined: int | None
    with_champion: int


def candidate_figures(
    predictions: pd.DataFrame, champion: pd.DataFrame | None, games: pd.DataFrame | None, *, points: int = MOST_POINTS
) -> CandidateFigures:
    """The figures of one candidate.

    Args:
        predictions: keys, actual, predicted and, where there are some, baseline and market; a row per player-game.
        champion: the champion's keys and predicted.
        games: keys, and what is told of player-games: PLAYER_NAME, MIN, and columns that slices are made of.
        points: most points of a plot over dates.
    """
    rows = _rows(predictions, champion, games)
    dates, size = _by_date(rows, points)
    return CandidateFigures(
        dates=dates,
        bin_dates=size,
        worst_dates=_means(rows, "GAME_DATE").reset_index().nlargest(SHOWN, "mae", keep="first").reset_index(drop=True),
        worst_misses=_worst_misses(rows),
        residuals=_residuals(rows),
        slices=_slices(rows),
        coverage=_coverage(rows),
        rows=len(rows),
        players=int(rows["PLAYER_ID"].nunique()),
        lined=int(rows["market"].notna().sum()) if "market" in rows else None,
        with_champion=int(rows["champion"].notna().sum()),
    )


def _rows(predictions: pd.DataFrame, champion: pd.DataFrame | None, games: pd.DataFrame | None) -> pd.DataFrame:
    """A row per player-game with error, and the references' absolute errors."""
    rows = with_plain_keys(predictions)
    rows = _with(rows, champion, {"predicted": "champion"})
    told = [] if games is None else [name for name in games.columns if name not in {*rows.columns, *KEYS}]
    rows = _with(rows, games, {name: name for name in told})
    for name in ("baseline", "champion"):
        rows[name] = pd.Series(rows.get(name, np.nan), index=rows.index, dtype="float64")
        rows[f"{name}_size"] = (rows[name] - rows["actual"]).abs()
    rows["error"] = rows["predicted"] - rows["actual"]
    rows["size"] = rows["error"].abs()
    return rows


def _with(rows: pd.DataFrame, other: pd.DataFrame | None, names: Mapping[str, str]) -> pd.DataFrame:
    if other is None or other.empty or not names:
        return rows
    columns = with_plain_keys(other[[*KEYS, *names]]).rename(columns=dict(names)).drop_duplicates(KEYS)
    # Only what is tested: the games of ten seasons are many.
    columns = columns[columns["GAME_DATE"].isin(rows["GAME_DATE"].unique())]
    return rows.merge(columns, on=KEYS, how="left")


def _by_date(rows: pd.DataFrame, points: int) -> tuple[pd.DataFrame, int]:
    sums = rows.groupby("GAME_DATE", sort=True).agg(
        n=("size", "size"),
        size=("size", "sum"),
        error=("error", "sum"),
        baseline=("baseline_size", "sum"),
        baseline_n=("baseline_size", "count"),
        champion=("champion_size", "sum"),
        champion_n=("champion_size", "count"),
    )
    both = rows["champion_size"].notna()
    gap = (rows["size"] - rows["champion_size"])[both].groupby(rows["GAME_DATE"][both]).sum()
    sums["gap"] = gap.reindex(sums.index).fillna(0.0).cumsum()
    window = sums[["size", "n"]].rolling(ROLLING, min_periods=min(5, len(sums))).sum()
    sums["rolling"] = window["size"] / window["n"]
    size = -(-len(sums) // points)
    bins = np.arange(len(sums)) // max(size, 1)
    days = sums.index.to_series()
    added = sums.groupby(bins)[["n", "size", "error", "baseline", "baseline_n", "champion", "champion_n"]].sum()
    ends = sums.groupby(bins)[["gap", "rolling"]].last()
    table = pd.DataFrame(
        {
            "first": days.groupby(bins).first(),
            "last": days.groupby(bins).last(),
            "n": added["n"],
            "mae": added["size"] / added["n"],
            "rolling": ends["rolling"],
            "baseline": added["baseline"] / added["baseline_n"],  # NaN where none of them has one
            "champion": added["champion"] / added["champion_n"],
            "gap": ends["gap"] if both.any() else np.nan,
            "bias": added["error"] / added["n"],
        }
    )
    return table.reset_index(drop=True), size


def _means(rows: pd.DataFrame, by: str | pd.Series[str]) -> pd.DataFrame:
    """MAE of the candidate and the references in each group of rows."""
    return rows.groupby(by, sort=True, observed=True).agg(
        n=("size", "size"),
        mae=("size", "mean"),
        baseline=("baseline_size", "mean"),
        champion=("champion_size", "mean"),
        bias=("error", "mean"),
    )


def _worst_misses(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["GAME_DATE", "PLAYER_ID", "PLAYER_NAME", "actual", "predicted", "error", "MIN", "market"]
    worst = rows.nlargest(SHOWN, "size", keep="first").reindex(columns=columns)  # NaN where nothing is known
    names = worst["PLAYER_NAME"].astype(object)
    player = names.where(names.notna(), "player " + worst["PLAYER_ID"].astype(str))
    return worst.assign(player=player).rename(columns={"MIN": "minutes", "market": "line"})


def _residuals(rows: pd.DataFrame) -> pd.DataFrame:
    """Tenths of the prediction; fewer where many predictions are the same."""
    tenth = pd.qcut(rows["predicted"], BINS, labels=False, duplicates="drop")
    if tenth.isna().all():
        tenth = pd.Series(0, index=rows.index)
    grouped = rows.groupby(tenth)
    return pd.DataFrame(
        {
            "low": grouped["predicted"].min(),
            "high": grouped["predicted"].max(),
            "n": grouped.size(),
            "predicted": grouped["predicted"].mean(),
            "bias": grouped["error"].mean(),
            "p10": grouped["error"].quantile(0.1),
            "p90": grouped["error"].quantile(0.9),
            "mae": grouped["size"].mean(),
        }
    ).reset_index(drop=True)


def _slices(rows: pd.DataFrame) -> pd.DataFrame:
    """Parts of the player-games that are known before the game."""
    parts: dict[str, pd.Series[str]] = {}
    if "minutes" in rows:
        parts["minutes expected"] = _cut(rows["minutes"], (12, 24, 32))
    if "home" in rows:
        parts["venue"] = rows["home"].map({True: "home", False: "away"})
    if "rest" in rows:
        parts["days of rest"] = _cut(rows["rest"], (2, 3, 4), whole=True)
    months = rows["GAME_DATE"].dt.strftime("%Y-%m")
    if 1 < months.nunique() <= 12:  # noqa: PLR2004 - one season
        parts["month"] = months
    if "market" in rows:
        parts["market's line"] = rows["market"].notna().map({True: "with a line", False: "without"})
    tables = []
    for what, labels in parts.items():
        table = _means(rows, labels)
        table = table[table["n"] >= FEWEST_IN_SLICE].rename_axis("slice").reset_index()
        table.insert(0, "what", what)
        if len(table):
            tables.append(table.assign(slice=table["slice"].astype(str)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _cut(numbers: pd.Series[float], edges: tuple[int, ...], *, whole: bool = False) -> pd.Series[str]:
    """Where each number lies; `whole` numbers are named by what they can be."""
    labels = [f"up to {edges[0] - 1}" if whole else f"under {edges[0]}"]
    for low, high in pairwise(edges):
        last = high - 1 if whole else high
        labels.append(f"{low}" if last == low else f"{low} to {last}")
    labels.append(f"{edges[-1]} or more")
    cut: pd.Series[str] = pd.cut(numbers, [-np.inf, *edges, np.inf], right=False, labels=labels)
    return cut


def _coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Whether 80% intervals learnt on the first half of the dates hold on the second, by thirds of the prediction."""
    days = np.sort(rows["GAME_DATE"].unique())
    first = rows["GAME_DATE"].isin(days[: len(days) // 2])
    errors = learn_errors(rows.loc[first, "actual"], rows.loc[first, "predicted"])
    later = rows[~first].reset_index(drop=True)
    if errors is None or len(later) < FEWEST_IN_SLICE:
        return pd.DataFrame()
    ends = errors.interval(later["predicted"], LEVEL)
    inside = (later["actual"] >= ends["low"]) & (later["actual"] <= ends["high"])
    third = pd.qcut(later["predicted"].rank(method="first"), 3, labels=["low", "middle", "high"])
    grouped = inside.groupby(third, observed=True)
    table = pd.DataFrame({"n": grouped.size(), "inside": grouped.mean()}).rename_axis("level").reset_index()
    table["level"] = table["level"].astype(str) + " predictions"
    whole = pd.DataFrame({"level": ["all"], "n": [len(later)], "inside": [inside.mean()]})
    return pd.concat([whole, table], ignore_index=True)


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
    grouped = table.groupby(["candidate", "GAME_DATE"], sort=True)
    dates = grouped.agg(mae=("size", "mean"), bias=("error", "mean"), n=("size", "size")).reset_index()
    misses = table.nlargest(HIGHLIGHTS, "size", keep="first")
    names = games.drop_duplicates("PLAYER_ID").set_index("PLAYER_ID")["PLAYER_NAME"]
    return {
        "all_dates": dates,
        "dates": dates.nlargest(HIGHLIGHTS, "mae", keep="first"),
        "misses": misses.assign(PLAYER_NAME=misses["PLAYER_ID"].map(names)),
    }
