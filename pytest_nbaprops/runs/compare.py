"""Runs side by side: metrics, what differs, and the paired difference of their errors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.errors import InconclusiveError, TrackingError
from pytest_nbaprops.features.lineage import lineage_difference
from pytest_nbaprops.gate.criteria import LESS_IS_BETTER, MORE_IS_BETTER
from pytest_nbaprops.gate.rows import KEYS, error_sums, keyed
from pytest_nbaprops.gate.statistics import paired_interval
from pytest_nbaprops.runs.lookup import Lookup
from pytest_nbaprops.runs.storedrun import StoredRun, stored_run, with_files
from pytest_nbaprops.tracking.connection import Store, as_store

DEFAULT_METRICS: Final = ("mae", "r2", "rmse", "within_5_pct")
DEFAULT_MODEL: Final = "NBAPropsModel"
_SEED: Final = 42
_SAME_MAE: Final = 0.003  # what a file of an old run may be rounded by
_CROWD: Final = 2
_NOT_FAIR: Final = "not a fair comparison"
_UNSURE: Final = "not surely a fair comparison"


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """MAE of `run` minus MAE of `against` on the same player-games, with its 95% interval; or why there is none.

    Where the runs predicted others (a day of games was added), those that both predicted are compared, and `reason`
    says how many they are.
    """

    run: str
    against: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    dates: int | None = None
    rows: int | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class LineageDifference:
    """What the features of `run` have more, less or otherwise than those of `against`."""

    run: str
    against: str
    groups: Mapping[str, Sequence[str]]
    columns_added: Sequence[str]
    columns_removed: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs in the order asked for; everything paired is against the first.

    Attributes:
        params: value of each run for every parameter that is not the same in all of them.
        unfair: why their metrics must not be compared; empty where they can be.
    """

    runs: Sequence[StoredRun]
    metrics: Sequence[str]
    paired: Sequence[PairedDifference]
    params: Mapping[str, Sequence[str | None]]
    lineage: Sequence[LineageDifference]
    unfair: Sequence[str]

    def best(self, metric: str) -> frozenset[int]:
        """Positions of the runs with the best value.

        None where the comparison is not fair, nobody knows what is better, or only one run has the metric.
        """
        if any(reason.startswith(_NOT_FAIR) for reason in self.unfair):
            return frozenset()
        values = {place: run.metrics[metric] for place, run in enumerate(self.runs) if metric in run.metrics}
        worth = {place: score for place, value in values.items() if (score := _worth(metric, value)) is not None}
        if len(worth) < _CROWD:
            return frozenset()
        return frozenset(place for place, score in worth.items() if score == max(worth.values()))

    def to_frame(self) -> pd.DataFrame:
        """A row per run: name, metrics, features, digest, commit, verdict, status."""
        rows = [
            {
                "run_id": run.run_id,
                "name": run.name,
                **{metric: run.metrics.get(metric, math.nan) for metric in self.metrics},
                "features": run.features,
                "dataset_digest": run.digest,
                "commit": run.commit,
                "verdict": run.verdict,
                "status": run.status,
            }
            for run in self.runs
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Exact builtins, without the predictions."""
        return {
            "runs": [
                {
                    "run_id": run.run_id,
                    "name": run.name,
                    "started": run.started,
                    "metrics": {metric: run.metrics.get(metric) for metric in self.metrics},
                    "best": [metric for metric in self.metrics if place in self.best(metric)],
                    "features": run.features,
                    "dataset_digest": run.digest,
                    "test_window": run.window,
                    "commit": run.commit,
                    "verdict": run.verdict,
                    "status": run.status,
                    "n_predictions": run.n_predictions,
                }
                for place, run in enumerate(self.runs)
            ],
            "paired": [asdict(pair) for pair in self.paired],
            "params": {name: list(values) for name, values in self.params.items()},
            "lineage": [asdict(difference) for difference in self.lineage],
            "unfair": list(self.unfair),
        }


def compare_runs(
    runs: Sequence[str],
    *,
    metrics: Sequence[str] | None = None,
    tracking_uri: str | None = None,
    model_name: str = DEFAULT_MODEL,
    store: Store | None = None,
) -> Comparison:
    """Compare stored runs.

    Args:
        runs: Two or more, each by a unique prefix of its id, its name, `champion`, `latest`, `v3` or `@staging`.
        metrics: Which; None: MAE, R², RMSE and within-5.
        tracking_uri: The store; None: what MLflow is set to, else `sqlite:///mlflow.db`.
        model_name: Registered model whose champion and versions are meant.
        store: The store, if it is open already.

    Raises:
        TrackingError: A run is unknown or ambiguous, or the store cannot be read.
    """
    return compare(Lookup(store=as_store(store, tracking_uri, create=False), model_name=model_name), runs, metrics)


def compare(lookup: Lookup, references: Sequence[str], metrics: Sequence[str] | None = None) -> Comparison:
    """As `compare_runs`, with a lookup of one's own."""
    if isinstance(references, str) or len(references) < _CROWD:
        raise TrackingError("a comparison needs two runs or more: name them, for example champion and latest")
    found = [stored_run(run) for run in lookup.runs(references)]
    _refuse_repeats(found, references)
    compared = [with_files(lookup.store, one) for one in found]
    names = tuple(metrics or DEFAULT_METRICS)
    known = sorted({name for run in compared for name in run.metrics})
    for name in names:
        if name not in known and name not in DEFAULT_METRICS:
            raise TrackingError(f"none of these runs has the metric {name!r}; there are: {', '.join(known) or 'none'}")
    values = {
        name: [run.params.get(name) for run in compared] for name in sorted({n for r in compared for n in r.params})
    }
    return Comparison(
        runs=compared,
        metrics=names,
        paired=[_paired(run, compared[0]) for run in compared[1:]],
        params={name: found for name, found in values.items() if len(set(found)) > 1},
        lineage=[difference for run in compared[1:] if (difference := _lineage(run, compared[0])) is not None],
        unfair=unfairness(compared),
    )


def _refuse_repeats(found: Sequence[StoredRun], references: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for run, reference in zip(found, references, strict=True):
        if run.run_id in first:
            raise TrackingError(
                f"{first[run.run_id]!r} and {reference!r} are the same run {run.label} ({run.name}): name two different"
            )
        first[run.run_id] = reference


def _worth(metric: str, value: float) -> float | None:
    if not math.isfinite(value):
        return None
    if metric in LESS_IS_BETTER:
        return -value
    if metric == "bias":
        return -abs(value)
    return value if metric in MORE_IS_BETTER and metric != "n_predictions" else None


def unfairness(compared: Sequence[StoredRun]) -> list[str]:
    """Why metrics of these runs must not be compared; the kept predictions are looked at where they are loaded."""
    said: dict[str, list[object]] = {
        "data": [run.digest for run in compared],
        "test window": [run.window for run in compared],
        "number of predictions": [run.n_predictions for run in compared],
    }
    reasons = []
    for what, values in said.items():
        known = {value for value in values if value is not None}
        if len(known) > 1:
            reasons.append(f"{_NOT_FAIR}: the runs differ in {what} ({len(known)} different)")
        elif None in values and known:
            reasons.append(f"{_UNSURE}: not every run says its {what}")
    unfinished = [f"{run.label} is {run.status}" for run in compared if run.status != "FINISHED"]
    unsure = [f"{_UNSURE}: {', '.join(unfinished)}"] if unfinished else []
    return [*reasons, *_other_rows(compared), *_other_predictions(compared), *unsure]


def _other_rows(compared: Sequence[StoredRun]) -> list[str]:
    """What the first pair of kept predictions that are not of the same player-games says."""
    kept: list[pd.DataFrame] = []
    for run in compared:
        with contextlib.suppress(InconclusiveError):
            kept.append(_rows(run))
    for rows in kept[1:]:
        try:
            _refuse_other_rows(rows, kept[0])
        except InconclusiveError as difference:
            return [f"{_NOT_FAIR}: {difference}"]
    return []


def _other_predictions(compared: Sequence[StoredRun]) -> list[str]:
    """Runs whose kept predictions are not those that they logged the MAE of."""
    reasons = []
    for run in compared:
        with contextlib.suppress(InconclusiveError):
            rows = _rows(run)
            logged, kept = run.metrics.get("mae"), float((rows["predicted"] - rows["actual"]).abs().mean())
            if logged is not None and not math.isclose(logged, kept, rel_tol=_SAME_MAE):
                said = f"{run.label} logged mae {logged:.4f}, and the predictions that it kept have {kept:.4f}"
                reasons.append(f"{_UNSURE if run.imported else _NOT_FAIR}: {said}")  # of an old run both may be its own
    return reasons


def _lineage(run: StoredRun, against: StoredRun) -> LineageDifference | None:
    mine, theirs = run.groups, against.groups
    groups = lineage_difference(mine, theirs) if mine is not None and theirs is not None else {}
    added, removed = sorted(run.columns - against.columns), sorted(against.columns - run.columns)
    if run.lineage is None or against.lineage is None or not (added or removed or any(groups.values())):
        return None
    return LineageDifference(
        run=run.label, against=against.label, groups=groups, columns_added=added, columns_removed=removed
    )


def _paired(run: StoredRun, against: StoredRun) -> PairedDifference:
    shared = None
    try:
        mine, theirs = _rows(run), _rows(against)
        if not _same_keys(mine, theirs):
            mine, theirs, shared = _shared(mine, theirs)
        _refuse_other_rows(mine, theirs)
        interval = paired_interval("mae", error_sums(mine), error_sums(theirs), seed=_SEED)
    except InconclusiveError as problem:
        return PairedDifference(run=run.label, against=against.label, reason=str(problem))
    return PairedDifference(
        run=run.label,
        against=against.label,
        difference=interval.point,
        low=interval.low,
        high=interval.high,
        dates=interval.dates,
        rows=len(mine),
        reason=shared,
    )


def _shared(mine: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The player-games that are in both, and what share of each they are."""
    common = mine[KEYS].merge(theirs[KEYS], on=KEYS)
    if common.empty:
        raise InconclusiveError("no player-game in common")
    said = f"only the player-games that both predicted: {len(common):,} of {len(mine):,} and of {len(theirs):,}"
    return common.merge(mine, on=KEYS), common.merge(theirs, on=KEYS), said


def _rows(run: StoredRun) -> pd.DataFrame:
    if run.predictions is None:
        raise InconclusiveError(f"{run.label} kept no predictions")
    return keyed(run.predictions, f"predictions of {run.label}", numbers=("actual", "predicted"))


def _same_keys(mine: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    return len(mine) == len(theirs) and all((mine[key].to_numpy() == theirs[key].to_numpy()).all() for key in KEYS)


def _refuse_other_rows(mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    if not _same_keys(mine, theirs):
        shared = len(mine[KEYS].merge(theirs[KEYS], on=KEYS))
        raise InconclusiveError(
            f"not the same player-games: {len(mine):,} and {len(theirs):,}, of which {shared:,} in common"
        )
    if not (mine["actual"].to_numpy() == theirs["actual"].to_numpy()).all():
        raise InconclusiveError("the outcomes of the same player-games differ: other data, or another target")
