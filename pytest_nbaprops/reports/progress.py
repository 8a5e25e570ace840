"""Progress on a terminal: date, running MAE, folds per second and time left, instead of a dot for each fold.

Nothing of it where output is piped, under -v (a line for each fold says more) and under -q.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, ProgressColumn

    from pytest_nbaprops.walkforward.candidate import FoldState
    from pytest_nbaprops.walkforward.result import FoldResult

NAME = "nbaprops-progress"
_SAID = ("{task.fields[date]}", "mae {task.fields[mae]}", "{task.fields[speed]}")
_SECONDS_OF_SILENCE = 30.0
_FEWEST = 2
"""Of less than this no time left can be told."""


def show_progress(
    config: pytest.Config, state_of: Callable[[str], FoldState | None], folds: int
) -> FoldProgress | None:
    """Start to show it where somebody is looking, with the state of each node id's fold; None where nobody is."""
    if not folds or not _is_watched(config, most=0) or config.option.capture == "no":
        return None
    progress = FoldProgress(config.get_terminal_writer(), state_of, folds)
    config.pluginmanager.register(progress, NAME)
    return progress


def _is_watched(config: pytest.Config, *, most: int) -> bool:
    """Whether there is a terminal to draw on, without -q and with no more than so many -v."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    screen = sys.__stdout__
    return reporter is not None and 0 <= reporter.verbosity <= most and screen is not None and screen.isatty()


@contextmanager
def work_progress(config: pytest.Config, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much is done of what takes its time between the folds, and the time left; in a pipe a line at times."""
    if total < _FEWEST or not _is_watched(config, most=2):
        yield _Told(config, what, total)
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with _drawn(config.get_terminal_writer(), *columns) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


class _Told:
    """A line every half minute, but under -q, so that nobody thinks that nothing happens."""

    def __init__(self, config: pytest.Config, what: str, total: int) -> None:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._writer = config.get_terminal_writer() if reporter is not None and reporter.verbosity >= 0 else None
        self._what, self._total, self._last = what, total, time.monotonic()

    def __call__(self, done: int) -> None:
        if self._writer is not None and time.monotonic() - self._last > _SECONDS_OF_SILENCE:
            self._last = time.monotonic()
            self._writer.line(f"nbaprops: {self._what}: {done} of {self._total}")
            self._writer.flush()


def _drawn(writer: Any, *columns: ProgressColumn | str) -> Progress:
    """A bar on pytest's terminal, beside its own lines: stdout is captured while a test runs."""
    from rich.console import Console  # noqa: PLC0415 - only where it is shown
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(file=writer, force_terminal=True)
    return Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False, transient=True)


class FoldProgress:
    """Follows the folds' reports, which the session has taken in before."""

    def __init__(self, writer: Any, state_of: Callable[[str], FoldState | None], folds: int) -> None:
        self._writer, self._state_of, self._folds = writer, state_of, folds
        self._absolute = self._games = 0.0
        self._done, self._since = 0, time.monotonic()
        self._bar: Progress | None = None
        self._task: Any = None

    def _started(self) -> Progress:
        """The bar; rich is imported only where it is shown."""
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

            date, mae, speed = (TextColumn(said) for said in _SAID)
            columns = (date, BarColumn(bar_width=None), MofNCompleteColumn(), mae, speed, TimeRemainingColumn())
            self._bar = _drawn(self._writer, *columns)
            self._task = self._bar.add_task("folds", total=self._folds, date="…", mae="–", speed="")  # noqa: RUF001
            self._writer.line()
            self._bar.start()
        return self._bar

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: object) -> tuple[str, str, str] | None:
        """A passed fold is counted but gets no dot; what did not pass is shown as ever."""
        passed = isinstance(report, pytest.TestReport) and report.passed and not hasattr(report, "wasxfail")
        if passed and self._bar is not None and self._brought(report) is not None:
            return "passed", "", ""
        return None

    def _brought(self, report: Any) -> tuple[str, FoldResult] | None:
        """The fold's dates and result, where this is the report of its call."""
        state = self._state_of(report.nodeid)
        return None if report.when != "call" or state is None or state.result is None else (state.fold.id, state.result)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After the session's own, which comes first, and before the terminal's."""
        brought = self._brought(report)
        if brought is None:
            return
        day, result = brought
        bar = self._started()
        games = result.metrics["n_predictions"]
        self._absolute += games * result.metrics["mae"]
        self._games += games
        self._done += 1
        speed = self._done / max(time.monotonic() - self._since, 1e-6)
        bar.update(
            self._task,
            advance=1,
            date=day,
            mae=f"{self._absolute / max(self._games, 1.0):.3f}",
            speed=f"{speed:.1f} folds/s",
        )
        if bar.finished:
            bar.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the bar away; pytest goes on in its own way."""
        if self._bar is not None:
            self._bar.stop()
