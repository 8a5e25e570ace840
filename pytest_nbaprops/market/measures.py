"""The market's metrics as functions of sums per game date, so that a bootstrap can add dates up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd

from pytest_nbaprops.gate.statistics import critical_value
from pytest_nbaprops.metrics.point import Floats, date_sums

STEP: Final = 0.05  # autocorrelations are rounded up to it, so that few critical values need simulating


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric: what each row adds (rows, k), and the metric of any sums of that (..., k)."""

    terms: Callable[[pd.DataFrame], Floats]
    value: Callable[[Floats], Floats]

    def sums(self, rows: pd.DataFrame) -> Floats:
        """Array (dates, k) of the rows' dates."""
        return date_sums(rows["GAME_DATE"].to_numpy(), self.terms(rows))

    def of(self, rows: pd.DataFrame) -> float:
        """The metric of the rows; NaN where it has none."""
        with np.errstate(all="ignore"):
            return float(self.value(self.terms(rows).sum(axis=0)))


def rounded_critical_value(dates: int, block: int, autocorrelation: float, level: float, seed: int) -> float:
    """`critical_value` at the autocorrelation rounded up, which makes intervals a little wider, never narrower."""
    return _critical_value(dates, block, min(np.ceil(autocorrelation / STEP) * STEP, 0.95), level, seed)


_critical_value = lru_cache(maxsize=256)(critical_value)


def mean_of(column: str) -> Measure:
    """The mean of a column over the rows that have it."""

    def terms(rows: pd.DataFrame) -> Floats:
        values = rows[column].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        return np.column_stack([np.where(known, values, 0.0), known])

    return Measure(terms=terms, value=lambda sums: sums[..., 0] / sums[..., 1])


def ratio_of(above: str, below: str) -> Measure:
    """The sum of one column over the sum of another; rows that have neither add nothing."""
    return Measure(
        terms=lambda rows: np.nan_to_num(rows[[above, below]].to_numpy(dtype=np.float64)),
        value=lambda sums: sums[..., 0] / sums[..., 1],
    )


def total_of(column: str) -> Measure:
    return Measure(
        terms=lambda rows: np.nan_to_num(rows[[column]].to_numpy(dtype=np.float64)), value=lambda sums: sums[..., 0]
    )


def slope_of(x: str, y: str) -> Measure:
    """The least-squares slope of y on x, with an intercept."""

    def terms(rows: pd.DataFrame) -> Floats:
        pairs = rows[[x, y]].to_numpy(dtype=np.float64)
        known = np.isfinite(pairs).all(axis=1)
        a, b = np.where(known[:, None], pairs, 0.0).T
        return np.column_stack([known, a, b, a * a, a * b])

    def value(sums: Floats) -> Floats:
        n, a, b, aa, ab = np.moveaxis(sums, -1, 0)
        return np.asarray((ab - a * b / n) / (aa - a * a / n))

    return Measure(terms=terms, value=value)


SCORES: Final = ("brier", "log_loss", "crps", "coverage50", "coverage80", "coverage95")
MEASURES: Final[Mapping[str, Measure]] = {
    "roi": ratio_of("profit", "stake"),
    "win_rate": ratio_of("won", "decided"),
    "n_bets": total_of("bet"),
    "profit": total_of("profit"),
    "clv": mean_of("clv"),
    **{name: mean_of(name) for name in SCORES},
    "market_mae": mean_of("market_error"),
    "market_brier": mean_of("market_brier"),
    "beyond_line": slope_of("beyond", "missed"),
    "blend": mean_of("blend_error"),
}
# What the market has under the same name, on the same rows.
MARKET_MEASURES: Final[Mapping[str, Measure]] = {
    **{name: mean_of(f"market_{name}") for name in SCORES},
    "blend": mean_of("market_error_blend"),
}
