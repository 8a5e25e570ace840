"""Books that join a line with the price of another line.

Found in two ways: by the total that line and price imply, against the other books; and by the outcomes, against the
book's own prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

KEYS: Final = list(KEY_COLUMNS)
FEWEST_BOOKS: Final = 3  # of two that disagree nobody knows which is wrong
FEWEST_ROWS: Final = 5
# On a real season two books had 71% of their rows off, every other one at most 0.3%.
MIXED_SHARE: Final = 0.03

FEWEST_RESULTS: Final = 100
UNEVEN: Final = 0.1  # prices nearer to even money say too little: a book whose lines are all too high is no mixed one
# On a real season the two mixed books had 14.7, no other one more than 1.6; 4 is one honest book in 30,000.
CONTRADICTED: Final = 4.0

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


def spread(target: str, line: Any) -> Any:
    """Standard deviation of the outcome around a line, in the target's units."""
    known = SPREADS.get(target)
    if known is None:
        return 0.5 + np.sqrt(np.asarray(line, dtype=np.float64) + 0.25)
    return known[0] + known[1] * line


def tolerance(target: str, centre: npt.NDArray[np.float64]) -> Any:
    """How far an implied centre may be from the median of the books."""
    known = SPREADS.get(target)
    return np.maximum(_TYPICAL * spread(target, np.maximum(centre, 0)), 0.5) if known is None else known[2]


def off_the_others(lines: pd.DataFrame, target: str) -> npt.NDArray[np.bool_]:
    """Boolean (rows,): the implied centre is too far from the median of three or more books.

    Args:
        lines: KEYS, BOOKMAKER and CENTRE, one row per player-game and book.
        target: What the lines are on.
    """
    grouped = lines.groupby(KEYS, sort=False)["CENTRE"]
    median = grouped.transform("median").to_numpy()
    enough = grouped.transform("size").to_numpy() >= FEWEST_BOOKS
    distance = np.abs(lines["CENTRE"].to_numpy() - median)
    return np.asarray(enough & (distance > tolerance(target, median)))


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


def contradicted(lines: pd.DataFrame, actual: pd.DataFrame) -> dict[str, float]:
    """Books whose uneven prices do not come true, with Spiegelhalter's z: they are of other lines than they stand at.

    That needs no second book to compare with, but the outcomes. z = sum (y - p)(1 - 2p) over its standard deviation if
    the chances p are true (Spiegelhalter, "Probabilistic prediction in patient management and clinical trials",
    Statistics in Medicine 5 (1986) 421-433).

    Args:
        lines: KEYS, BOOKMAKER, LINE and CHANCE (of over, margin taken out).
        actual: KEYS and actual.
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
