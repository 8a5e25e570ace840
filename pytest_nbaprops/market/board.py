"""The lines that count: before tip-off, one snapshot a book, none whose price belongs to another line.

Books that join a line with the price of another line are found in two ways: by the total that line and price imply,
against the other books; and by the outcomes, against the book's own prices. A book whose over and under are exchanged
says the contrary of the others. By the outcomes it is also seen where all books' lines are those of another market,
were picked when the games were over, or have their two prices exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.market.prices import fair_over, margin
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

FEWEST_BOOKS: Final = 3  # of two that disagree nobody knows which is wrong
FEWEST_ROWS: Final = 5
# On a real season two books had 71% of their rows off, every other one at most 0.3%.
MIXED_SHARE: Final = 0.03

FEWEST_RESULTS: Final = 100
UNEVEN: Final = 0.1  # prices nearer to even money say too little: a book whose lines are all too high is no mixed one
# On a real season the two mixed books had 14.7, no other one more than 1.6; 4 is one honest book in 30,000.
CONTRADICTED: Final = 4.0
# Books say "over" a little too often, by 0.02 on a real season and by 0.015 to 0.027 each of eight, and lines that are
# means instead of medians do so by 0.05; that is no fault.
USUAL, UNUSUAL = -0.02, 0.08
# The slope of off on slant is 0 for prices that come true, and 0.5 for prices that say nothing, which is no crime.
# Exchanged prices have 1: on a real season 1.1, 2.9 standard errors beyond 0.5 and 5.4 beyond 0; as they are, -0.4.
NOTHING_SAID, CONTRARY, UNTRUE = 0.5, 2.0, 3.0
# Of a book's chances with the other books' at the same line; on a real season 0.53 to 0.83, and of one with its prices
# exchanged -0.83, of three of eight -0.44 to -0.63.
EXCHANGED: Final = -0.3

# Standard deviation of the outcome around a line, intercept and slope, and how far from the median of the books an
# implied centre can be; measured on the season 2023-24 (points+rebounds+assists against real lines, the others against
# the last-10 mean of players who have such a line, scaled by the same factor).
SPREADS: Final[dict[str, tuple[float, float, float]]] = {
    "PTS+REB+AST": (4.0, 0.17, 2.5),
    "PTS": (3.6, 0.16, 1.9),
    "REB": (1.4, 0.21, 0.8),
    "AST": (1.05, 0.24, 0.65),
    "FG3M": (0.7, 0.35, 0.5),
    "PTS+REB": (4.4, 0.13, 2.2),
    "PTS+AST": (4.4, 0.14, 2.2),
    "REB+AST": (2.0, 0.15, 1.05),
}
_TYPICAL: Final = 0.31  # of a standard deviation: what 2.5 is of points+rebounds+assists


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
        contrary: books whose prices say the contrary of the others', with the correlation; nor does one of theirs.
        impossible: why the lines as a whole are not what the market said before the games; empty where they can be.
        counts: rows left out by reason: after tip-off, duplicates, earlier or later snapshots.
    """

    lines: pd.DataFrame
    consensus: pd.DataFrame
    mixed: dict[str, dict[str, float]]
    contradicted: dict[str, float]
    contrary: dict[str, float]
    impossible: str
    counts: dict[str, int]


def make_board(
    matched: pd.DataFrame, target: str, *, snapshot: Snapshot = "last", actual: pd.DataFrame | None = None
) -> Board:
    """The board of what `match_players` matched, of the target's markets only.

    `snapshot` says which of a book's snapshots before tip-off counts; `actual` has KEYS and actual of games that were
    played, to see whether the books' own prices come true.
    """
    # Lines without a time count; those with one must be older than the tip-off, and than the latest that there can be.
    latest = (matched["GAME_DATE"] + LATEST_TIPOFF).dt.tz_localize("UTC")
    timely = matched[~((matched["TIMESTAMP"] >= matched["TIPOFF"]) | (matched["TIMESTAMP"] >= latest))]
    single = timely.drop_duplicates([*BOOK, "ALTERNATE", "LINE", "TIMESTAMP", "OVER_PRICE", "UNDER_PRICE"])
    counted = _snapshot(single, snapshot)
    lines, faults = _judged(counted, target, actual)
    said = consensus(lines, target)
    why = "" if actual is None else impossible(said, actual)
    if snapshot == "first":
        closing, others = _judged(_snapshot(single, "last"), target, actual)
        closed = consensus(closing, target)
        lines = _with_close(lines, closing, closed)
        faults = {kind: others[kind] | books for kind, books in faults.items()}
        if not why and actual is not None and (late := impossible(closed, actual)):
            why = f"at the close, {late}"
    counts = {
        "lines": len(matched),
        "after tip-off": len(matched) - len(timely),
        "duplicates": len(timely) - len(single),
        "other snapshots": len(single) - len(counted),
    }
    return Board(lines=lines, consensus=said, impossible=why, counts=counts, **faults)


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
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """The lines with CHANCE, CENTRE and WHY, and the books that do not count, as the board has them."""
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
    finders: dict[str, Callable[[pd.DataFrame], dict[str, Any]]] = {
        "mixed": lambda rest: rungs_mixed(rest, target),
        "contrary": contrary,
        "contradicted": lambda rest: {} if actual is None else contradicted(rest, actual),
    }
    faults: dict[str, dict[str, Any]] = {}
    for kind, find in finders.items():
        faults[kind] = find(priced[priced["WHY"] == ""])
        priced.loc[(priced["WHY"] == "") & priced["BOOKMAKER"].isin(faults[kind]), "WHY"] = MIXED
    rest = priced[priced["WHY"] == ""]
    priced.loc[rest.index[off_the_others(rest, target)], "WHY"] = FAR
    return priced, faults


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


def _with_close(lines: pd.DataFrame, closing: pd.DataFrame, closed: pd.DataFrame) -> pd.DataFrame:
    """The lines with the centre on which all books `closed`, where the same book has a later snapshot."""
    centre = closed[[*KEYS, "centre"]].rename(columns={"centre": "CLOSE_CENTRE"})
    later = closing.loc[~closing["ALTERNATE"], [*BOOK, "TIMESTAMP"]].rename(columns={"TIMESTAMP": "_later"})
    both = lines.merge(centre, on=KEYS, how="left").merge(later, on=BOOK, how="left")
    both["CLOSE_CENTRE"] = both["CLOSE_CENTRE"].where(both["_later"] > both["TIMESTAMP"])
    return both.drop(columns="_later")


def spread(target: str, line: Any) -> Any:
    """Standard deviation of the outcome around a line, in the target's units."""
    known = SPREADS.get(target)
    if known is None:
        return 0.5 + np.sqrt(np.asarray(line, dtype=np.float64) + 0.25)
    return known[0] + known[1] * line


def off_the_others(lines: pd.DataFrame, target: str) -> npt.NDArray[np.bool_]:
    """Boolean (rows,), a row per player-game and book: the centre is too far from the median of three or more books."""
    grouped = lines.groupby(KEYS, sort=False)["CENTRE"]
    median = grouped.transform("median").to_numpy()
    enough = grouped.transform("size").to_numpy() >= FEWEST_BOOKS
    distance = np.abs(lines["CENTRE"].to_numpy() - median)
    known = SPREADS.get(target)
    tolerance = np.maximum(_TYPICAL * spread(target, np.maximum(median, 0)), 0.5) if known is None else known[2]
    return np.asarray(enough & (distance > tolerance))


def rungs_mixed(lines: pd.DataFrame, target: str) -> dict[str, dict[str, float]]:
    """Books that are off too often, worst first: `rows` off, of `compared`, and their `share`.

    The worst book is taken out and the others are looked at again, since it also moved the median it was held against.
    """
    found: dict[str, dict[str, float]] = {}
    rest = lines
    while True:
        off = pd.Series(off_the_others(rest, target), index=rest.index)
        compared = rest.groupby(KEYS, sort=False)["CENTRE"].transform("size") >= FEWEST_BOOKS
        table = pd.DataFrame({"BOOKMAKER": rest["BOOKMAKER"], "off": off, "compared": compared})
        books = table.groupby("BOOKMAKER").sum()
        books["share"] = books["off"] / books["compared"]
        bad = books[(books["off"] >= FEWEST_ROWS) & (books["share"] > MIXED_SHARE)].sort_values("share")
        if bad.empty:
            return found
        worst = str(bad.index[-1])
        found[worst] = {name: float(bad[name].iloc[-1]) for name in ("off", "compared", "share")}
        rest = rest[rest["BOOKMAKER"] != worst]


def contrary(lines: pd.DataFrame) -> dict[str, float]:
    """Books whose chances of over are high where the other books' are low, worst first, with the correlation.

    Looked at where two others have the same line. The worst is taken out and the rest looked at again.
    """
    found: dict[str, float] = {}
    rest = lines[lines["CHANCE"].notna()]
    while True:
        same = rest.groupby([*KEYS, "LINE"])["CHANCE"]
        count = same.transform("size")
        others = (same.transform("sum") - rest["CHANCE"]) / (count - 1).where(count >= FEWEST_BOOKS)
        table = pd.DataFrame({"mine": rest["CHANCE"] - 0.5, "others": others - 0.5}).dropna()
        table = table.assign(both=table["mine"] * table["others"], one=table["mine"] ** 2, two=table["others"] ** 2)
        books = table.groupby(rest["BOOKMAKER"]).sum().assign(rows=rest["BOOKMAKER"][table.index].value_counts())
        correlation: pd.Series[float] = books["both"] / np.sqrt(books["one"] * books["two"])
        alike = correlation[books["rows"] >= FEWEST_RESULTS].sort_values()
        if alike.empty or not alike.iloc[0] < EXCHANGED:
            return found
        found[str(alike.index[0])] = float(alike.iloc[0])
        rest = rest[rest["BOOKMAKER"] != alike.index[0]]


def contradicted(lines: pd.DataFrame, actual: pd.DataFrame) -> dict[str, float]:
    """Books whose uneven prices do not come true, with Spiegelhalter's z: they are of other lines than they stand at.

    That needs no second book to compare with, but the outcomes. z = sum (y - p)(1 - 2p) over its standard deviation if
    the chances p are true (Spiegelhalter, "Probabilistic prediction in patient management and clinical trials",
    Statistics in Medicine 5 (1986) 421-433).
    """
    both = lines.merge(actual, on=KEYS)
    both = both[(both["actual"] != both["LINE"]) & both["CHANCE"].notna() & both["actual"].notna()]
    both = both[(1 - 2 * both["CHANCE"]).abs() >= UNEVEN]
    said, came = both["CHANCE"], (both["actual"] > both["LINE"]).astype(float)
    table = pd.DataFrame(
        {
            "BOOKMAKER": both["BOOKMAKER"],
            "seen": (came - said) * (1 - 2 * said),
            "variance": np.square(1 - 2 * said) * said * (1 - said),
            "rows": 1,
        }
    )
    books = table.groupby("BOOKMAKER").sum()
    scores = books["seen"] / np.sqrt(books["variance"])
    bad = scores[(scores > CONTRADICTED) & (books["rows"] >= FEWEST_RESULTS)]
    return {str(book): float(score) for book, score in bad.items()}


def impossible(consensus: pd.DataFrame, actual: pd.DataFrame) -> str:
    """Why the lines of all books together cannot be what the market said; empty where they can.

    Calibration in the large, sum (y - p) over its standard deviation, is far off for lines of another market and where
    overs or unders are missing; the slope of y - p on 1 - 2 p where lines or prices were picked after the games, or the
    two prices are exchanged, beyond what prices at random would give. Neither says anything of few player-games.
    """
    both = consensus.merge(actual, on=KEYS).dropna(subset=["market_over", "actual"])
    both = both[both["actual"] != both["main_line"]]
    if len(both) < FEWEST_RESULTS:
        return ""
    said, came = both["market_over"], (both["actual"] > both["main_line"]).astype(float)
    off, variance = came - said, said * (1 - said)
    in_the_large = off.sum() / np.sqrt(variance.sum())
    ways = "they are of another market, or were picked when the games were over"
    if abs(off.mean() - USUAL) > UNUSUAL and abs(in_the_large) > CONTRADICTED:
        return (
            f"of {len(both):,} player-games {came.mean():.0%} went over the line, where the prices say "
            f"{said.mean():.0%} (z = {in_the_large:.1f}): {ways}"
        )
    slant = 2 * (said.mean() - said)
    spread_of_sum = np.sqrt(max((np.square(slant) * variance).sum(), 1e-12))
    untrue = (off * slant).sum() / spread_of_sum
    if untrue > UNTRUE and untrue - NOTHING_SAID * np.square(slant).sum() / spread_of_sum > CONTRARY:
        ways = "those of over and under are exchanged, or the lines were picked when the games were over"
        return f"what came of {len(both):,} player-games is contrary to the prices (z = {untrue:.1f}): {ways}"
    return ""
