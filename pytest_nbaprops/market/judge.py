"""What a model is worth against the market: chances, money and what it knows beyond the line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.market.bets import allowed, choose, control_bets, make_offers, offered_lines, staked
from pytest_nbaprops.market.board import KEYS, chance_at
from pytest_nbaprops.market.chances import (
    FEWEST_LINES,
    Recalibration,
    given_no_push,
    moved,
    recalibrated,
    walked_quantiles,
)
from pytest_nbaprops.market.opening import Market, open_market
from pytest_nbaprops.market.report import MarketReport
from pytest_nbaprops.market.settings import MarketSettings
from pytest_nbaprops.metrics.intervals import LEVELS, ends_of, sides_of
from pytest_nbaprops.metrics.point import Floats
from pytest_nbaprops.metrics.probability import brier_scores, covered, crps_of_quantiles, log_losses

COVERAGES: Final = (50, 80, 95)


def judge(
    predictions: pd.DataFrame,
    market: Market | pd.DataFrame,
    *,
    games: pd.DataFrame | None = None,
    target: str = "PTS+REB+AST",
    settings: MarketSettings | None = None,
) -> MarketReport:
    """Judge a model's out-of-fold predictions against the market.

    Args:
        predictions: GAME_DATE, GAME_ID, PLAYER_ID, actual, predicted, one row per player-game.
        market: What `open_market` gives, or lines as `read_odds` gives them, with `games`, `target` and `settings`.
        games: Canonical games.
        target: What the predictions are of.
        settings: What counts and what is bet.

    Raises:
        SettingsError: the one book of the bet rule has no line.
    """
    if isinstance(market, pd.DataFrame):
        if games is None:
            raise ValueError("lines that are not matched yet need games")
        market = open_market(market, games, target, settings or MarketSettings())
    merged = _with_consensus(predictions, market)
    lined = merged["market"].notna().to_numpy()
    rows = merged[lined].reset_index(drop=True)
    views = _Views.of(merged, lined, rows)
    rows = _scored(rows, views)
    # What could be bet on: only where earlier lines have taught how to read the model's chances.
    sure = rows["kind"].to_numpy() == "recalibrated"
    told = rows.loc[sure, [*KEYS, "actual", "centre", "kind"]]
    offers = make_offers(offered_lines(market.board.lines, told, views.used[sure], market.target, whole=views.whole))
    chosen = choose(allowed(offers, market.settings), "value", min_edge=market.settings.min_edge)
    bets = _with_clv(staked(chosen, market.settings), market.target)
    return MarketReport(
        market=market,
        rows=_with_money(rows, bets),
        bets=bets,
        controls=control_bets(offers, market.settings),
        recalibration=views.learnt,
    )


def _with_consensus(predictions: pd.DataFrame, market: Market) -> pd.DataFrame:
    """The predictions in the order of their keys, with what the market says of each; NaN where it says nothing."""
    every = predictions[[*KEYS, "actual", "predicted"]].sort_values(KEYS, kind="stable", ignore_index=True)
    every = every.assign(GAME_DATE=every["GAME_DATE"].astype("datetime64[ns]"))
    board = market.board.consensus.assign(GAME_DATE=market.board.consensus["GAME_DATE"].astype("datetime64[ns]"))
    return every.merge(board, on=KEYS, how="left", validate="one_to_one")


def _with_money(rows: pd.DataFrame, bets: pd.DataFrame) -> pd.DataFrame:
    """What was staked on each row and what came of it; NaN where nothing was."""
    money = bets[[*KEYS, "stake", "profit", "clv"]].assign(
        bet=1.0, won=(bets["result"] > 0).astype(float), decided=(bets["result"] != 0).astype(float)
    )
    return rows.merge(money, on=KEYS, how="left", validate="one_to_one")


@dataclass(frozen=True, kw_only=True)
class _Views:
    """Predictive distributions of the lined rows, as outcome quantiles (rows, levels)."""

    model: Floats
    used: Floats
    market: Floats
    kind: npt.NDArray[np.object_]
    learnt: Recalibration | None
    whole: bool

    @classmethod
    def of(cls, merged: pd.DataFrame, lined: npt.NDArray[np.bool_], rows: pd.DataFrame) -> _Views:
        whole = bool((merged["actual"] == np.floor(merged["actual"])).all())
        model = walked_quantiles(merged, lined, "predicted")
        line, dates = rows["main_line"].to_numpy(), rows["GAME_DATE"].to_numpy()
        said = given_no_push(*sides_of(model, line, whole=whole))
        known = np.isfinite(model[:, 0])
        said = np.where(known, said, np.nan)
        chance, learnt = recalibrated(dates, said, over_or_under(rows["actual"], line))
        again = np.isfinite(chance) & known
        used = model.copy()
        used[again] = moved(model[again], line[again], chance[again])
        priced = rows["market_over"].notna().to_numpy()  # a line without prices counts, but says nothing of chances
        of_priced = walked_quantiles(rows[priced], np.ones(priced.sum(), dtype=np.bool_), "centre")
        market = np.full((len(rows), len(LEVELS)), np.nan)
        market[priced] = moved(of_priced, line[priced], rows["market_over"].to_numpy()[priced])
        kind = np.select([again, known], ["recalibrated", "errors"], default="").astype(object)
        return cls(model=model, used=used, market=market, kind=kind, learnt=learnt, whole=whole)


def over_or_under(actual: npt.ArrayLike, line: npt.ArrayLike) -> Floats:
    """1 where the outcome is over the line, 0 under, NaN on it."""
    distance = np.asarray(actual, dtype=np.float64) - np.asarray(line, dtype=np.float64)
    return np.where(distance > 0, 1.0, np.where(distance < 0, 0.0, np.nan))


def _scored(rows: pd.DataFrame, views: _Views) -> pd.DataFrame:
    """The rows with everything that the metrics add up; model and market always on the same rows."""
    line, actual = rows["main_line"].to_numpy(), rows["actual"].to_numpy()
    came = over_or_under(actual, line)
    columns: dict[str, Any] = {"kind": views.kind, "came": came}
    columns["said"] = given_no_push(*sides_of(views.model, line, whole=views.whole))
    columns["over"] = given_no_push(*sides_of(views.used, line, whole=views.whole))
    for name in ("said", "over"):
        columns[name] = np.where(views.kind == "", np.nan, columns[name])
    both = np.isfinite(columns["over"]) & np.isfinite(rows["market_over"]) & np.isfinite(came)
    # Chances before there were lines to recalibrate them on are not what the model is judged by, where others are.
    judged = both & (views.kind == "recalibrated") if (views.kind == "recalibrated").any() else both
    columns["judged"] = judged
    for prefix, chance in (("", columns["over"]), ("market_", rows["market_over"]), ("said_", columns["said"])):
        columns[f"{prefix}brier"] = np.where(judged, brier_scores(chance, came), np.nan)
        columns[f"{prefix}log_loss"] = np.where(judged, log_losses(chance, came), np.nan)
    shown = np.isfinite(views.model[:, 0]) & np.isfinite(views.market[:, 0])
    for prefix, quantiles in (("", views.model), ("market_", views.market), ("used_", views.used)):
        columns[f"{prefix}crps"] = np.where(shown, crps_of_quantiles(quantiles, LEVELS, actual), np.nan)
        for level in COVERAGES:
            low, high = ends_of(quantiles, level / 100)
            columns[f"{prefix}coverage{level}"] = np.where(shown, covered(low, high, actual), np.nan)
            columns[f"{prefix}width{level}"] = np.where(shown, high - low, np.nan)
    return _beyond(rows.assign(**columns))


def _beyond(rows: pd.DataFrame) -> pd.DataFrame:
    """What the model says beyond the line, what the line missed, and the blend of both learnt on earlier dates.

    Encompassing regression: Fair & Shiller, "Comparing information in forecasts from econometric models", AER 80
    (1990) 375-389.
    """
    beyond, missed = rows["predicted"] - rows["market"], rows["actual"] - rows["market"]
    share = _walked_share(rows["GAME_DATE"].to_numpy(), beyond.to_numpy(), missed.to_numpy())
    blend, error = rows["market"] + share * beyond, missed.abs()
    both = error.where(blend.notna())
    errors = {"market_error": error, "blend_error": (rows["actual"] - blend).abs(), "market_error_blend": both}
    return rows.assign(beyond=beyond, missed=missed, blend=blend, **errors)


def _walked_share(dates: npt.NDArray[np.datetime64], beyond: Floats, missed: Floats) -> Floats:
    """How much of the model's difference to the line to believe, from earlier dates: a share from 0 to 1."""
    found = np.full(len(dates), np.nan)
    for date in np.unique(dates):
        before = dates < date
        if before.sum() >= FEWEST_LINES:
            slope = float(beyond[before] @ missed[before] / max(float(beyond[before] @ beyond[before]), 1e-12))
            found[dates == date] = np.clip(slope, 0.0, 1.0)
    return found


def _with_clv(bets: pd.DataFrame, target: str) -> pd.DataFrame:
    """The bets with closing line value: expected return at the price taken by the chances on which the books closed."""
    if "CLOSE_CENTRE" not in bets:
        return bets.assign(clv=np.nan)
    above = chance_at(bets["LINE"], bets["CLOSE_CENTRE"], target)
    chance = np.where(bets["SIDE"] == "over", above, 1.0 - above)
    return bets.assign(clv=chance * bets["PRICE"] - 1.0)


def with_lines(predictions: pd.DataFrame, market: Market) -> pd.DataFrame:
    """The predictions with market (the median line, NaN without one) and line (whether there is one), for criteria."""
    medians = market.board.consensus[["GAME_ID", "PLAYER_ID", "market"]]
    both = predictions.merge(medians, on=["GAME_ID", "PLAYER_ID"], how="left", validate="many_to_one")
    return both.assign(line=both["market"].notna())
