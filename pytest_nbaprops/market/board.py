"""The lines that count: before tip-off, one snapshot a book, none whose price belongs to another line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.market.prices import fair_over, margin
from pytest_nbaprops.market.rungs import contradicted, off_the_others, rungs_mixed, spread
from pytest_nbaprops.market.settings import Snapshot

KEYS: Final = list(KEY_COLUMNS)
BOOK: Final = [*KEYS, "BOOKMAKER"]
# Where the file does not say when a game began: no game of a date begins later than 22:30 in the East, 03:30 UTC.
LATEST_TIPOFF: Final = pd.Timedelta(hours=28)
# Of one market at one book. Below, the two prices cannot be of one line: anyone could bet both sides and win for sure.
LOWEST_MARGIN, HIGHEST_MARGIN = -0.02, 0.35

# Why a line is not bet on; the empty text where it is.
ALTERNATE: Final = "ladder beside the main line"
NO_PRICE: Final = "no price"
HALF: Final = "half a market"
MARGIN: Final = "prices of two lines"
MIXED: Final = "book with mixed rungs"
FAR: Final = "far from the other books"


@dataclass(frozen=True, kw_only=True)
class Board:
    """The lines of one target, each with the player-game that it is for.

    Attributes:
        lines: one row per player-game, book and rung: the keys, BOOKMAKER, LINE, OVER_PRICE, UNDER_PRICE (decimal),
            TIMESTAMP, WHY (why it is not bet on, or empty), CHANCE (of over, margin taken out; NaN on a half market),
            CENTRE (the total that line and prices imply), and CLOSE_CENTRE where the closing snapshot is another one.
        consensus: one row per player-game: the keys, market (median line), books, main_line (the offered line nearest
            to the median), centre (median of the books' implied centres), market_over (their chance of over at the
            main line, given no push; NaN without one).
        mixed: books whose lines carry another rung's price, with the number and share of rows that say so.
        contradicted: books whose own prices do not come true, with z; no line of theirs counts either.
        counts: rows left out by reason: after tip-off, duplicates, earlier or later snapshots.
    """

    lines: pd.DataFrame
    consensus: pd.DataFrame
    mixed: dict[str, dict[str, float]]
    contradicted: dict[str, float]
    counts: dict[str, int]


def make_board(
    matched: pd.DataFrame, target: str, *, snapshot: Snapshot = "last", actual: pd.DataFrame | None = None
) -> Board:
    """The board of matched lines on one target.

    Args:
        matched: What `match_players` matched, of the target's markets only.
        target: The target's stat columns, for what a point of line is worth.
        snapshot: Which of a book's snapshots before tip-off counts.
        actual: KEYS and actual of games that were played, to see whether the books' own prices come true.
    """
    timely = matched[_before_tipoff(matched)]
    single = timely.drop_duplicates([*BOOK, "ALTERNATE", "LINE", "TIMESTAMP", "OVER_PRICE", "UNDER_PRICE"])
    counted = _snapshot(single, snapshot)
    lines, mixed, wrong = _judged(counted, target, actual)
    if snapshot == "first":
        lines = _with_close(lines, _judged(_snapshot(single, "last"), target, actual)[0], target)
    counts = {
        "lines": len(matched),
        "after tip-off": len(matched) - len(timely),
        "duplicates": len(timely) - len(single),
        "other snapshots": len(single) - len(counted),
    }
    return Board(lines=lines, consensus=consensus(lines, target), mixed=mixed, contradicted=wrong, counts=counts)


def _before_tipoff(lines: pd.DataFrame) -> pd.Series[bool]:
    """Lines without a time count; those with one must be older than the tip-off, or the latest that there can be."""
    latest = (lines["GAME_DATE"] + LATEST_TIPOFF).dt.tz_localize("UTC")
    return ~(lines["TIMESTAMP"] >= lines["TIPOFF"].fillna(latest))


def _snapshot(lines: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    """Of each book's snapshots of a player-game one; where it has two main lines at once, the more balanced one."""
    balance = (fair_over(lines["OVER_PRICE"], lines["UNDER_PRICE"]) - 0.5).__abs__()
    ordered = lines.assign(_balance=np.nan_to_num(balance, nan=1.0))
    times = ordered.groupby([*BOOK, "ALTERNATE"], sort=False)["TIMESTAMP"]
    chosen = times.transform("max" if snapshot == "last" else "min")
    ordered = ordered[(ordered["TIMESTAMP"] == chosen) | chosen.isna()]
    ordered = ordered.sort_values([*BOOK, "_balance"], kind="stable")
    main = ordered[~ordered["ALTERNATE"]].drop_duplicates(BOOK)
    ladder = ordered[ordered["ALTERNATE"]].drop_duplicates([*BOOK, "LINE"])
    both = pd.concat([main, ladder]).sort_values([*BOOK, "ALTERNATE", "LINE"], kind="stable", ignore_index=True)
    return both[[*BOOK, "ALTERNATE", "LINE", "OVER_PRICE", "UNDER_PRICE", "TIMESTAMP"]]


def _judged(
    lines: pd.DataFrame, target: str, actual: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, dict[str, float]], dict[str, float]]:
    """The lines with CHANCE, CENTRE and WHY, the books that mix rungs, and those whose prices do not come true."""
    over, under = lines["OVER_PRICE"], lines["UNDER_PRICE"]
    priced = lines.assign(CHANCE=fair_over(over, under))
    priced["CENTRE"] = implied_centre(priced["LINE"], priced["CHANCE"], target)
    margins = margin(over, under)
    why = np.select(
        [
            lines["ALTERNATE"],
            over.isna() & under.isna(),
            over.isna() | under.isna(),
            (margins < LOWEST_MARGIN) | (margins > HIGHEST_MARGIN),
        ],
        [ALTERNATE, NO_PRICE, HALF, MARGIN],
        default="",
    )
    priced["WHY"] = why.astype(object)
    mixed = rungs_mixed(priced[priced["WHY"] == ""], target)
    priced.loc[(priced["WHY"] == "") & priced["BOOKMAKER"].isin(mixed), "WHY"] = MIXED
    rest = priced[priced["WHY"] == ""]
    wrong = {} if actual is None else contradicted(rest, actual)
    priced.loc[(priced["WHY"] == "") & priced["BOOKMAKER"].isin(wrong), "WHY"] = MIXED
    rest = priced[priced["WHY"] == ""]
    priced.loc[rest.index[off_the_others(rest, target)], "WHY"] = FAR
    return priced, mixed, wrong


def implied_centre(line: Any, chance: Any, target: str) -> Any:
    """The total that would be as likely beaten as not, from a line and the chance of going over it.

    line + (chance - 1/2) sqrt(2 pi) sd: a normal density at its top, which near even money is as good as the curve.
    """
    return line + (chance - 0.5) * np.sqrt(2 * np.pi) * spread(target, line)


def consensus(lines: pd.DataFrame, target: str) -> pd.DataFrame:
    """What the market as a whole says of each player-game, books with mixed rungs and ladders left out.

    A line without a price, or with one of two, still counts as a line.
    """
    counted = lines[~lines["WHY"].isin([ALTERNATE, MIXED, FAR, MARGIN])]
    grouped = counted.groupby(KEYS, sort=True)
    table = grouped.agg(market=("LINE", "median"), books=("LINE", "size"), centre=("CENTRE", "median")).reset_index()
    near = counted.merge(table[[*KEYS, "market"]], on=KEYS)
    near["_distance"] = (near["LINE"] - near["market"]).abs()
    near["_popular"] = -near.groupby([*KEYS, "LINE"])["LINE"].transform("size")
    first = near.sort_values([*KEYS, "_distance", "_popular", "LINE"], kind="stable").drop_duplicates(KEYS)
    table = table.merge(first[[*KEYS, "LINE"]].rename(columns={"LINE": "main_line"}), on=KEYS)
    return table.assign(market_over=chance_at(table["main_line"], table["centre"], target))


def chance_at(line: Any, centre: Any, target: str) -> Any:
    """Chance of over at a line that a centre implies, given no push; `implied_centre` the other way round."""
    return np.clip(0.5 + (centre - line) / (np.sqrt(2 * np.pi) * spread(target, line)), 0.01, 0.99)


def _with_close(lines: pd.DataFrame, closing: pd.DataFrame, target: str) -> pd.DataFrame:
    """The lines with the centre on which all books closed, where the same book has a later snapshot."""
    centre = consensus(closing, target)[[*KEYS, "centre"]].rename(columns={"centre": "CLOSE_CENTRE"})
    later = closing.loc[~closing["ALTERNATE"], [*BOOK, "TIMESTAMP"]].rename(columns={"TIMESTAMP": "_later"})
    both = lines.merge(centre, on=KEYS, how="left").merge(later, on=BOOK, how="left")
    both["CLOSE_CENTRE"] = both["CLOSE_CENTRE"].where(both["_later"] > both["TIMESTAMP"])
    return both.drop(columns="_later")
