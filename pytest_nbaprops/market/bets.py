"""Bets: one a player-game, one side of it, at a line and price that one book offered together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.market.board import KEYS, chance_at
from pytest_nbaprops.market.prices import expected_return, kelly_fraction
from pytest_nbaprops.metrics.betting import bet_profits
from pytest_nbaprops.metrics.intervals import sides_of
from pytest_nbaprops.metrics.point import Floats

if TYPE_CHECKING:
    from pytest_nbaprops.market.settings import MarketSettings


SIDES: Final = ("over", "under")
BANKROLL: Final = 100.0


def offered_lines(
    lines: pd.DataFrame, rows: pd.DataFrame, quantiles: Floats, target: str, *, whole: bool
) -> pd.DataFrame:
    """Every line of a board that is bet on, with the chances of model and market at it.

    `rows` has KEYS, centre, and what else is to be known of an offer, one row per player-game; `quantiles` are the
    model's distributions (rows, levels), `whole` says whether the target only takes whole numbers.
    """
    offered = lines[lines["WHY"] == ""].merge(rows.assign(_row=np.arange(len(rows))), on=KEYS)
    line = offered["LINE"].to_numpy()
    under, over = sides_of(quantiles[offered["_row"].to_numpy(dtype=np.int64)], line, whole=whole)
    above = chance_at(line, offered["centre"].to_numpy(), target)
    return offered.assign(
        over=over, under=under, market_over=above * (over + under), market_under=(1.0 - above) * (over + under)
    )


def make_offers(lines: pd.DataFrame) -> pd.DataFrame:
    """Every side that can be bet on, a row each.

    Args:
        lines: KEYS, BOOKMAKER, LINE, OVER_PRICE, UNDER_PRICE, over, under (chances of the model), market_over,
            market_under (of the market), actual.

    Returns:
        KEYS, BOOKMAKER, SIDE, LINE, PRICE, win, lose, value (expected return per unit), market_win, market_lose,
        market_value, result (1 won, -1 lost, 0 push).
    """
    beat = np.sign(lines["actual"] - lines["LINE"])
    kept = [name for name in (*KEYS, "BOOKMAKER", "LINE", "TIMESTAMP", "CLOSE_CENTRE", "kind") if name in lines]
    parts = [
        lines[kept].assign(
            SIDE=side,
            PRICE=lines[f"{side.upper()}_PRICE"],
            win=lines[side],
            lose=lines[other],
            market_win=lines[f"market_{side}"],
            market_lose=lines[f"market_{other}"],
            result=sign * beat,
        )
        for side, other, sign in (("over", "under", 1), ("under", "over", -1))
    ]
    offers = pd.concat(parts, ignore_index=True)
    offers["value"] = expected_return(offers["win"], offers["lose"], offers["PRICE"])
    offers["market_value"] = expected_return(offers["market_win"], offers["market_lose"], offers["PRICE"])
    return offers.sort_values([*KEYS, "BOOKMAKER", "SIDE"], kind="stable", ignore_index=True)


def allowed(offers: pd.DataFrame, settings: MarketSettings) -> pd.DataFrame:
    if settings.rule == "one-book":
        return offers[offers["BOOKMAKER"].str.casefold() == str(settings.book).casefold()]
    if settings.rule == "best-value":
        return offers
    # For over the lowest line is the best, for under the highest; then the best price.
    worse = np.where(offers["SIDE"] == "over", offers["LINE"], -offers["LINE"])
    ordered = offers.assign(_worse=worse, _price=-offers["PRICE"])
    ordered = ordered.sort_values([*KEYS, "SIDE", "_worse", "_price", "BOOKMAKER"], kind="stable")
    return ordered.drop_duplicates([*KEYS, "SIDE"]).drop(columns=["_worse", "_price"])


def choose(offers: pd.DataFrame, by: str, *, min_edge: float | None) -> pd.DataFrame:
    """Of each player-game the offer worth most by `value` or `market_value`, where it is worth betting on.

    `min_edge` is the lowest expected return; None: bet on every player-game, as blind controls do.
    """
    known = offers[offers[by].notna()]
    if min_edge is not None:
        known = known[(known[by] >= min_edge) & (known[by] > 0)]
    ranked = known.assign(_worth=-known[by], _price=-known["PRICE"])
    ranked = ranked.sort_values([*KEYS, "_worth", "_price", "BOOKMAKER", "SIDE"], kind="stable")
    return ranked.drop_duplicates(KEYS).drop(columns=["_worth", "_price"]).reset_index(drop=True)


def staked(bets: pd.DataFrame, settings: MarketSettings, *, win: str = "win", lose: str = "lose") -> pd.DataFrame:
    """The bets with stake and profit in units.

    Flat: one unit. Kelly: that share of 100 units, not compounded; a date's stakes are scaled down where they would
    be more than the bankroll.
    """
    if settings.kelly is None:
        stakes = pd.Series(1.0, index=bets.index)
    else:
        wanted = BANKROLL * settings.kelly * kelly_fraction(bets[win], bets[lose], bets["PRICE"])
        stakes = pd.Series(wanted, index=bets.index)
        daily = stakes.groupby(bets["GAME_DATE"]).transform("sum")
        stakes *= np.minimum(1.0, BANKROLL / daily.where(daily > 0, BANKROLL))
    return bets.assign(stake=stakes, profit=bet_profits(stakes, bets["PRICE"], bets["result"]))


def control_bets(offers: pd.DataFrame, settings: MarketSettings) -> dict[str, pd.DataFrame]:
    """What the same rule bets without the model, on the same player-games.

    `over` and `under` bet that side blindly, `coin` a side drawn by the seed, each one unit at the offer that is best
    by the market's chances; `market` bets by the market's own chances with the minimum edge.
    """
    looked = allowed(offers, settings)
    games = offers[KEYS].drop_duplicates().sort_values(KEYS)
    heads = np.random.default_rng(settings.seed).random(len(games)) < 0.5  # noqa: PLR2004 - a fair coin
    drawn = looked.merge(games.assign(_side=np.where(heads, "over", "under")), on=KEYS)
    blind = {
        "over": looked[looked["SIDE"] == "over"],
        "under": looked[looked["SIDE"] == "under"],
        "coin": drawn[drawn["SIDE"] == drawn["_side"]].drop(columns="_side"),
    }
    flat = replace(settings, kelly=None)
    found = {name: staked(choose(part, "market_value", min_edge=None), flat) for name, part in blind.items()}
    by_market = choose(looked, "market_value", min_edge=settings.min_edge)
    found["market"] = staked(by_market, settings, win="market_win", lose="market_lose")
    return found
