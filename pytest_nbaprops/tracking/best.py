"""The best runs of a store, found without reading all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.criteria import nearest
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.compare import unfairness
from pytest_nbaprops.tracking.evaluation import LESS_IS_BETTER, MORE_IS_BETTER
from pytest_nbaprops.tracking.facts import WINDOW, RunFacts, facts_of
from pytest_nbaprops.tracking.runs import quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from pytest_nbaprops.tracking.lookup import Lookup

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
    runs: Sequence[RunFacts]
    notes: Sequence[str]


def best_runs(lookup: Lookup, question: Question) -> Ranking:
    """The best runs among those on the data and test window of the newest one, or among all with `any_data`.

    Raises:
        TrackingError: No run has the metric, or nobody knows what is better; the condition cannot be read.
    """
    metric = question.metric
    if metric not in LESS_IS_BETTER and metric not in MORE_IS_BETTER:
        known = (*LESS_IS_BETTER, *MORE_IS_BETTER)
        hint = nearest(metric, known)
        raise TrackingError(f"runs can't be ranked by {metric!r}{hint}: choose one of {', '.join(known)}")
    ids = lookup.experiment_ids()
    with lookup.store.calling(f"find the runs with the best {metric}") as client:
        asked = [*([question.where] if question.where else []), f"metrics.{metric} < {_LARGEST}"]
        newest = _search(client, ids, asked, ["attributes.start_time DESC"], 1)
        if not newest:
            raise TrackingError(f"no run in {lookup.store.name} has the metric {metric!r}{_among(lookup, question)}")
        conditions, notes = (asked, []) if question.any_data else _same_data(client, ids, asked)
        runs = _ranked(client, ids, conditions, question)
    facts = [facts_of(run) for run in runs]
    return Ranking(metric=metric, runs=facts, notes=[*notes, *unfairness(facts)])


def _among(lookup: Lookup, question: Question) -> str:
    where = f" where {question.where}" if question.where else ""
    return where + (f" in the experiment {lookup.experiment!r}" if lookup.experiment else "")


def _same_data(client: MlflowClient, ids: list[str], asked: list[str]) -> tuple[list[str], list[str]]:
    """Conditions that keep only runs like the newest one that says its data."""
    digest = f"tags.`{tags.DATASET_DIGEST}`"
    newest = _search(client, ids, [*asked, f"{digest} LIKE '%'"], ["attributes.start_time DESC"], 1)
    if not newest:
        return asked, ["not surely a fair comparison: no run says on which data it was tested"]
    facts = facts_of(newest[0])
    conditions = [*asked, f"{digest} = {quoted(facts.digest or '')}"]
    conditions += [f"params.{name} = {quoted(facts.params[name])}" for name in WINDOW if name in facts.params]
    window = f", test {facts.window}" if facts.window else ""
    return conditions, [
        f"only runs on the data {(facts.digest or '')[:12]}{window}, those of the newest run; --any-data lists all"
    ]


def _ranked(client: MlflowClient, ids: list[str], conditions: list[str], question: Question) -> list[Run]:
    """The best first: of 10,000 runs sqlite sorts only those at least as good as the best of the newest ones."""
    metric, less = question.metric, question.metric in LESS_IS_BETTER
    recent = _search(client, ids, conditions, ["attributes.start_time DESC"], _SAMPLE)
    values = sorted(run.data.metrics[metric] for run in recent if math.isfinite(run.data.metrics[metric]))
    if len(recent) < _SAMPLE:  # these are all there are
        ordered = sorted(recent, key=lambda run: run.data.metrics[metric], reverse=not less)
        return ordered[: question.limit]
    threshold = values[: question.limit][-1] if less else values[-question.limit :][0]
    bounded = [*conditions, f"metrics.{metric} {'<=' if less else '>='} {Decimal(threshold):f}"]
    order = [f"metrics.{metric} {'ASC' if less else 'DESC'}", "attributes.start_time DESC"]
    return _search(client, ids, bounded, order, question.limit)


def _search(client: MlflowClient, ids: list[str], conditions: list[str], order: list[str], most: int) -> list[Run]:
    return list(client.search_runs(ids, " AND ".join(conditions), max_results=most, order_by=order)) if ids else []
