"""Criteria against what a run has stored, its predictions or only its metrics; what they can't tell does not pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.errors import InconclusiveError, SettingsError, did_you_mean
from pytest_nbaprops.gate.criteria import LESS_IS_BETTER, MORE_IS_BETTER, Criterion, asked_criteria
from pytest_nbaprops.gate.evaluate import Subject
from pytest_nbaprops.gate.evaluate import evaluate as judged
from pytest_nbaprops.gate.rows import KEYS, keyed
from pytest_nbaprops.gate.verdict import Champion, CriterionResult, Outcome, Verdict
from pytest_nbaprops.metrics.point import STATISTICS, point_metrics

Requirements = Sequence[str] | Mapping[str, float | str]

_STORED_INFINITY: Final = 1e308  # MLflow hands infinity back as the largest number it can store
_SHOWN: Final = ("expression", "metric", "value", "ci_low", "ci_high", "threshold", "outcome", "passed", "reason")
_SAME: Final = 1e-6  # stored metrics and predictions are both float64, added up in another order
_NO_CHAMPION: Final = "no version has ever been the champion"


def evaluate_version(  # noqa: PLR0913 - what its run has kept, what is asked, and against whom
    label: str,
    metrics: Mapping[str, float],
    predictions: pd.DataFrame | None,
    requirements: Requirements,
    *,
    champion: Champion | None,
    never_a_champion: bool,
    seed: int,
) -> list[dict[str, Any]]:
    """As `evaluate`, with intervals and references where the run's predictions name their player-games."""
    if predictions is None or not set(KEYS) <= set(predictions.columns):
        return evaluate(metrics, requirements)
    subject = Subject(
        rows=None,
        incomplete=None,
        own_metrics={name: value for name, value in metrics.items() if name not in STATISTICS},
        champion=champion,
        champion_reason=_NO_CHAMPION if never_a_champion else None,
        identical_to=None,
        seed=seed,
        comparisons=1,
    )
    try:
        rows = keyed(predictions, f"predictions of {label}", numbers=("actual", "predicted"))
        subject = replace(subject, rows=rows)
    except InconclusiveError as problem:
        subject = replace(subject, incomplete=str(problem))
    asked = asked_criteria(expressions(requirements))
    results = [_consistent(judged(criterion, subject), criterion, metrics, subject) for criterion in asked]
    judgements = [{**result.to_dict(), "passed": result.outcome is Outcome.PASSED} for result in results]
    return [{name: row[name] for name in _SHOWN} for row in judgements]


def _consistent(
    result: CriterionResult, criterion: Criterion, metrics: Mapping[str, float], subject: Subject
) -> CriterionResult:
    """Inconclusive where the metric that the run has logged is not that of the predictions it has kept."""
    logged = metrics.get(criterion.metric)
    if logged is None or subject.rows is None or criterion.metric not in STATISTICS:
        return result
    kept = point_metrics(subject.rows["actual"], subject.rows["predicted"])[criterion.metric]
    if math.isclose(logged, kept, rel_tol=_SAME, abs_tol=_SAME):
        return result
    reason = f"the run logged {criterion.metric} {logged:.4f}, but the predictions it kept have {kept:.4f}"
    return replace(result, outcome=Outcome.INCONCLUSIVE, reason=reason)


def as_its_session_said(results: list[dict[str, Any]], verdict: str | None) -> list[dict[str, Any]]:
    """Inconclusive results where the run's own session did not pass it, by what no criterion tells: a leak, say."""
    if verdict not in (Verdict.REJECT.value, Verdict.INCONCLUSIVE.value):
        return results
    reason = f"its own session said {verdict}: see the run's decision.json"
    return [{**row, "passed": False, "outcome": Outcome.INCONCLUSIVE.value, "reason": reason} for row in results]


def all_pass(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether something passed and all else is not applicable: nothing asked is nothing passed."""
    outcomes = {result["outcome"] for result in results}
    return Outcome.PASSED.value in outcomes and outcomes <= {Outcome.PASSED.value, Outcome.NOT_APPLICABLE.value}


def evaluate(metrics: Mapping[str, float], requirements: Requirements) -> list[dict[str, Any]]:
    """One result for each criterion: `expression`, `metric`, `value`, `threshold`, `passed`, `outcome`, `reason`."""
    return [_result(criterion, metrics) for criterion in asked_criteria(expressions(requirements))]


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
    if metric in LESS_IS_BETTER:
        return f"<= {value!r}"
    if metric in MORE_IS_BETTER:
        return f">= {value!r}"
    raise SettingsError(
        f"the criterion {metric}={value!r} does not say whether more or less of {metric} is better:"
        f' write {{"{metric}": "<= {value!r}"}} or {{"{metric}": ">= {value!r}"}}'
    )


def _result(criterion: Criterion, metrics: Mapping[str, float]) -> dict[str, Any]:
    value = metrics.get(criterion.metric)
    reason = None
    if value is None:
        reason = f"the run has no metric {criterion.metric!r}{did_you_mean(criterion.metric, metrics)}"
    elif not (math.isfinite(value) and abs(value) < _STORED_INFINITY):
        reason = f"{criterion.metric} is not a finite number"
    if criterion.reference is not None:
        reason = f"a comparison with {criterion.reference} needs the predictions, not just the run's metrics"
    elif criterion.slice is not None or criterion.bound is not None:
        reason = "slices and interval ends need the predictions, not just the run's metrics"
    outcome = Outcome.INCONCLUSIVE
    passed = reason is None and value is not None and criterion.holds(value, criterion.number)
    if reason is None:
        outcome = Outcome.PASSED if passed else Outcome.FAILED
        reason = f"{criterion.metric} is {value:.4g}, {'as' if passed else 'not as'} {criterion.expression} wants"
    return {
        "expression": criterion.expression,
        "metric": criterion.metric,
        "value": value if value is not None and math.isfinite(value) else None,
        "threshold": criterion.number,
        "ci_low": None,
        "ci_high": None,
        "passed": passed,
        "outcome": outcome.value,
        "reason": reason,
    }
