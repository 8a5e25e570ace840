"""The decision in a terminal of 80 columns."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
from _pytest.config import Config, get_config
from _pytest.terminal import TerminalReporter

from pytest_nbaprops.reports import terminal
from pytest_nbaprops.reports.figures import worst_of
from pytest_nbaprops.reports.progress import FoldProgress, work_progress
from pytest_nbaprops.session.child import Child
from pytest_nbaprops.walkforward.candidate import FoldState
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.result import FoldResult
from tests.reports.documents import candidate_of, criterion, document_of, predictions_of


class Screen(io.StringIO):
    """A terminal of 80 columns."""

    encoding = "utf-8"


@pytest.fixture
def config() -> Config:
    found = get_config()
    found.parse([])
    return found


def shown(config: Config, document: Mapping[str, Any], *, quiet: bool = False) -> list[str]:
    """What the summary prints, line by line."""
    config.option.verbose = -1 if quiet else 0
    screen = Screen()
    reporter = TerminalReporter(config, screen)
    reporter._tw.fullwidth = 80  # noqa: SLF001 - pytest would ask the terminal it is run in
    predictions = predictions_of(players=5)
    games = predictions[["PLAYER_ID"]].assign(PLAYER_NAME="Luka Dončić")
    terminal.summary(reporter, document, worst_of([predictions], games) if document["candidates"] else {})
    return screen.getvalue().splitlines()


def test_the_decision_fits_80_columns(config: Config) -> None:
    """Value, reference, difference with its interval and outcome, each with its name; only commands may be longer."""
    rows = [
        criterion("mae < baseline", "passed", 5.844, 5.744, 5.934, 6.188),
        criterion("mae[minutes >= 24 and home] <= champion + 0.02", "passed", 7.1, 7.08, 7.12, 7.13),
        criterion("mae < market", "inconclusive", reason="there is no market to compare with, no odds " * 3),
    ]
    candidate = candidate_of("test_two_stage[two_stage-" + "x" * 60 + "]", criteria=rows, reasons=["word " * 40])
    document = document_of(candidate, verdict="INCONCLUSIVE", warnings=["a long warning " * 10], reasons=["word " * 40])
    lines = shown(config, document)
    commands = [line for line in lines if line.startswith("  pytest ")]
    assert commands
    assert [line for line in lines if len(line) > 80 and line not in commands] == []
    text = "\n".join(lines)
    assert "value  reference  difference [95% interval]" in text
    assert "mae < baseline                 5.8440     6.1880  -0.3440 [-0.4440, -0.2540]\n    passed: better" in text
    assert "passed: not worse by more than 0.02, not clearly better" in text
    assert "inconclusive: there is no market" in text


def test_it_shows_the_way_over_time_and_the_next_step(config: Config) -> None:
    """Blocks for the MAE, the worst dates, and the command to go on with as the last words but the report's place."""
    lines = shown(config, document_of())
    (blocks,) = [line for line in lines if "▁" in line]
    assert blocks.startswith("mae ")
    assert len(blocks) <= 80
    assert any(line.startswith("worst dates") for line in lines)
    assert lines[-3:-1] == [
        "next: Register it and give it the alias staging:",
        "  pytest --nbaprops-train -n 2 --nbaprops-promote=enforce",
    ]
    assert lines[-1].endswith("nbaprops-report/report.html")


def test_quiet_is_one_line(config: Config) -> None:
    """Under -q the verdict is all, with warnings and without."""
    for document in (document_of(), document_of(warnings=["a warning"]), document_of(verdict="ERROR")):
        (line,) = shown(config, document, quiet=True)
        assert line.startswith(document["verdict"])


def test_a_session_that_decided_nothing_has_a_summary_too(config: Config) -> None:
    """Promotion off, or no candidates."""
    assert "promotion off" in shown(config, document_of(promote_mode="off"))
    nothing = document_of(candidates=[], verdict="INCONCLUSIVE", reasons=["session did not finish"], leak_guard=None)
    assert "because session did not finish" in shown(config, nothing)


def test_names_with_escapes_do_not_paint_the_terminal(config: Config) -> None:
    """A name may hold control characters."""
    text = "\n".join(shown(config, document_of(candidate_of("\x1b[31mred\x07"), warnings=["\x1b]0;title\x07"])))
    assert "\x1b" not in text
    assert "\x07" not in text


def report(number: int) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=f"t{number}", location=("t", 0, "t"), keywords={}, outcome="passed", longrepr=None, when="call",
    )  # fmt: skip


class Folds:
    """Every one has a result."""

    def __init__(self, **known: tuple[float, int]) -> None:
        self.known = known

    def state_of(self, nodeid: str) -> FoldState:
        mae, n = self.known[nodeid]
        day = date(2024, 1, int(nodeid[1:]))
        fold = Fold(number=1, dates=(day,), fitted_at=day, train_start=day)
        details = {"metrics": {"mae": mae, "n_predictions": float(n)}}
        return FoldState(fold=fold, nodeid=nodeid, result=FoldResult(predictions=pd.DataFrame(), details=details))


def test_progress_tells_date_running_mae_and_folds(config: Config) -> None:
    """The MAE is that of all player-games so far; when the last fold is in, the line goes away."""
    screen = Screen()
    reporter = TerminalReporter(config, screen)
    progress = FoldProgress(reporter._tw, Folds(t1=(5.0, 10), t2=(6.0, 30)).state_of, 2)  # noqa: SLF001
    for number in (1, 2):
        told = report(number)
        progress.pytest_runtest_logreport(told)
        assert progress.pytest_report_teststatus(told) == ("passed", "", "")
    text = screen.getvalue()
    for said in ("2024-01-02", "mae 5.750", "2/2", "folds/s"):
        assert said in text
    assert text.endswith("\x1b[2K")  # the line is taken away


def test_progress_leaves_what_failed_to_pytest() -> None:
    """Only passed folds lose their dot."""
    progress = FoldProgress(None, Folds(t1=(5.0, 10)).state_of, 2)
    failed = report(1)
    failed.outcome = "failed"
    assert progress.pytest_report_teststatus(failed) is None
    assert progress.pytest_report_teststatus(pd.NaT) is None


def shown_on(config: Config, monkeypatch: pytest.MonkeyPatch, *, verbosity: int, terminal: bool) -> Screen:
    """What pytest writes to, a terminal or a pipe."""
    screen = Screen()
    reporter = TerminalReporter(config, screen)
    monkeypatch.setattr(config.option, "verbose", verbosity)
    monkeypatch.setattr(config.pluginmanager, "get_plugin", {"terminalreporter": reporter}.get)
    monkeypatch.setattr(config, "get_terminal_writer", lambda: reporter._tw)  # noqa: SLF001
    monkeypatch.setattr(sys, "__stdout__", Mock(isatty=lambda: terminal))
    return screen


@pytest.mark.parametrize(("terminal", "verbosity", "shown"), [(True, 0, True), (False, 0, False), (True, -1, False)])
def test_what_takes_its_time_tells_the_time_left(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,  # noqa: FBT001 - a parameter of the test
    verbosity: int,
    shown: bool,  # noqa: FBT001
) -> None:
    """The guard and the rehearsals on a terminal; nothing in a pipe or under -q."""
    screen = shown_on(config, monkeypatch, verbosity=verbosity, terminal=terminal)
    with work_progress(config, "looking for leaks", 4) as show:
        show(3)
    assert ("looking for leaks" in screen.getvalue()) is shown
    assert ("75%" in screen.getvalue()) is shown


@pytest.mark.parametrize(("verbosity", "lines"), [(0, ["nbaprops: looking for leaks: 3 of 4"]), (-1, [])])
def test_in_a_pipe_a_line_at_times_says_how_far_it_is(
    config: Config, monkeypatch: pytest.MonkeyPatch, verbosity: int, lines: list[str]
) -> None:
    """Not at once, and not for each step."""
    screen = shown_on(config, monkeypatch, verbosity=verbosity, terminal=False)
    now = iter([0.0, 1.0, 31.0, 31.0, 32.0])
    monkeypatch.setattr("pytest_nbaprops.reports.progress.time.monotonic", lambda: next(now))
    with work_progress(config, "looking for leaks", 4) as show:
        for done in (2, 3, 4)[: 3 if verbosity == 0 else 0]:
            show(done)
    assert screen.getvalue().splitlines() == lines


@pytest.mark.parametrize(
    ("order", "planned"),
    [
        ({"nodeids": ["a", "b"]}, 2),
        ({"nodeids": None, "plan": {"g": {"dates": ["x"], "few_dates": ["y", "z"]}}}, 3),
        ({"nodeids": None, "plan": None}, 0),
    ],
)
def test_a_process_of_the_guard_is_counted_by_its_ticks(tmp_path: Path, order: dict[str, object], planned: int) -> None:
    """Folds, or the dates of its groups; never more than planned, and all where it has ended."""
    child = Child(tmp_path, order)
    assert (child.planned, child.done(ended=False)) == (planned, 0)
    (child.folder / "ticks").write_bytes(b"." * 5)
    assert child.done(ended=False) == child.done(ended=True) == planned
