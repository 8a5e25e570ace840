"""Every criterion and every leak check as a test in pytest's report, and so in JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pluggy
import pytest

from pytest_nbaprops.gate.verdict import Outcome, SessionDecision
from pytest_nbaprops.leaks.leak import leak_text

PREFIX, LEAK_PREFIX = "promotion", "leak"
TOLD_AS = {
    Outcome.PASSED: ("passed", ""),
    Outcome.FAILED: ("failed", ""),
    Outcome.INCONCLUSIVE: ("failed", "inconclusive: "),
    Outcome.NOT_APPLICABLE: ("skipped", "not applicable: "),
    Outcome.SKIPPED: ("skipped", "skipped: "),
}
# The cache of last failures must not hold what nobody can select, and pytest's own counts are closed by now.
NOT_TOLD = ("lfplugin", "nfplugin", "stepwiseplugin", "session", "dsession")


@dataclass(frozen=True, kw_only=True)
class LeakTest:
    """The leak check of a feature group, of a candidate's test or of the games; `unknown` where it says nothing."""

    name: str
    leaks: Sequence[Mapping[str, Any]]
    unknown: str | None = None


def send(
    session: pytest.Session, decision: SessionDecision | None, leak_tests: Sequence[LeakTest], *, part: bool = False
) -> None:
    """Report `leak::<group or candidate>`, and `promotion::<candidate>::<criterion>` for every criterion.

    `part`: somebody looks at some of the folds. That nothing can be decided is one line at the end then, not a failure
    for each criterion; JUnit XML and other plugins hear of all of them.
    """
    manager = session.config.pluginmanager
    told = _caller(manager, NOT_TOLD)
    reporter: Any = manager.getplugin("terminalreporter")
    letters = reporter is not None and reporter.verbosity <= 0
    if reporter is not None:
        # The progress of the folds has ended its line only if it knew of one.
        reporter.write("\npromotion " if letters else "\n")
    for test in leak_tests:
        outcome, said = "passed", "nothing moved"
        if test.leaks:
            outcome, said = "failed", "\n".join(leak_text(leak) for leak in test.leaks)
        elif test.unknown:
            outcome, said = "failed", f"inconclusive: {test.unknown}"
        _tell(told, _report(test.name, outcome, said, prefix=LEAK_PREFIX))
    told = _caller(manager, (*NOT_TOLD, "terminalreporter")) if part else told
    for candidate in decision.candidates if decision is not None else ():
        if not candidate.criteria:
            _tell(told, _report(f"{candidate.name}::no criteria", "failed", "inconclusive: there are no criteria"))
        for result in candidate.criteria:
            outcome, said = TOLD_AS[result.outcome]
            _tell(told, _report(f"{candidate.name}::{result.expression}", outcome, f"{said}{result.reason}"))
    if letters:
        reporter.write("\n")


def _tell(told: pluggy.HookCaller, report: pytest.TestReport) -> None:
    """All three reports of a test: some listeners, such as pytest-html, show it only once it is torn down."""
    quiet: dict[str, Any] = {"keywords": {}, "outcome": "passed", "longrepr": None, "duration": 0.0}
    quiet |= {"nodeid": report.nodeid, "location": report.location}
    told(report=pytest.TestReport(when="setup", **quiet))
    told(report=report)
    told(report=pytest.TestReport(when="teardown", **quiet))


def _caller(manager: pytest.PytestPluginManager, left_out: Sequence[str]) -> pluggy.HookCaller:
    plugins = [plugin for name in left_out if (plugin := manager.getplugin(name)) is not None]
    return manager.subset_hook_caller("pytest_runtest_logreport", plugins)


def _report(label: str, outcome: Any, reason: str, *, prefix: str = PREFIX) -> pytest.TestReport:
    nodeid: Any = f"{prefix}::{label}"
    longrepr: Any = None
    if outcome == "failed":
        longrepr = reason
    elif outcome == "skipped":
        longrepr = (nodeid, None, f"Skipped: {reason}")  # a line number would be shown as part of the name
    # Since 9.2 pytest takes a text apart at its first bracket and closes it at the end once more.
    with suppress(ImportError):
        from _pytest.nodeid import NodeId  # noqa: PLC0415 - there is no public way, and before 9.2 no need

        nodeid = NodeId(path=prefix, names=tuple(label.split("::")))
    return pytest.TestReport(
        nodeid=nodeid,
        # Not the end of the node id: pytest would turn the dots of "0.02" into "::".
        location=(prefix, None, f"{label} ({prefix})"),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when="call",
        sections=[("criterion" if prefix == PREFIX else "leak check", reason)] if outcome == "passed" else [],
        duration=0.0,
    )
