"""Criteria as tests in pytest's own report."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
import pytest
from pytest_nbaprops.gate.verdict import CandidateDecision, CriterionResult, FoldCounts
from pytest_nbaprops.gate.verdict import Outcome, SessionDecision, Verdict
from pytest_nbaprops.reports import criteria_tests

def result(expression, outcome):
    return CriterionResult(expression=expression, metric="mae", slice=None, value=None, ci_low=None, ci_high=None,
                           threshold=None, outcome=outcome, reason="a reason")

def pytest_addoption(parser):
    parser.addoption("--part", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    criteria = (result("mae[minutes>=24] <= champion + 0.02", Outcome.FAILED),
                result("mae <= champion + 0.02", Outcome.NOT_APPLICABLE), result("mae < baseline", Outcome.PASSED))
    counts = FoldCounts(planned=1, executed=1, cached=0, failed=0, missing=0)
    one = CandidateDecision(name="test_two_stage[two_stage]", verdict=Verdict.REJECT, reasons=(), folds=counts,
                            metrics={}, criteria=criteria, leaks=(), registrable=True)
    decision = SessionDecision(verdict=Verdict.REJECT, winner=None, candidates=(one,), reasons=())
    criteria_tests.send(session, decision, [], part=session.config.option.part)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_nothing(): pass")
    return pytester


def test_names_with_brackets_stay_whole_in_the_short_summary(project: pytest.Pytester) -> None:
    """A criterion and a candidate may both hold some, and a skipped one gets no line number."""
    name = "promotion::test_two_stage[two_stage]"
    lines = project.runpytest_inprocess("-ra", "-p", "no:randomly").outlines
    # Under CI pytest does not cut the line to the terminal's width, so that the reason stands behind the name.
    failed = f"FAILED {name}::mae[minutes>=24] <= champion + 0.02"
    assert any(line in (failed, f"{failed} - a reason") for line in lines)
    assert f"SKIPPED [1] {name}::mae <= champion + 0.02: not applicable: a reason" in lines


def test_of_a_part_only_files_hear(project: pytest.Pytester) -> None:
    """The terminal shows no failure for what nobody asked; JUnit XML has all criteria."""
    done = project.runpytest_inprocess("-ra", "-p", "no:randomly", "--part", "--junitxml=junit.xml")
    assert "FAILED" not in str(done.stdout)
    xml = (project.path / "junit.xml").read_text()
    assert "mae[minutes&gt;=24] &lt;= champion + 0.02" in xml
    assert 'failures="1"' in xml


LISTENER = """
import json
import pathlib

class Listener:
    heard = {}

    def pytest_runtest_logreport(self, report):
        self.heard.setdefault(str(report.nodeid), []).append([report.when, report.outcome])

    def pytest_unconfigure(self):
        pathlib.Path("heard.json").write_text(json.dumps(self.heard))

def pytest_configure(config):
    config.pluginmanager.register(Listener())
"""


def test_a_listener_hears_whole_tests(project: pytest.Pytester) -> None:
    """Setup, call and teardown, as of any test: pytest-html, for one, shows nothing before the teardown."""
    project.makeconftest(CONFTEST + LISTENER)
    done = project.runpytest_inprocess("-p", "no:randomly")
    heard = json.loads((project.path / "heard.json").read_text())
    ours = [reports for nodeid, reports in heard.items() if nodeid.startswith("promotion::")]
    assert [[setup, teardown] for setup, _, teardown in ours] == [[["setup", "passed"], ["teardown", "passed"]]] * 3
    assert [outcome for _, (_, outcome), _ in ours] == ["failed", "skipped", "passed"]
    done.assert_outcomes(passed=2, failed=1, skipped=1)


def test_pytest_html_shows_the_criteria(project: pytest.Pytester) -> None:
    """With the plugin itself, where it is installed: one failed, not "2 passed, 0 failed"."""
    pytest.importorskip("pytest_html")
    project.runpytest_subprocess("-p", "no:randomly", "--html=report.html", "--self-contained-html")
    page = (project.path / "report.html").read_text(encoding="utf-8")
    assert "1 Failed," in page
    assert "2 Passed," in page
    assert "promotion::test_two_stage" in page
