"""What one fold left behind: made where it ran, sealed in the fold store, read by whoever has its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from pytest_nbaprops.metrics.point import FOLD_METRICS, STATISTICS, point_metrics
from pytest_nbaprops.metrics.side import side_metrics


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """Predictions of one fold, their metrics in the target's units, and how they were made.

    Attributes:
        predictions: GAME_DATE, GAME_ID, PLAYER_ID, actual, predicted, baseline, one row per player-game; in a test
            PLAYER_NAME, too.
        details: exact builtins: fit_key, seconds_fit, seconds_predict, importance, side (sums of what the recipe
            predicts beside the target), metrics, made_by (session and candidate); of a test's own result also own
            (metrics that it logged), estimator, unregistrable, recorded_by and recipe (the key of what it adds to).
        key: under which the store has it.
        cached: an earlier session made it.
    """

    predictions: pd.DataFrame
    details: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    cached: bool = False

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """mae, rmse, r2, bias, within_k_pct and n_predictions; of two_stage also mae_minutes and r2_minutes.

        Computed once, where the fold ran; results that older versions stored did not keep them.
        """
        kept: Mapping[str, float] | None = self.details.get("metrics")
        return metrics_of(self.predictions, self.details) if kept is None else kept

    @property
    def own(self) -> Mapping[str, float]:
        """Metrics of the test's own."""
        own: Mapping[str, float] = self.details.get("own", {})
        return own

    @property
    def logged(self) -> Mapping[str, float]:
        """What MLflow gets of it: metrics of the target, of what is predicted beside it, and of the test's own."""
        left_out = STATISTICS.keys() - set(FOLD_METRICS)
        return {**self.own, **{name: value for name, value in self.metrics.items() if name not in left_out}}

    def __getattr__(self, name: str) -> float:
        if not name.startswith("_") and "details" in self.__dict__ and name in self.metrics:
            return float(self.metrics[name])
        known = ", ".join(self.metrics) if "details" in self.__dict__ else ""
        raise AttributeError(f"a fold's result has no {name!r}; it has {known}")

    def worst(self, n: int = 5) -> str:
        """The n largest misses as a table; of a test's result, which has the players' names."""
        misses = self.predictions.assign(error=self.predictions["predicted"] - self.predictions["actual"])
        largest = misses.sort_values("error", key=lambda error: -error.abs(), kind="stable").head(n)
        columns = ["GAME_DATE", "PLAYER_NAME", "actual", "predicted", "error"]
        table = largest[columns].to_string(index=False, float_format="{:.1f}".format)
        return f"the {len(largest)} worst misses:\n{table}"


def metrics_of(predictions: pd.DataFrame, details: Mapping[str, Any]) -> dict[str, float]:
    """Point metrics of the predictions, and of what the recipe predicts beside the target."""
    return point_metrics(predictions["actual"], predictions["predicted"]) | side_metrics([details.get("side", {})])
