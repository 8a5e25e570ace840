"""What is too good to be true, whatever way the outcomes came in."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

FEWEST_ROWS = 100
FEWEST_REHEARSED = 20
# Fisher's z. On seven real seasons a night's differed by at most 5.3 standard errors from its season's, three weeks'
# from the other weeks' by 5.5 and 0.12; who has closing lines on some nights only has 0.22 more on them.
ALL_BETTER, ONE_BETTER, SPREADS_BETTER = 0.3, 0.6, 8
MOST_CORRELATED = 0.999999  # of which Fisher's z is 7, and finite
# On nine real seasons the best recipe's error is 94% of the baseline's; who knew tonight's minutes would be at 71% for
# points + rebounds + assists, 79% for points, 82% for rebounds, 88% for assists.
SHARE_POSSIBLE = 2 / 3


# On real seasons the best of our own columns explains 4% of what the baseline gets wrong, a bookmaker's closing line
# 11-21%, tonight's minutes 31-42%, and whether the baseline was passed 61%.
MOST_TELLING = 0.3
FEWEST_GAMES = 10  # that the player had before: the baseline of a newcomer is easily mended


def usual_rows(games: pd.DataFrame, tested: Collection[dt.date]) -> Mask:
    """Rows of these dates of players who played and had ten games before; the games are in the order of their dates."""
    played = games["GAME_DATE"].isin(pd.to_datetime(list(tested))) & (games["MIN"] > 0)
    mask: Mask = (played & (games.groupby("PLAYER_ID").cumcount() >= FEWEST_GAMES)).to_numpy()
    return mask


def too_telling(columns: pd.DataFrame, targets: pd.DataFrame, rows: Mask) -> dict[str, float]:
    """Columns that explain more of what the baseline gets wrong than anything known before the game, and how much.

    Args:
        columns: features of all games.
        targets: actual and baseline of the same rows.
        rows: which to look at, see `usual_rows`.

    Returns:
        Shares of the variance that is left when the baseline itself has explained what it can (a partial R squared).
    """
    actual, baseline = (targets[name].to_numpy(np.float64) for name in ("actual", "baseline"))
    looked = rows & np.isfinite(actual) & np.isfinite(baseline)
    found = {}
    for name in columns:
        values = columns[name].to_numpy(np.float64)
        there = looked & np.isfinite(values)
        if there.sum() < FEWEST_ROWS:
            continue
        known = np.column_stack([np.ones(there.sum()), baseline[there]])
        both = np.column_stack([actual[there], values[there]])
        left, more = (both - known @ np.linalg.lstsq(known, both, rcond=None)[0]).T
        size = float((left @ left) * (more @ more))
        if (share := float(left @ more) ** 2 / size if size > 0 else 0.0) > MOST_TELLING:
            found[str(name)] = share
    return found


def too_good(predictions: pd.DataFrame) -> str | None:
    """What is said where the error is less than anybody's who knew tonight's minutes, or None.

    `predictions` has actual, predicted and baseline of all rows.
    """
    error, usual = ((predictions[name] - predictions["actual"]).abs().mean() for name in ("predicted", "baseline"))
    if len(predictions) < FEWEST_ROWS or not error < SHARE_POSSIBLE * usual:
        return None
    return (
        f"its error is {error / usual:.0%} of the baseline's, and even who knew tonight's minutes would be at 71%: "
        "outcomes get in where nobody looked; look at what it predicts from, or, if the games can be predicted that "
        "well, say why with nbaprops_known_good = REASON"
    )


def too_good_folds(predictions: pd.DataFrame, rehearsed: Collection[int]) -> str | None:
    """What is said where folds that were not run again are far better than those that were, or None.

    How much a fold's predictions know is the correlation of what they mend with what there was to mend:
    `predicted - baseline` with `actual - baseline`. Correlations are compared as Fisher's z (Fisher, 1921): those of
    all folds that were not run again with those of the others, and of such alone as stand out by themselves.

    Args:
        predictions: fold, actual, predicted and baseline of all rows.
        rehearsed: numbers of the folds that were run again.
    """
    finite: Mask = np.isfinite(predictions[["predicted", "actual", "baseline"]].to_numpy(np.float64)).all(axis=1)
    numbers = predictions.loc[finite]
    if numbers.empty:
        return None
    folds = pd.DataFrame({fold: _knowing(rows) for fold, rows in numbers.groupby("fold")}).T
    looked = folds.index.isin(list(rehearsed))
    usual, others = folds[looked], folds[~looked]
    if usual["weight"].sum() < FEWEST_REHEARSED:
        return None
    mean = np.average(usual["z"], weights=usual["weight"])
    for better, least in ((others, ALL_BETTER), (others[others["z"] > mean + ONE_BETTER], ONE_BETTER)):
        if better["weight"].sum() < FEWEST_ROWS or not _ratio(better) < _ratio(usual):
            continue
        more = np.average(better["z"], weights=better["weight"]) - mean
        spread = np.hypot(*(part["weight"].sum() ** -0.5 for part in (better, usual)))
        if more > max(least, SPREADS_BETTER * spread):
            return (
                f"the error of {len(better)} of {len(folds)} folds is {_ratio(better):.0%} of the baseline's, but "
                f"{_ratio(usual):.0%} on the {len(usual)} that were run again; raise --nbaprops-leak-dates to look at "
                "more"
            )
    return None


def _knowing(rows: pd.DataFrame) -> dict[str, float]:
    """A fold's correlation as Fisher's z, the weight of it (the inverse of its variance), and sums of errors."""
    mended, wrong = (rows[name] - rows["baseline"] for name in ("predicted", "actual"))
    spread = float(mended.std() * wrong.std())
    correlation = float(mended.cov(wrong)) / spread if spread > 0 else 0.0
    return {
        "z": float(np.arctanh(np.clip(correlation, -MOST_CORRELATED, MOST_CORRELATED))),
        "weight": max(len(rows) - 3, 0),
        "predicted": float((mended - wrong).abs().sum()),
        "baseline": float(wrong.abs().sum()),
    }


def _ratio(sums: pd.DataFrame) -> float:
    return float(np.divide(sums["predicted"].sum(), max(float(sums["baseline"].sum()), 1e-12)))
