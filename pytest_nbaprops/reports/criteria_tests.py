"""Every criterion as a test in pytest's report, and so in JUnit XML."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_nbaprops.gate.verdict import CandidateDecision, CriterionResult, Outcome, SessionDecision

PREFIX = "promotion"
# The cache of last failures must not hold what nobody can select, and pytest's own counts are closed by now.
NOT_TOLD = ("lfplugin", "nfplugin", "stepwiseplugin", "session", "dsession")


def send(session: pytest.Session, decision: SessionDecision) -> None:
    """Report `promotion::<candidate>::<criterion>` for every criterion of every candidate."""
    manager = session.config.pluginmanager
    told = manager.subset_hook_caller(
        "pytest_runtest_logreport", [plugin for name in NOT_TOLD if (plugin := manager.getplugin(name)) is not None]
    )
    reporter: Any = manager.getplugin("terminalreporter")
    letters = reporter is not None and reporter.verbosity <= 0
    if reporter is not None:
        # The progress of the folds has ended its line only if it knew of one.
        reporter.write("\npromotion " if letters else "\n")
    for candidate in decision.candidates:
        for report in _reports(candidate):
            told(report=report)
    if letters:
        reporter.write("\n")


def _reports(candidate: CandidateDecision) -> list[pytest.TestReport]:
    if not candidate.criteria:
        return [_report(f"{candidate.name}::no criteria", "failed", "inconclusive: there are no criteria")]
    return [_criterion(candidate.name, result) for result in candidate.criteria]


def _criterion(name: str, result: CriterionResult) -> pytest.TestReport:
    label = f"{name}::{result.expression}"
    if result.outcome is Outcome.PASSED:
        return _report(label, "passed", result.reason)
    if result.outcome in (Outcome.NOT_APPLICABLE, Outcome.SKIPPED):
        return _report(label, "skipped", f"{result.outcome.value.replace('_', ' ')}: {result.reason}")
    said = "inconclusive: " if result.outcome is Outcome.INCONCLUSIVE else ""
    return _report(label, "failed", f"{said}{result.reason}")


def _report(label: str, outcome: Any, reason: str) -> pytest.TestReport:
    nodeid = f"{PREFIX}::{label}"
    longrepr: Any = None
    if outcome == "failed":
        longrepr = reason
    elif outcome == "skipped":
        longrepr = (nodeid, 0, f"Skipped: {reason}")
    return pytest.TestReport(
        nodeid=nodeid,
        # Not the end of the node id: pytest would turn the dots of "0.02" into "::".
        location=(PREFIX, None, f"{label} (promotion)"),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when="call",
        sections=[("criterion", reason)] if outcome == "passed" else [],
        duration=0.0,
    )
