"""Prediction intervals and chances from a model's own out-of-sample errors, wider where the errors are wider.

A Mondrian conformal predictive distribution: the residuals of past predictions are put into bins of the prediction, and
the distribution of a new outcome is the prediction plus its bin's residuals. Between the centres of two bins their
quantiles are interpolated, and a higher prediction never gets a lower quantile. Source: Boström, Johansson and
Löfström, "Mondrian conformal predictive distributions", PMLR 152 (2021) 24-38; conformal residual quantiles as in Lei
et al., "Distribution-free predictive inference for regression", JASA 113 (2018) 1094-1111.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.metrics.point import Floats

FEWEST_ROWS: Final = 200  # below this the tails of even a single bin are guesses
# Learnt on 600 rows of a real season, bins of 500 covered 68% to 93% by level, bins of 100 79% to 83%.
ROWS_A_BIN: Final = 100
MOST_BINS: Final = 20
LEVELS: Final = tuple(step / 200 for step in range(1, 200))
HALF_A_POINT: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """How a model errs at each level of its prediction.

    Attributes:
        centres: mean prediction of each bin, ascending, shape (bins,).
        outcomes: quantiles of the outcome at each centre, shape (bins, len(LEVELS)), in the target's units.
        floor: lowest value that the target can have; None where it may be negative.
        whole: whether the target only takes whole numbers, so that a whole line can be hit exactly.
        rows: predictions that this was learnt from.
    """

    centres: Floats
    outcomes: Floats
    floor: float | None
    whole: bool
    rows: int

    def interval(self, predicted: npt.ArrayLike, level: float = 0.8) -> pd.DataFrame:
        """Columns low and high, one row per prediction: the outcome lies between with probability `level`.

        Raises:
            ValueError: level is not between 0 and 1.
        """
        low, high = ends_of(self.quantiles(predicted), level)
        return pd.DataFrame({"low": low, "high": high})

    def quantiles(self, predicted: npt.ArrayLike) -> Floats:
        """Outcome quantiles, shape (predictions, levels); beyond the outer centres the outer bins' errors hold."""
        values = np.atleast_1d(np.asarray(predicted, dtype=np.float64))
        inner = np.clip(values, self.centres[0], self.centres[-1])
        between = np.column_stack([np.interp(inner, self.centres, column) for column in self.outcomes.T])
        outcomes = between + (values - inner)[:, None]
        return np.asarray(outcomes if self.floor is None else np.maximum(outcomes, self.floor))


def ends_of(quantiles: Floats, level: float) -> tuple[Floats, Floats]:
    """Low and high of the central interval of that probability, from quantiles at LEVELS, shape (rows, levels).

    Raises:
        ValueError: level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level!r} is not between 0 and 1")
    return quantile_at(quantiles, (1 - level) / 2), quantile_at(quantiles, (1 + level) / 2)


def quantile_at(quantiles: Floats, level: npt.ArrayLike) -> Floats:
    """The quantile of each row at one level, or at a level of its own; flat beyond the first and last of LEVELS."""
    position = np.clip(np.asarray(level, dtype=np.float64) * (len(LEVELS) + 1) - 1, 0, len(LEVELS) - 1)
    position = np.broadcast_to(position, len(quantiles))
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, len(LEVELS) - 1)
    rows = np.arange(len(quantiles))
    share = position - below
    return np.asarray((1 - share) * quantiles[rows, below] + share * quantiles[rows, above])


def level_below(quantiles: Floats, value: npt.ArrayLike) -> Floats:
    """Chance of an outcome below each row's value, interpolated between its quantiles; NaN where the value is."""
    values = np.asarray(value, dtype=np.float64)
    position = (quantiles <= values[:, None]).sum(axis=1)  # quantiles at or below the value
    before, after = np.clip(position - 1, 0, len(LEVELS) - 1), np.clip(position, 0, len(LEVELS) - 1)
    rows = np.arange(len(quantiles))
    low, high = quantiles[rows, before], quantiles[rows, after]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(high > low, (values - low) / (high - low), 0.0)
    known = np.asarray(LEVELS)
    chance = known[before] + np.clip(share, 0.0, 1.0) * (known[after] - known[before])
    return np.where(np.isnan(values), np.nan, chance)


def sides_of(quantiles: Floats, line: npt.ArrayLike, *, whole: bool) -> tuple[Floats, Floats]:
    """Chances of under and over of each row's line; a whole target can hit a whole line exactly, which is neither.

    NaN where the line is; never beyond 0.005 and 0.995, the finest that is known of the tails.
    """
    lines = np.atleast_1d(np.asarray(line, dtype=np.float64))
    push = HALF_A_POINT * (whole & (lines == np.floor(lines)))
    return level_below(quantiles, lines - push), 1.0 - level_below(quantiles, lines + push)


def learn_errors(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> ErrorModel | None:
    """The error model of out-of-sample predictions, both shape (rows,); None where fewer than 200 can be used.

    Rows with a NaN are left out. The floor is 0 unless an actual value is negative.
    """
    pairs = np.column_stack([np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < FEWEST_ROWS:
        return None
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    bins = np.array_split(pairs, min(max(len(pairs) // ROWS_A_BIN, 1), MOST_BINS))
    centres, outcomes = _merged(bins)
    return ErrorModel(
        centres=centres,
        outcomes=outcomes,
        floor=0.0 if pairs[:, 0].min() >= 0 else None,
        whole=bool((pairs[:, 0] == np.floor(pairs[:, 0])).all()),
        rows=len(pairs),
    )


def _merged(bins: list[Floats]) -> tuple[Floats, Floats]:
    """Centre and outcome quantiles of each bin; bins of one and the same prediction become one."""
    means = np.array([part[:, 1].mean() for part in bins])
    centres = np.unique(means)
    pooled = [np.concatenate([part for part, mean in zip(bins, means, strict=True) if mean == c]) for c in centres]
    # Weibull's positions i/(n+1): the new outcome is one more draw among the n known ones, as conformal ranks have it.
    errors = [np.quantile(part[:, 0] - part[:, 1], LEVELS, method="weibull") for part in pooled]
    outcomes = centres[:, None] + np.array(errors)
    return centres, np.maximum.accumulate(outcomes, axis=0)
