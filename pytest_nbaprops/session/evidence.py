"""From test reports to results: what became of every planned fold, and why. The controller's bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_nbaprops.gate.verdict import FoldCounts
from pytest_nbaprops.session.messages import FOLD, KEY, LOST, PROBLEM, RAISED, read_message
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState, made_by
from pytest_nbaprops.walkforward.evaluate import Resources
from pytest_nbaprops.walkforward.plan import Fold

NAMED_PROBLEMS = 3  # dates named in a reason before "and n more"
RERUN = "; a re-run does not count"


def counts_of(candidate: Candidate) -> FoldCounts:
    """Every planned fold, counted once."""
    good = [state for state in candidate.folds if state.failure is None and state.reason_missing is None]
    cached = sum(state.result is not None and state.result.cached for state in good)
    return FoldCounts(
        planned=len(candidate.folds),
        executed=len(good) - cached,
        cached=cached,
        failed=sum(state.failure is not None for state in candidate.folds),
        missing=sum(state.reason_missing is not None for state in candidate.folds),
    )


def failures_of(candidate: Candidate) -> tuple[str, ...]:
    """Failed folds, a line for each kind of failure."""
    return _grouped({state.fold.id: state.failure for state in candidate.folds if state.failure}, "failed")


def problems_of(candidate: Candidate) -> tuple[str, ...]:
    """What keeps the candidate from being judged: folds without a result."""
    return _grouped({state.fold.id: state.reason_missing for state in candidate.folds if state.reason_missing}, "")


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
    """Reports in, results of the candidates' folds out.

    A fold is worth what the worst of its reports says, whatever a re-run says: one that failed once has failed, and
    one that once had no result (skipped, marked xfail, a fixture or its worker broke) is missing.
    """

    def __init__(self, candidates: Sequence[Candidate], resources: Resources) -> None:
        self.candidates, self.resources = list(candidates), resources
        self._by_nodeid = {
            state.nodeid: (candidate, state) for candidate in self.candidates for state in candidate.folds
        }

    def collected(self, nodeids: Sequence[str]) -> None:
        """Note which folds are going to run."""
        for nodeid in nodeids:
            if nodeid in self._by_nodeid:
                self._by_nodeid[nodeid][1].collected = True

    def selected(self) -> list[tuple[Candidate, list[Fold]]]:
        """The folds that are going to run, by candidate."""
        return [(each, [state.fold for state in each.folds if state.collected]) for each in self.candidates]

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

    def state_of(self, nodeid: str) -> FoldState | None:
        """What is known of the fold that this test runs."""
        return self._by_nodeid[nodeid][1] if nodeid in self._by_nodeid else None

    def add(self, report: pytest.TestReport) -> tuple[Candidate, FoldState] | None:
        """Take one report in; the fold, if this report brought its result."""
        if report.nodeid not in self._by_nodeid:
            return None
        candidate, state = self._by_nodeid[report.nodeid]
        state.collected = True
        had, message = state.result, read_message(report)
        _judge_report(state, report, message)
        if FOLD in message and report.when == "call":
            self._take_result(candidate, state, message)
        return (candidate, state) if state.result is not had else None

    def _take_result(self, candidate: Candidate, state: FoldState, message: Mapping[str, str]) -> None:
        """The result under the key that came, if it is one that the plan asked for."""
        if KEY not in message:
            if state.failure is None and state.missing is None:
                state.missing = "its test passed without a result: call fold.evaluate() or fold.record(predictions)"
            return
        result = self.resources.store.fold(message[KEY])
        dataset, session = self.resources.dataset, self.resources.session
        if result is None or not dataset.covered_by(result.predictions, state.fold):
            state.missing = "its stored result does not hold exactly the player-games to predict"
        elif not candidate.asked_for(state, dataset.digest, result, session):
            state.missing = "its result is not one that the plan asked for"
        else:
            mine = result.details.get("made_by") == made_by(session, candidate.name)
            state.result = replace(result, cached=not mine)


def _judge_report(state: FoldState, report: pytest.TestReport, message: Mapping[str, str]) -> None:
    """A failed call is a failed fold; whatever else keeps a fold from passing leaves it unknown."""
    again = RERUN if str(report.outcome) == "rerun" else ""  # what pytest-rerunfailures makes of a failed report
    if hasattr(report, "wasxfail"):
        state.missing = f"marked xfail ({report.wasxfail or 'no reason'})"
    elif report.when == "call" and LOST in message:
        state.missing = message[LOST]
    elif report.skipped:
        state.missing = f"skipped: {_skip_reason(report)}"
    elif (report.failed or again) and report.when == "call":
        state.failure = state.failure or first_line(report) + again
    elif report.failed or again:
        what = {"setup": "fixture error", "teardown": "error in teardown"}.get(str(report.when), "worker crashed")
        state.missing = f"{what}: {first_line(report)}{again}"
    elif report.when == "call" and RAISED in message:
        # Whatever a hook has made of the report.
        said = f"it raised {_shortened(message[RAISED])}, though its report says that it passed"
        state.failure = state.failure or said
    if report.when == "call" and PROBLEM in message and LOST not in message:
        state.failure = message[PROBLEM]


def _skip_reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return "no reason given"


def first_line(report: pytest.TestReport) -> str:
    """The failure in one line."""
    if isinstance(report.longrepr, tuple):
        return _skip_reason(report)
    crash = getattr(report.longrepr, "reprcrash", None)
    return _shortened(str(crash.message if crash is not None else report.longrepr))


def _shortened(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return line if len(line) <= 200 else f"{line[:197]}..."  # noqa: PLR2004 - one readable line
