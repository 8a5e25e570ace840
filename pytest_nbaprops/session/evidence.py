"""From test reports to evidence: what became of every planned fold, and why. The controller's bookkeeping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import pandas as pd
import pytest

from pytest_nbaprops.gate.verdict import FoldCounts
from pytest_nbaprops.metrics.side import side_metrics
from pytest_nbaprops.reports.terminal import properties_of
from pytest_nbaprops.session.collection import (
    ESTIMATOR_PROPERTY,
    FOLD_PROPERTY,
    KEY_PROPERTY,
    LOST_PROPERTY,
    PROBLEM_PROPERTY,
    RAISED_PROPERTY,
)
from pytest_nbaprops.session.planfile import PlannedCandidate
from pytest_nbaprops.walkforward.dataset import Dataset
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.store import FoldEntry, FoldStore

NAMED_PROBLEMS = 3  # dates named in a reason before "and n more"


@dataclass(kw_only=True)
class FoldState:
    """One planned fold: what its reports said so far.

    `failure` is a failed test or a refused recording, `missing` why there is no result that could be trusted.
    """

    fold: Fold
    nodeid: str
    collected: bool = False
    entry: FoldEntry | None = None
    key: str | None = None
    cached: bool = False
    own: dict[str, float] = field(default_factory=dict)
    estimator: str | None = None
    unregistrable: str | None = None
    failure: str | None = None
    missing: str | None = None

    @property
    def reason_missing(self) -> str | None:
        """Why the fold counts as missing; None if it was evaluated or failed."""
        if self.failure is not None:
            return None
        if self.missing is not None:
            return self.missing
        if self.entry is None:
            return "did not run" if self.collected else "not selected"
        return None


class CandidateState:
    """All folds of one candidate."""

    def __init__(self, planned: PlannedCandidate) -> None:
        self.planned = planned
        self.folds = [
            FoldState(fold=fold, nodeid=nodeid) for fold, nodeid in zip(planned.folds, planned.nodeids, strict=True)
        ]

    @property
    def name(self) -> str:
        return self.planned.spec.name

    @property
    def evaluated(self) -> list[FoldState]:
        """Folds with a result, whatever their test thought of it."""
        return [state for state in self.folds if state.entry is not None]

    def counts(self) -> FoldCounts:
        good = [state for state in self.folds if state.failure is None and state.reason_missing is None]
        return FoldCounts(
            planned=len(self.folds),
            executed=sum(not state.cached for state in good),
            cached=sum(state.cached for state in good),
            failed=sum(state.failure is not None for state in self.folds),
            missing=sum(state.reason_missing is not None for state in self.folds),
        )

    def failures(self) -> tuple[str, ...]:
        """Failed folds, a line for each kind of failure."""
        return _grouped({state.fold.id: state.failure for state in self.folds if state.failure}, "failed")

    def problems(self) -> tuple[str, ...]:
        """What keeps the candidate from being judged: folds without a result."""
        return _grouped({state.fold.id: state.reason_missing for state in self.folds if state.reason_missing}, "")

    def predictions(self) -> pd.DataFrame | None:
        """Predictions of all folds that have some, with candidate and fold, in the order of the games."""
        frames = [state.entry.predictions.assign(fold=state.fold.number) for state in self.evaluated if state.entry]
        if not frames:
            return None
        table = pd.concat(frames, ignore_index=True)
        table.insert(0, "candidate", self.name)
        table.insert(1, "fold", table.pop("fold"))
        return table

    def own_metrics(self) -> dict[str, float]:
        """Mean over the folds of each metric that the test logged; NaN unless every fold logged it."""
        names = {name for state in self.folds for name in state.own}
        return self.side_metrics() | {
            name: fmean(values) if len(values) == len(self.folds) else math.nan
            for name in sorted(names)
            if (values := [state.own[name] for state in self.folds if name in state.own])
        }

    def side_metrics(self) -> dict[str, float]:
        """Metrics of what the recipe predicts beside the target, over all rows: `mae_minutes`, `r2_minutes`."""
        sums = [state.entry.details.get("side", {}) for state in self.evaluated if state.entry is not None]
        return side_metrics(sums) if any(sums) else {}

    def estimator(self) -> tuple[str | None, str | None]:
        """Digest of the estimator that every fold was recorded with, RECIPE, or why there is not one."""
        if (problem := next((state.unregistrable for state in self.folds if state.unregistrable), None)) is not None:
            return None, problem
        digests = {state.estimator for state in self.folds}
        if digests == {None}:
            return None, "the test records predictions without their model: fold.record(predictions, model=model)"
        if len(digests) > 1:
            return None, "the test records another model, or none, in some folds"
        return digests.pop(), None


def _grouped(reasons: Mapping[str, str | None], verb: str) -> tuple[str, ...]:
    """`2024-01-05, 2024-01-06 and 3 more: reason` for each reason."""
    by_reason: dict[str, list[str]] = {}
    for day, reason in reasons.items():
        by_reason.setdefault(reason or "", []).append(day)
    return tuple(_line(days, reason, verb) for reason, days in by_reason.items())


def _line(days: Sequence[str], reason: str, verb: str) -> str:
    named = ", ".join(days[:NAMED_PROBLEMS])
    more = f" and {len(days) - NAMED_PROBLEMS} more" if len(days) > NAMED_PROBLEMS else ""
    folds = "fold" if len(days) == 1 else "folds"
    return f"{folds} {named}{more} {verb}: {reason}" if verb else f"{folds} {named}{more}: {reason}"


class Evidence:
    """Reports in, candidate states out."""

    def __init__(self, planned: Sequence[PlannedCandidate], dataset: Dataset, store: FoldStore) -> None:
        self.candidates = [CandidateState(entry) for entry in planned]
        self.dataset, self.store = dataset, store
        self._by_nodeid = {
            state.nodeid: (candidate, state) for candidate in self.candidates for state in candidate.folds
        }

    def collected(self, nodeids: Sequence[str]) -> None:
        """Note which folds are going to run."""
        for nodeid in nodeids:
            if nodeid in self._by_nodeid:
                self._by_nodeid[nodeid][1].collected = True

    @property
    def is_part(self) -> bool:
        """Whether only some of the folds were selected."""
        return any(not state.collected for candidate in self.candidates for state in candidate.folds)

    def scope_of(self, nodeid: str) -> str:
        """Folds with the same scope share a fit."""
        if nodeid not in self._by_nodeid:
            return nodeid
        candidate, state = self._by_nodeid[nodeid]
        return f"{candidate.name}@{state.fold.fitted_at}"

    def add(self, report: pytest.TestReport) -> tuple[CandidateState, FoldState] | None:
        """Take one report in; the fold, if this report brought its result."""
        if report.nodeid not in self._by_nodeid:
            return None
        candidate, state = self._by_nodeid[report.nodeid]
        state.collected = True
        had = state.entry
        _judge_report(state, report)
        _judge_raised(state, report)
        properties = properties_of(report)
        # A subtest's report comes before the fold has left anything.
        if report.when == "call" and FOLD_PROPERTY in properties:
            self._take_result(state, properties)
        return (candidate, state) if state.entry is not had else None

    def _take_result(self, state: FoldState, properties: Mapping[str, object]) -> None:
        if problem := properties.get(PROBLEM_PROPERTY):
            state.failure = str(problem)
        if lost := properties.get(LOST_PROPERTY):
            state.failure, state.missing = None, str(lost)
            return
        key = properties.get(KEY_PROPERTY)
        if key is None or properties.get(FOLD_PROPERTY) != state.fold.number:
            if state.failure is None and state.missing is None:
                state.missing = "its test passed without a result: call fold.evaluate() or fold.record(predictions)"
            return
        entry = self.store.fold(str(key))
        if entry is None or not self.dataset.covered_by(entry.predictions, state.fold):
            state.missing = "its stored result does not hold exactly the player-games to predict"
            return
        state.key, state.entry, state.cached = str(key), entry, bool(properties.get("nbaprops_cached"))
        state.estimator = _text(properties.get(ESTIMATOR_PROPERTY))
        state.unregistrable = _text(properties.get("nbaprops_unregistrable"))
        prefix = "nbaprops_own_"
        state.own = {k.removeprefix(prefix): _number(v) for k, v in properties.items() if k.startswith(prefix)}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(text: object) -> float:
    """A float from its repr, which is how nan and inf travel."""
    return float(text) if isinstance(text, str | int | float) else math.nan


def _judge_report(state: FoldState, report: pytest.TestReport) -> None:
    """A failed call is a failed fold; whatever else keeps a fold from passing leaves it unknown."""
    if hasattr(report, "wasxfail"):
        state.missing = f"marked xfail ({report.wasxfail or 'no reason'})"
    elif report.skipped:
        state.missing = f"skipped: {_skip_reason(report)}"
    elif report.failed and report.when == "call":
        state.failure = _message(report)
    elif report.failed:
        what = {"setup": "fixture error", "teardown": "error in teardown"}.get(str(report.when), "worker crashed")
        state.missing = f"{what}: {_message(report)}"


def _judge_raised(state: FoldState, report: pytest.TestReport) -> None:
    """A test that raised has failed, also where a hook made its report say otherwise."""
    raised = properties_of(report).get(RAISED_PROPERTY)
    if raised is not None and report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
        state.failure = f"it raised {_shortened(str(raised))}, though its report says that it passed"


def _skip_reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return "no reason given"


def _message(report: pytest.TestReport) -> str:
    """The failure in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return _shortened(str(crash.message if crash is not None else report.longrepr))


def _shortened(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return line if len(line) <= 200 else f"{line[:197]}..."  # noqa: PLR2004 - one readable line
