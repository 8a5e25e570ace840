"""The best runs of a store, found without reading all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError, did_you_mean
from pytest_nbaprops.gate.criteria import LESS_IS_BETTER, MORE_IS_BETTER
from pytest_nbaprops.runs.compare import unfairness
from pytest_nbaprops.runs.lookup import Lookup
from pytest_nbaprops.runs.storedrun import WINDOW, StoredRun, stored_run
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.search import quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_SAMPLE: Final = 200
_LARGEST: Final = 10**30  # MLflow stores infinity as 1.8e308, and its filters take no exponents


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to rank by, among which runs: `where` is a condition in MLflow's filter language."""

    metric: str = "mae"
    where: str | None = None
    any_data: bool = False
    limit: int = 10


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The runs, the best first, and what must be said about them."""

    metric: str
    runs: Sequence[StoredRun]
    notes: Sequence[str]


def best_runs(lookup: Lookup, question: Question) -> Ranking:
    """The best runs among those on the data and test window of the newest one, or among all with `any_data`.

    Raises:
        TrackingError: No run has the metric, or nobody knows what is better; the condition cannot be read.
    """
    metric = question.metric
    if metric not in LESS_IS_BETTER and metric not in MORE_IS_BETTER:
        known = (*LESS_IS_BETTER, *MORE_IS_BETTER)
        hint = did_you_mean(metric, known)
        raise TrackingError(f"runs can't be ranked by {metric!r}{hint}: choose one of {', '.join(known)}")
    ids = lookup.experiment_ids()
    with lookup.store.calling(f"find the runs with the best {metric}") as client:
        asked = [*([question.where] if question.where else []), f"metrics.{metric} < {_LARGEST}"]
        newest = _search(client, ids, asked, ["attributes.start_time DESC"], 1)
        if not newest:
            where = f" where {question.where}" if question.where else ""
            where += f" in the experiment {lookup.experiment!r}" if lookup.experiment else ""
            raise TrackingError(f"no run in {lookup.store.name} has the metric {metric!r}{where}")
        conditions, notes = (asked, []) if question.any_data else _same_data(client, ids, asked)
        ranked = _ranked(client, ids, conditions, question)
    doubts = _doubts(ranked, question)
    named = [f"{run.label} ({doubts[run.run_id]})" for run in ranked if run.run_id in doubts]
    last = [f"listed last, since they may be partial: {', '.join(named)}"] if named else []
    return Ranking(metric=metric, runs=ranked, notes=[*notes, *last, *unfairness(ranked)])


def _doubts(runs: Sequence[StoredRun], question: Question) -> dict[str, str]:
    """Why a run is not one to choose, by its id: it did not end well, or was tested on fewer rows than the others."""
    most = 0 if question.any_data else max((run.n_predictions or 0 for run in runs), default=0)
    doubts = {run.run_id: doubt for run in runs if (doubt := run.doubt) is not None}
    for run in runs:
        if run.n_predictions is not None and run.n_predictions < most:
            short = f"{run.n_predictions:,} of {most:,} predictions"
            doubts[run.run_id] = ", ".join(filter(None, (run.doubt, short)))
    return doubts


def _same_data(client: MlflowClient, ids: list[str], asked: list[str]) -> tuple[list[str], list[str]]:
    """Conditions that keep only runs like the newest one that says its data."""
    digest = f"tags.`{tags.DATASET_DIGEST}`"
    newest = _search(client, ids, [*asked, f"{digest} LIKE '%'"], ["attributes.start_time DESC"], 1)
    if not newest:
        return asked, ["not surely a fair comparison: no run says on which data it was tested"]
    run = stored_run(newest[0])
    conditions = [*asked, f"{digest} = {quoted(run.digest or '')}"]
    conditions += [f"params.{name} = {quoted(run.params[name])}" for name in WINDOW if name in run.params]
    window = f", test {run.window}" if run.window else ""
    return conditions, [
        f"only runs on the data {(run.digest or '')[:12]}{window}, those of the newest run; --any-data lists all"
    ]


def _ranked(client: MlflowClient, ids: list[str], conditions: list[str], question: Question) -> list[StoredRun]:
    """The best first, and those that may be partial last.

    Of 10,000 runs sqlite sorts only those at least as good as the best of the newest ones.
    """
    metric, less = question.metric, question.metric in LESS_IS_BETTER
    found = _search(client, ids, conditions, ["attributes.start_time DESC"], _SAMPLE)
    recent = _with_metric(found, metric)
    whole = [run for run in recent if run.run_id not in _doubts(recent, question)]
    runs = recent
    if len(found) >= _SAMPLE and whole:  # else these are all there are
        values = sorted(run.metrics[metric] for run in whole)
        threshold = values[: question.limit][-1] if less else values[-question.limit :][0]
        bounded = [*conditions, f"metrics.{metric} {'<=' if less else '>='} {Decimal(threshold):f}"]
        order = [f"metrics.{metric} {'ASC' if less else 'DESC'}", "attributes.start_time DESC"]
        runs = [*_with_metric(_search(client, ids, bounded, order, question.limit + _SAMPLE), metric), *whole]
    once = {run.run_id: run for run in runs}
    ordered = sorted(once.values(), key=lambda run: run.metrics[metric] if less else -run.metrics[metric])
    doubts = _doubts(ordered, question)
    return sorted(ordered, key=lambda run: run.run_id in doubts)[: question.limit]


def _with_metric(runs: Sequence[Run], metric: str) -> list[StoredRun]:
    return [stored for run in runs if metric in (stored := stored_run(run)).metrics]


def _search(client: MlflowClient, ids: list[str], conditions: list[str], order: list[str], most: int) -> list[Run]:
    return list(client.search_runs(ids, " AND ".join(conditions), max_results=most, order_by=order)) if ids else []
