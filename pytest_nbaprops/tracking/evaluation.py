"""Criteria against the metrics that a run has stored; whatever they can't tell does not pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.criteria import Criterion, nearest, parse_criterion

Requirements = Sequence[str] | Mapping[str, float | str]

_LESS_IS_BETTER: Final = ("mae", "rmse", "brier", "log_loss", "ece", "max_drawdown")
_MORE_IS_BETTER: Final = (
    "r2",
    "within_3_pct",
    "within_5_pct",
    "within_10_pct",
    "roi",
    "win_rate",
    "clv",
    "n_predictions",
)
_STORED_INFINITY: Final = 1e308  # MLflow hands infinity back as the largest number it can store


def evaluate(metrics: Mapping[str, float], requirements: Requirements) -> list[dict[str, Any]]:
    """One result for each criterion: `expression`, `metric`, `value`, `threshold`, `passed`, `reason`."""
    return [_result(parse_criterion(text), metrics) for text in expressions(requirements)]


def expressions(requirements: Requirements) -> list[str]:
    """The requirements as criteria.

    Raises:
        SettingsError: A number for a metric of which nobody knows whether more is better.
    """
    if isinstance(requirements, str):
        return [requirements]
    if not isinstance(requirements, Mapping):
        return list(requirements)
    return [f"{metric} {_bound(metric, value)}" for metric, value in requirements.items()]


def _bound(metric: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if metric in _LESS_IS_BETTER:
        return f"<= {value!r}"
    if metric in _MORE_IS_BETTER:
        return f">= {value!r}"
    raise SettingsError(
        f"the criterion {metric}={value!r} does not say whether more or less of {metric} is better:"
        f' write {{"{metric}": "<= {value!r}"}} or {{"{metric}": ">= {value!r}"}}'
    )


def _result(criterion: Criterion, metrics: Mapping[str, float]) -> dict[str, Any]:
    value = metrics.get(criterion.metric)
    reason = _untold(criterion) or _unusable(criterion.metric, value, metrics)
    passed = reason is None and value is not None and criterion.holds(value, criterion.number)
    if reason is None:
        reason = f"{criterion.metric} is {value:.4g}, {'as' if passed else 'not as'} {criterion.expression} wants"
    return {
        "expression": criterion.expression,
        "metric": criterion.metric,
        "value": value if value is not None and math.isfinite(value) else None,
        "threshold": criterion.number,
        "passed": passed,
        "reason": reason,
    }


def _untold(criterion: Criterion) -> str | None:
    if criterion.reference is not None:
        return f"a comparison with {criterion.reference} needs the predictions, not just the run's metrics"
    if criterion.slice is not None or criterion.bound is not None:
        return "slices and interval ends need the predictions, not just the run's metrics"
    return None


def _unusable(metric: str, value: float | None, metrics: Mapping[str, float]) -> str | None:
    if value is None:
        return f"the run has no metric {metric!r}{nearest(metric, metrics)}"
    return None if math.isfinite(value) and abs(value) < _STORED_INFINITY else f"{metric} is not a finite number"
