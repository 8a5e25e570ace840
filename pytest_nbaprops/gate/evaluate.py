"""One criterion, one candidate: whatever cannot be judged is inconclusive, and nothing unknown ever passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import InconclusiveError, did_you_mean
from pytest_nbaprops.gate.criteria import MARKET_METRICS, Criterion
from pytest_nbaprops.gate.rows import KEYS, champion_predicted, error_sums
from pytest_nbaprops.gate.slices import MIN_SLICE_ROWS, slice_mask
from pytest_nbaprops.gate.statistics import LEVEL, MIN_DATES, Interval, metric_interval, paired_interval
from pytest_nbaprops.gate.verdict import Champion, CriterionResult, Outcome
from pytest_nbaprops.metrics.point import STATISTICS, statistic

if TYPE_CHECKING:
    from pytest_nbaprops.market.report import MarketReport

ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the criteria of one candidate are judged on; `comparisons` is Holm's divisor of the 5%."""

    rows: pd.DataFrame | None
    incomplete: str | None
    own_metrics: Mapping[str, float]
    champion: Champion | None
    champion_reason: str | None
    identical_to: str | None
    seed: int
    comparisons: int
    market: MarketReport | None = None

    @property
    def level(self) -> float:
        return 1.0 - (1.0 - LEVEL) / self.comparisons


def evaluate(criterion: Criterion, subject: Subject) -> CriterionResult:
    """The criterion's row of the decision; whatever goes wrong in judging it is an inconclusive row."""
    try:
        with np.errstate(all="ignore"):
            return _applied(criterion, subject)
    except InconclusiveError as problem:
        return _row(criterion, Outcome.INCONCLUSIVE, str(problem))
    except Exception as problem:  # noqa: BLE001 - the gate fails closed, whatever a table of predictions holds
        text = " ".join(str(problem).split())
        return _row(criterion, Outcome.INCONCLUSIVE, f"could not be judged: {type(problem).__name__}: {text}")


def _applied(criterion: Criterion, subject: Subject) -> CriterionResult:
    if criterion.reference == "champion" and subject.champion is None:
        if not subject.champion_reason:
            raise InconclusiveError("whether there is a champion is not known")
        return _row(criterion, Outcome.NOT_APPLICABLE, subject.champion_reason)
    if subject.rows is None or subject.incomplete:
        raise InconclusiveError(subject.incomplete or "there are no predictions")
    if criterion.reference == "champion" and subject.identical_to:
        return _row(criterion, Outcome.SKIPPED, f"identical to {subject.identical_to}, the champion")
    about_market = criterion.metric in MARKET_METRICS or criterion.reference == "market"
    if about_market and subject.market is not None and (why := subject.market.impossible):
        raise InconclusiveError(why)
    if criterion.metric in MARKET_METRICS and (subject.market or criterion.metric not in subject.own_metrics):
        return _of_market(criterion, subject)
    if criterion.metric not in STATISTICS:
        return _own_metric(criterion, subject.own_metrics)
    if criterion.reference is None:
        return _against_number(criterion, _sliced(criterion, subject.rows), subject)
    return _against_reference(criterion, criterion.reference, subject.rows, subject)


def _own_metric(criterion: Criterion, own: Mapping[str, float]) -> CriterionResult:
    name = criterion.metric
    if name not in own:
        known = (*STATISTICS, *own)
        raise InconclusiveError(f"no metric {name}{did_you_mean(name, known)}; known: {', '.join(known)}")
    if criterion.needs_interval or criterion.slice is not None:
        raise InconclusiveError(f"{name} is one number for the whole test, it has no interval, slice or reference")
    value = _known(own[name], name)
    return _judged(criterion, value, None, f"{name} is {_number(value)}")


def _of_market(criterion: Criterion, subject: Subject) -> CriterionResult:
    """A metric of chances or money, on the rows that it is about, against a number or the market's own."""
    name, market = criterion.metric, subject.market
    if market is None:
        raise InconclusiveError(f"{name} needs player-prop lines: give --nbaprops-odds")
    measure = market.measure(name)
    if measure is None:
        return _own_metric(criterion, market.metrics)
    if name not in market.metrics:
        raise InconclusiveError(f"{name} is not known: {market.missing(name)}")
    if criterion.bound is not None and name == "n_bets":
        raise InconclusiveError("n_bets is counted, not estimated, and has no interval")
    rows = market.scope(name)
    if criterion.slice is not None and subject.rows is not None:
        # A slice reads the columns of the predictions and never those of the bets.
        columns = rows[KEYS].merge(subject.rows, on=KEYS, how="left", validate="one_to_one")
        rows = rows[slice_mask(criterion.slice, columns)]
    value = _known(measure.of(rows), name)
    if criterion.reference is not None:
        theirs = market.market_measure(name) if criterion.reference == "market" else None
        if theirs is None:
            raise InconclusiveError(f"{name} cannot be compared with {criterion.reference}, which has none")
        other = _known(theirs.of(rows), f"{name} of {criterion.reference}")
        difference = market.difference_of(measure, theirs, rows, level=subject.level)
        return _compared(criterion, value, other, difference, subject)
    remark = f"; {said}" if criterion.slice is None and (said := market.remark(name)) else ""
    interval = None
    if criterion.bound is not None or (name != "n_bets" and rows["GAME_DATE"].nunique() >= MIN_DATES):
        interval = market.interval_of(measure, rows, level=subject.level if criterion.bound else LEVEL)
    described = f", {_described(interval, subject)}" if interval else ""
    return _judged(criterion, value, interval, f"{name} is {_number(value)}{described}{remark}")


def _against_number(criterion: Criterion, rows: pd.DataFrame, subject: Subject) -> CriterionResult:
    sums = error_sums(rows)
    value = _known(float(statistic(criterion.metric, sums.sum(axis=0))), criterion.metric)
    said = f"{criterion.metric} is {_number(value)}"
    if criterion.metric == "n_predictions" or (criterion.bound is None and len(sums) < MIN_DATES):
        return _judged(criterion, value, None, said)  # only for show, and cannot be had
    level = subject.level if criterion.bound else LEVEL
    interval = metric_interval(criterion.metric, sums, seed=subject.seed, level=level)
    return _judged(criterion, value, interval, f"{said}, {_described(interval, subject)}")


def _against_reference(criterion: Criterion, name: str, rows: pd.DataFrame, subject: Subject) -> CriterionResult:
    rows = _sliced(criterion, _with_reference(name, rows, subject.champion))
    ours, theirs = error_sums(rows), error_sums(rows, "reference")
    value = _known(float(statistic(criterion.metric, ours.sum(axis=0))), criterion.metric)
    other = float(statistic(criterion.metric, theirs.sum(axis=0)))
    _known(other, f"{criterion.metric} of {name}")
    difference = paired_interval(criterion.metric, ours, theirs, seed=subject.seed, level=subject.level)
    return _compared(criterion, value, other, difference, subject)


def _compared(
    criterion: Criterion, value: float, other: float, difference: Interval, subject: Subject
) -> CriterionResult:
    """The verdict is the difference's; value, interval and threshold are shown on the metric's own scale."""
    end = _known(difference.low if criterion.wants_more else difference.high, f"the interval of {criterion.metric}")
    if criterion.strict:  # moved by what rounding can do: a difference in the last bits is none
        crumb = ROUNDING * max(1.0, abs(value))
        end = end - crumb if criterion.wants_more else end + crumb
    passed = criterion.holds(end, criterion.number)
    said = f"{criterion.metric} is {_number(value)}, {criterion.reference} {_number(other)}, "
    said += f"difference {_number(difference.point)} with {_described(difference, subject)}"
    shown = replace(difference, low=other + difference.low, high=other + difference.high)
    return _row(
        criterion,
        Outcome.PASSED if passed else Outcome.FAILED,
        said,
        value=value,
        interval=shown,
        threshold=other + criterion.number,
    )


def _judged(criterion: Criterion, value: float, interval: Interval | None, said: str) -> CriterionResult:
    decisive = value
    if criterion.bound is not None:
        end = getattr(interval, criterion.bound, math.nan)
        decisive = _known(end, f"{criterion.metric}.{criterion.bound}")
    outcome = Outcome.PASSED if criterion.holds(decisive, criterion.number) else Outcome.FAILED
    return _row(criterion, outcome, said, value=value, interval=interval)


def _with_reference(name: str, rows: pd.DataFrame, champion: Champion | None) -> pd.DataFrame:
    if name == "champion" and champion is not None:
        return rows.assign(reference=champion_predicted(rows, champion).to_numpy())
    if name not in rows.columns:
        raise InconclusiveError(f"there is no {name} to compare with" + (", no odds" if name == "market" else ""))
    if name == "market":
        every, rows = rows["GAME_DATE"].nunique(), rows[rows["market"].notna()]
        if (dates := rows["GAME_DATE"].nunique()) < MIN_DATES <= every:
            raise InconclusiveError(
                f"{dates} of the {every} tested dates have a line, an interval needs {MIN_DATES}: test more dates"
            )
        if len(rows) < MIN_SLICE_ROWS:
            raise InconclusiveError(f"{len(rows):,} player-games have a market line, fewer than {MIN_SLICE_ROWS}")
    values = rows[name].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InconclusiveError(
            f"{name} is missing or not finite for {int((~np.isfinite(values)).sum()):,} player-games"
        )
    return rows.assign(reference=values)


def _sliced(criterion: Criterion, rows: pd.DataFrame) -> pd.DataFrame:
    if criterion.slice is None:
        return rows
    chosen = rows[slice_mask(criterion.slice, rows)]
    dates, every = chosen["GAME_DATE"].nunique(), rows["GAME_DATE"].nunique()
    if criterion.needs_interval and dates < MIN_DATES <= every:
        raise InconclusiveError(
            f"{dates} of the {every} tested dates have rows with [{criterion.slice}], an interval needs {MIN_DATES}"
        )
    return chosen


def _known(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InconclusiveError(f"{name} is {value!r}, which is not a number") from None
    if not math.isfinite(number):
        raise InconclusiveError(f"{name} is {number}, which is not a number to decide on")
    return number


def _described(interval: Interval, subject: Subject) -> str:
    corrected = f", Holm-corrected: 5% / {subject.comparisons}" if interval.level > LEVEL else ""
    return (
        f"{100 * interval.level:.4g}% interval {_number(interval.low)} to {_number(interval.high)}"
        f" ({interval.dates} dates, blocks of {interval.block}{corrected})"
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"  # noqa: PLR2004 - only how it reads


def _row(  # noqa: PLR0913 - the columns of the row
    criterion: Criterion,
    outcome: Outcome,
    reason: str,
    *,
    value: float | None = None,
    interval: Interval | None = None,
    threshold: float | None = None,
) -> CriterionResult:
    return CriterionResult(
        expression=criterion.expression,
        metric=criterion.metric,
        slice=criterion.slice,
        value=value,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        threshold=threshold if threshold is not None or criterion.reference else criterion.number,
        outcome=outcome,
        reason=reason,
        ci_level=None if interval is None else interval.level,
    )
