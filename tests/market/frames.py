"""Lines and predictions to judge, without a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.market.board import make_board
from pytest_nbaprops.market.match import Lines
from pytest_nbaprops.market.odds import ODDS_COLUMNS
from pytest_nbaprops.market.opening import Market
from pytest_nbaprops.market.settings import MarketSettings


def odds_frame(**columns: Any) -> pd.DataFrame:
    """Lines in the form that `read_odds` gives; what is not said is empty. Prices are decimal."""
    frame = pd.DataFrame(columns)
    empty: dict[str, Any] = {
        "EVENT_ID": "e1",
        "TIPOFF": pd.NaT,
        "MARKET": "",
        "ALTERNATE": False,
        "TIMESTAMP": pd.NaT,
        "OVER_PRICE": np.nan,
        "UNDER_PRICE": np.nan,
    }
    for name, value in empty.items():
        if name not in frame:
            frame[name] = value
    for name in ("TIPOFF", "TIMESTAMP"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ns, UTC]")
    frame["EVENT_DATE"] = pd.to_datetime(frame["EVENT_DATE"]).astype("datetime64[ns]")
    return frame[list(ODDS_COLUMNS)]


def season(
    *, seed: int = 7, dates: int = 60, players: int = 20, knows: float = 0.0, bias: float = 0.0, books: int = 3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and matched lines of a season in which the line is the truth but for noise.

    Args:
        seed: Of everything.
        dates: Game dates.
        players: Player-games a date, each of another player.
        knows: How much of what the line misses the model knows, 0 to 1.
        bias: What the model predicts too much.
        books: Books, each half a point around the line, with a margin of 7% (1.87 on both sides).
    """
    rng = np.random.default_rng(seed)
    n = dates * players
    level = rng.uniform(12, 40, n)
    missed = rng.normal(0, 5, n)
    actual = np.maximum(np.round(level + missed + rng.normal(0, 5, n)), 0)
    days = pd.Timestamp("2023-11-01") + pd.to_timedelta(np.repeat(np.arange(dates), players), unit="D")
    keys = pd.DataFrame(
        {
            "GAME_DATE": pd.Series(days).astype("datetime64[ns]"),
            "GAME_ID": [f"00{i // 10:08d}" for i in range(n)],
            "PLAYER_ID": np.arange(n) % players + 1,
        }
    )
    guess = level + knows * missed + rng.normal(0, 3 * (1 - knows), n) + bias
    predictions = keys.assign(actual=actual, predicted=guess)
    parts = []
    for book in range(books):
        line = np.round(level + rng.normal(0, 0.3, n)) + 0.5
        lines = keys.assign(BOOKMAKER=f"book{book}", LINE=line, OVER_PRICE=1.87, UNDER_PRICE=1.87)
        parts.append(lines)
    matched = pd.concat(parts, ignore_index=True).assign(PLAYER="x", ALTERNATE=False, EVENT_ID="e", MARKET="")
    for name in ("TIPOFF", "TIMESTAMP"):
        matched[name] = pd.Series([pd.NaT] * len(matched), dtype="datetime64[ns, UTC]")
    return predictions, matched


def market_of(matched: pd.DataFrame, settings: MarketSettings | None = None, target: str = "PTS+REB+AST") -> Market:
    """The market of lines that are matched already."""
    chosen = settings or MarketSettings()
    nobody = matched.head(0).assign(KIND="", REASON="", PLAYED=False)
    board = make_board(matched, target, snapshot=chosen.snapshot)
    return Market(target=target, settings=chosen, lines=Lines(matched=matched, unmatched=nobody), board=board)
