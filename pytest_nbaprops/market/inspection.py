"""What is in a file of lines: counts by book and market, and everything that a session would not use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.names import bare_name
from pytest_nbaprops.market.board import FAR, HALF, KEYS, MARGIN, MIXED, NO_PRICE, Board, make_board
from pytest_nbaprops.market.markets import read_market
from pytest_nbaprops.market.match import EVENT, Lines
from pytest_nbaprops.market.odds import of_target, unread_markets
from pytest_nbaprops.market.opening import Market, open_market
from pytest_nbaprops.market.prices import margin
from pytest_nbaprops.market.settings import MarketSettings


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """One target's lines in a file.

    Attributes:
        books: a row per book: rows in the file, player_games, first and last date, mean margin, and rows left out by
            reason.
        facts: numbers about all of them: rows, matched, duplicates, lines after tip-off, arbitrage.
        unmatched: lines that found no player, with the reason; empty where there were no games to look in.
        arbitrage: player-games where two books' prices win whatever happens, best first.
        problems: what should be mended or known before a session, a line each.
    """

    target: str
    books: pd.DataFrame
    facts: dict[str, Any]
    unmatched: pd.DataFrame
    arbitrage: pd.DataFrame
    problems: tuple[str, ...]


def targets_in(odds: pd.DataFrame, default: str) -> list[str]:
    """The targets that the lines are on; lines whose market is not said are on the default one."""
    known = [read_market(text) if text else None for text in odds["MARKET"].unique()]
    named = {name.target for name in known if name is not None}
    return sorted(named | ({default} if (odds["MARKET"] == "").any() else set()))


def inspect_odds(odds: pd.DataFrame, games: pd.DataFrame | None, target: str) -> Inspection:
    """Look at the lines on one target; without games every name counts as a player of his event."""
    market = _by_names(odds, target) if games is None else open_market(odds, games, target, MarketSettings())
    board, rows = market.board, of_target(odds, target)
    arbitrage = find_arbitrage(board.lines)
    facts = {
        "rows": len(rows),
        "player_games": len(board.consensus),
        "matched": None if games is None else market.lines.share,
        "unmatched": {str(kind): int(count) for kind, count in market.lines.reasons().items()},
        **{name: board.counts[name] for name in ("duplicates", "other snapshots", "after tip-off")},
        "mixed rungs": {book: row["off"] for book, row in board.mixed.items()},
        "contradicted": dict(board.contradicted),
        "contrary": dict(board.contrary),
        "without tip-off time": int(rows["TIPOFF"].isna().sum()),
        "arbitrage": len(arbitrage),
    }
    problems = market.board_problems() if games is None else market.problems()
    return Inspection(
        target=target,
        books=_books(market.lines.matched, board),
        facts=facts,
        unmatched=market.lines.unmatched,
        arbitrage=arbitrage,
        problems=tuple(problems),
    )


def _by_names(odds: pd.DataFrame, target: str) -> Market:
    """The lines as if every name of an event were a player of it."""
    rows = of_target(odds, target)
    game = rows.groupby(EVENT, sort=False, dropna=False).ngroup().astype(str)
    plain = {name: bare_name(str(name)) for name in rows["PLAYER"].unique()}
    player = pd.factorize(rows["PLAYER"].map(plain))[0] + 1
    matched = rows.assign(GAME_DATE=rows["EVENT_DATE"], GAME_ID=game, PLAYER_ID=player).reset_index(drop=True)
    nobody = rows.head(0).assign(KIND="", REASON="", PLAYED=False)
    lines = Lines(matched=matched, unmatched=nobody)
    board, unread = make_board(matched, target), unread_markets(odds)
    return Market(target=target, settings=MarketSettings(), lines=lines, board=board, unread=unread)


def _books(matched: pd.DataFrame, board: Board) -> pd.DataFrame:
    lines = board.lines.assign(_margin=margin(board.lines["OVER_PRICE"], board.lines["UNDER_PRICE"]))
    table = pd.DataFrame({"rows": matched.groupby("BOOKMAKER").size()})
    grouped = lines.groupby("BOOKMAKER")
    table["player_games"] = lines.drop_duplicates([*KEYS, "BOOKMAKER"]).groupby("BOOKMAKER").size()
    table["first"] = grouped["GAME_DATE"].min().dt.strftime("%Y-%m-%d")
    table["last"] = grouped["GAME_DATE"].max().dt.strftime("%Y-%m-%d")
    table["margin"] = lines[~lines["WHY"].isin([MIXED, MARGIN])].groupby("BOOKMAKER")["_margin"].mean()
    for name, why in {
        "no_price": NO_PRICE, "half": HALF, "odd_prices": MARGIN, "mixed_rungs": MIXED, "far": FAR
    }.items():  # fmt: skip
        table[name] = (lines["WHY"] == why).groupby(lines["BOOKMAKER"]).sum()
    return table.rename_axis("book").reset_index()


def find_arbitrage(lines: pd.DataFrame) -> pd.DataFrame:
    """Player-games where over at one book and under at another cost less than they bring back whatever happens.

    The over's line is at or below the under's, so that one of the two wins, or both, or a push returns a stake. Lines
    that are not bet on do not count.
    """
    counted = lines[lines["WHY"] == ""]
    over = counted[[*KEYS, "BOOKMAKER", "LINE", "OVER_PRICE"]]
    under = counted[[*KEYS, "BOOKMAKER", "LINE", "UNDER_PRICE"]]
    pairs = over.merge(under, on=KEYS, suffixes=("_OVER", "_UNDER"))
    pairs = pairs[pairs["LINE_OVER"] <= pairs["LINE_UNDER"]]
    pairs = pairs.assign(gain=-margin(pairs["OVER_PRICE"], pairs["UNDER_PRICE"]))
    certain = pairs[pairs["gain"] > 0].sort_values(["gain", *KEYS], ascending=[False, True, True, True], kind="stable")
    return certain.drop_duplicates(KEYS).reset_index(drop=True)


def plain_value(value: Any) -> Any:
    """A cell as an exact builtin, None for nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return None if value is pd.NaT or (isinstance(value, float) and np.isnan(value)) else value
