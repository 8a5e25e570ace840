"""What those who collect and run tell the one who decides, and what became of every planned fold, and why.

First the full plan, before anything is deselected; then what a fold's test raised, and a report, which carries the key
of its result and what speaks against it. Whatever else a test, a fixture or a plugin writes into a report is theirs,
and is believed of nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.gate.verdict import FoldCounts
from pytest_nbaprops.processes import thread_share
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec, FoldState, made_by
from pytest_nbaprops.walkforward.evaluate import Resources
from pytest_nbaprops.walkforward.plan import Fold

PLANS = "plans"
OURS = "nbaprops_"
FOLD, KEY, LOST = "nbaprops_fold", "nbaprops_key", "nbaprops_lost"
PROBLEM = "nbaprops_problem"
RAISED = "raised"
NAMED_PROBLEMS = 3  # dates named in a reason before "and n more"
RERUN = "; a re-run does not count"


def write_plan(folder: Path, worker: str, candidates: Sequence[Candidate], problems: Sequence[str]) -> None:
    """Write one process's view; the controller reads it from `folder`."""
    plans = [
        {
            "spec": candidate.spec.to_dict(),
            "folds": [state.fold.to_dict() for state in candidate.folds],
            "nodeids": [state.nodeid for state in candidate.folds],
            "around": candidate.around,
            "codes": candidate.codes,
        }
        for candidate in candidates
    ]
    (folder / PLANS).mkdir(exist_ok=True)
    temporary = folder / PLANS / f".{worker}-{os.getpid()}"
    temporary.write_text(json.dumps({"candidates": plans, "problems": list(problems)}), encoding="utf-8")
    temporary.replace(folder / PLANS / f"{worker}.json")


def read_plans(context: Context) -> tuple[list[Candidate], list[str]]:
    """Candidates (in the order of collection) and problems of every process that has collected so far."""
    candidates: dict[str, Candidate] = {}
    problems: dict[str, None] = {}
    for path in sorted((context.folder / PLANS).glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        problems.update(dict.fromkeys(content["problems"]))
        for plain in content["candidates"]:
            spec = CandidateSpec.from_dict(plain["spec"])
            if spec.name not in candidates:
                folds = [Fold.from_dict(fold) for fold in plain["folds"]]
                candidate = context.candidate(spec)
                candidates[spec.name] = candidate.planned(
                    folds, context.dataset.digest, plain["nodeids"], around=plain["around"]
                )
            mine = candidates[spec.name].codes
            for part in sorted(name for name, code in plain["codes"].items() if mine.get(name) != code):
                problems[
                    f"{spec.name}: the code of {part} is another one in {path.stem} than here, so that no fold of it "
                    "would be believed: it refers to something that each process makes anew, as a time or a temporary "
                    "folder (a session without -n warns of what it is); make it where it is used"
                ] = None
    return list(candidates.values()), list(problems)


def note_raised(folder: Path, nodeid: str, error: Exception) -> None:
    """Keep what a fold's test raised first where no hook on reports comes by."""
    path = _raised(folder, nodeid)
    if not path.exists():  # a re-run mends nothing
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{type(error).__name__}: {error}", encoding="utf-8", errors="replace")


def _raised(folder: Path, nodeid: str) -> Path:
    return folder / RAISED / hashlib.sha256(nodeid.encode(errors="replace")).hexdigest()


def workers_of(context: Context) -> int:
    """How many xdist workers run the folds, each of which leaves its plan; 0 where this process does."""
    return len(list((context.folder / PLANS).glob("gw*.json")))


def fold_threads(context: Context) -> int:
    """Threads of a process that runs folds."""
    workers = workers_of(context)
    return thread_share(workers) if workers else context.threads


def cleaned(properties: Iterable[object]) -> list[tuple[str, object]]:
    """A test's own properties: pairs, of which no name is one of ours, and plain values that go over xdist's wire."""
    return [(str(name), _plain(value)) for name, value in _pairs(properties) if not name.startswith(OURS)]


def _pairs(properties: Iterable[object]) -> list[tuple[str, Any]]:
    found = [pair for pair in properties if isinstance(pair, tuple | list) and len(pair) == 2]  # noqa: PLR2004
    return [(pair[0], pair[1]) for pair in found if isinstance(pair[0], str)]


def _plain(value: object) -> object:
    if type(value) in (str, int, float, bool) or value is None:
        return value
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever a test's object does
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


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
    return _grouped({state.fold.id: state.failure for state in candidate.folds if state.failure}, " failed")


def problems_of(candidate: Candidate) -> tuple[str, ...]:
    """What keeps the candidate from being judged: folds without a result."""
    return _grouped({state.fold.id: state.reason_missing for state in candidate.folds if state.reason_missing}, "")


def _grouped(reasons: Mapping[str, str | None], verb: str) -> tuple[str, ...]:
    """`2024-01-05, 2024-01-06 and 3 more: reason` for each reason."""
    by_reason: dict[str, list[str]] = {}
    for day, reason in reasons.items():
        by_reason.setdefault(reason or "", []).append(day)
    lines = []
    for reason, days in by_reason.items():
        more = f" and {len(days) - NAMED_PROBLEMS} more" if len(days) > NAMED_PROBLEMS else ""
        folds = f"fold{'' if len(days) == 1 else 's'} {', '.join(days[:NAMED_PROBLEMS])}{more}"
        lines.append(f"{folds}{verb}: {reason}")
    return tuple(lines)


class Evidence:
    """Reports in, results of the candidates' folds out.

    A fold is worth what the worst of its reports says, whatever a re-run says: one that failed once has failed, and
    one that once had no result (skipped, marked xfail, a fixture or its worker broke) is missing.
    """

    def __init__(
        self, candidates: Sequence[Candidate], resources: Resources, nodeids: Collection[str], folder: Path
    ) -> None:
        """What is told in `folder` of the tests that are going to run: nobody asked of candidates without any."""
        self.folder = folder
        ran = set(nodeids)
        chosen = [one for one in candidates if not ran.isdisjoint(state.nodeid for state in one.folds)]
        self.candidates, self.resources = chosen or list(candidates), resources
        self._by_nodeid = {
            state.nodeid: (candidate, state) for candidate in self.candidates for state in candidate.folds
        }
        for nodeid in self._by_nodeid.keys() & ran:
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

    def state_of(self, nodeid: str) -> FoldState | None:
        """What is known of the fold that this test runs."""
        return self._by_nodeid[nodeid][1] if nodeid in self._by_nodeid else None

    def add(self, report: pytest.TestReport) -> tuple[Candidate, FoldState] | None:
        """Take one report in; the fold, if this report brought its result."""
        if report.nodeid not in self._by_nodeid:
            return None
        candidate, state = self._by_nodeid[report.nodeid]
        state.collected = True
        # Only texts, and the last of each name, which is ours.
        ours = (pair for pair in _pairs(report.user_properties) if pair[0].startswith(OURS))
        message = {str(name): value for name, value in ours if isinstance(value, str)}
        raised = _raised(self.folder, report.nodeid)
        said = raised.read_text(encoding="utf-8") if report.when == "call" and raised.exists() else None
        _judge_report(state, report, message, said)
        if FOLD not in message or report.when != "call":
            return None
        if KEY not in message:
            if state.failure is None and state.missing is None:
                state.missing = "its test passed without a result: call fold.evaluate() or fold.record(predictions)"
            return None
        result = self.resources.store.fold(message[KEY])
        dataset, session = self.resources.dataset, self.resources.session
        if result is None or not dataset.covered_by(result.predictions, state.fold):
            state.missing = "its stored result does not hold exactly the player-games to predict"
        elif not candidate.asked_for(state, dataset.digest, result, session):
            state.missing = "its result is not one that the plan asked for, as where its code is another one elsewhere"
        else:
            mine = result.details.get("made_by") == made_by(session, candidate.name)
            state.result = replace(result, cached=not mine)
            return candidate, state
        return None


def _judge_report(state: FoldState, report: pytest.TestReport, message: Mapping[str, str], raised: str | None) -> None:
    """A failed call is a failed fold; whatever else keeps a fold from passing leaves it unknown."""
    again = RERUN if str(report.outcome) == "rerun" else ""  # what pytest-rerunfailures makes of a failed report
    if hasattr(report, "wasxfail"):
        state.missing = f"marked xfail ({report.wasxfail or 'no reason'})"
    elif report.when == "call" and LOST in message:
        state.missing = message[LOST]
    elif report.skipped:
        reason = first_line(report) if isinstance(report.longrepr, tuple) else "no reason given"
        state.missing = f"skipped: {reason}"
    elif (report.failed or again) and report.when == "call":
        state.failure = state.failure or first_line(report) + again
    elif report.failed or again:
        what = {"setup": "fixture error", "teardown": "error in teardown"}.get(str(report.when), "worker crashed")
        state.missing = f"{what}: {first_line(report)}{again}"
    elif raised is not None:
        # Whatever a hook has made of the report.
        said = f"it raised {_shortened(raised)}, though its report says that it passed"
        state.failure = state.failure or said
    if report.when == "call" and PROBLEM in message and LOST not in message:
        state.failure = message[PROBLEM]


def first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The failure in one line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return _shortened(str(crash.message if crash is not None else report.longrepr))


def _shortened(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return line if len(line) <= 200 else f"{line[:197]}..."  # noqa: PLR2004 - one readable line
