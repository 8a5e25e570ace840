"""Chances against lines: the model's own earlier errors, then what earlier lines made of chances like these.

Every number for a date comes from earlier dates only. The distribution of an outcome is the prediction plus the errors
of earlier out-of-fold predictions of that size (`metrics.intervals`). Such chances do not come true against real lines,
which know most of what the model knows, so they are recalibrated: a logistic regression of what came on the log odds of
what was said (Cox 1958; Platt 2000), on earlier lines. The distribution is then moved so that it gives the recalibrated
chance at the main line, which makes chances at all other lines of the player-game agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.metrics.intervals import LEVELS, ErrorModel, learn_errors, quantile_at
from pytest_nbaprops.metrics.point import Floats

RELEARN: Final = np.timedelta64(7, "D")  # the errors of thousands of predictions do not change by the day
FEWEST_LINES: Final = 300  # the slope's standard error is 0.12 with that many
NORMAL: Final = 1.959964  # 97.5% of the normal distribution lies below
STEEPEST: Final = 1.0  # earlier lines can make chances more cautious, never bolder


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """What earlier lines made of the model's chances: log odds of the truth = intercept + slope log odds said.

    Attributes:
        slope: From 0 (the model says nothing that came true) to 1.
        lines: How many earlier lines it was learnt from.
        covariance: Of intercept and slope: variance of the intercept, covariance, variance of the slope.
    """

    intercept: float
    slope: float
    lines: int
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def learn(cls, said: npt.ArrayLike, came: npt.ArrayLike) -> Recalibration | None:
        """From chances and outcomes (0, 1), NaN left out; None where there are fewer than 300 or only one outcome."""
        pairs = np.column_stack([np.asarray(said, dtype=np.float64), np.asarray(came, dtype=np.float64)])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs) < FEWEST_LINES or len(np.unique(pairs[:, 1])) == 1:
            return None
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy

        x, happened = log_odds(pairs[:, 0]), pairs[:, 1]
        model = LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-8).fit(x[:, None], happened)
        intercept, slope = float(model.intercept_[0]), float(model.coef_[0, 0])
        if not 0 <= slope <= STEEPEST:
            slope = float(np.clip(slope, 0, STEEPEST))
            intercept = _intercept(slope * x, happened)
        spread = _covariance(intercept, slope, x)
        return cls(intercept=intercept, slope=slope, lines=len(pairs), covariance=spread)

    def apply(self, said: npt.ArrayLike) -> Floats:
        """The chances that those said stand for."""
        return _chance(self.intercept + self.slope * log_odds(said))

    def interval(self, said: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Low and high ends (95%) of the recalibrated chances: what is not known of intercept and slope (delta method).

        Wald's interval on the log odds; the lines count as independent, so it is rather too short than too long.
        """
        x = log_odds(said)
        own, both, slope = self.covariance
        error = NORMAL * np.sqrt(np.maximum(own + 2 * both * x + slope * x * x, 0.0))
        middle = self.intercept + self.slope * x
        return _chance(middle - error), _chance(middle + error)


def log_odds(chance: npt.ArrayLike) -> Floats:
    """log(p / (1 - p)), chances kept within what is known of the tails."""
    inside = np.clip(np.asarray(chance, dtype=np.float64), LEVELS[0], LEVELS[-1])
    return np.asarray(np.log(inside / (1.0 - inside)))


def _chance(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _covariance(intercept: float, slope: float, x: Floats) -> tuple[float, float, float]:
    """The inverse of the logistic likelihood's information."""
    chance = _chance(intercept + slope * x)
    weight = chance * (1.0 - chance)
    information = np.array([[weight.sum(), (weight * x).sum()], [(weight * x).sum(), (weight * x * x).sum()]])
    spread = np.linalg.pinv(information)
    return float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1])


def _intercept(offset: Floats, came: Floats) -> float:
    """The intercept that makes the mean of the recalibrated chances what came, the slope being fixed (bisection)."""
    low, high = -5.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        said = float(_chance(middle + offset).mean())
        low, high = (middle, high) if said < came.mean() else (low, middle)
    return (low + high) / 2


def walked_quantiles(rows: pd.DataFrame, wanted: npt.NDArray[np.bool_], predicted: str) -> Floats:
    """Outcome quantiles (wanted rows, levels) from the errors of earlier dates; NaN where there are too few.

    `predicted` names the column that plays the prediction, out of fold: a model's, or the market's centre.
    """
    dates = rows["GAME_DATE"].to_numpy()
    actual, expected = rows["actual"].to_numpy(dtype=np.float64), rows[predicted].to_numpy(dtype=np.float64)
    found = np.full((int(wanted.sum()), len(LEVELS)), np.nan)
    asked = dates[wanted]
    errors: ErrorModel | None = None
    learnt: Any = None
    for date in np.unique(asked):
        if errors is None or date - learnt >= RELEARN:
            before = dates < date
            errors, learnt = learn_errors(actual[before], expected[before]), date
        if errors is not None:
            found[asked == date] = errors.quantiles(expected[wanted][asked == date])
    return found


def given_no_push(under: Floats, over: Floats) -> Floats:
    """Chance of over among the outcomes that decide the bet."""
    return over / (over + under)


def moved(quantiles: Floats, line: npt.ArrayLike, chance: npt.ArrayLike) -> Floats:
    """The distributions moved so that each gives its chance of an outcome over its line."""
    shift = np.asarray(line, dtype=np.float64) - quantile_at(quantiles, 1.0 - np.asarray(chance, dtype=np.float64))
    return np.asarray(quantiles + shift[:, None])


def recalibrated(dates: npt.NDArray[np.datetime64], said: Floats, came: Floats) -> tuple[Floats, Recalibration | None]:
    """Each row's chance from the lines of earlier dates, NaN where these are too few; and what all lines teach.

    `said` are the chances of the error model, given no push; `came` is 1 over, 0 under, NaN push.
    """
    found = np.full(len(said), np.nan)
    for date in np.unique(dates):
        learnt = Recalibration.learn(said[dates < date], came[dates < date])
        if learnt is not None:
            found[dates == date] = learnt.apply(said[dates == date])
    return found, Recalibration.learn(said, came)
