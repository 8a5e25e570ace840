"""One training session: the controller, which prepares, listens, decides and has the last word.

Without xdist its process runs the folds, too; under xdist `worker.py` does. Workers and tests never touch MLflow.
The controller imports it, a second's work, where it is needed: after the first fits were begun.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.errors import NBAPropsError, SettingsError, TrackingError
from pytest_nbaprops.gate.verdict import Verdict
from pytest_nbaprops.processes import interrupted_by_termination, lasting, thread_share
from pytest_nbaprops.recipes.catalog import refuse_unknown_name
from pytest_nbaprops.reports import terminal
from pytest_nbaprops.reports.decision_file import remove_old, unfinished, write_decision
from pytest_nbaprops.reports.github import tell_github
from pytest_nbaprops.reports.progress import show_progress
from pytest_nbaprops.session.context import Context, prepare
from pytest_nbaprops.session.evidence import Evidence, read_plans
from pytest_nbaprops.session.exhaustion import exhaustion_told
from pytest_nbaprops.session.fitting import fit_ahead
from pytest_nbaprops.session.hooks import registered_recipes
from pytest_nbaprops.session.worker import WORKER_INPUT, register_collector
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.tracking.database import check_sqlite, sqlite_path

if TYPE_CHECKING:
    from pytest_nbaprops.registry.publication import Publication
    from pytest_nbaprops.session.closing import Closing

NOTHING = "nothing to decide: what the command line names has no walk-forward test"
PYTESTS_OWN = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)


class Controller:
    """Prepares, listens to the reports, decides at the end and has the last word on the exit code."""

    def __init__(self, config: pytest.Config, settings: Settings, *, pasted: tuple[str, ...]) -> None:
        self.config, self.settings, self.pasted = config, settings, pasted
        workers = config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))
        self.distributed = workers and not config.option.collectonly
        self.context: Context | None = None
        self.publication: Publication | None = None
        self.evidence: Evidence | None = None
        self.closing: Closing | None = None
        self.exit_code: int | None = None
        self.began = 0.0
        self.decides = not config.option.collectonly and settings.shard is None
        self.interrupted = False
        self.cut_off = self.stopped_by_maxfail = False
        self.counted = False
        self.uncollected: list[str] = []
        self.report = Path(settings.report)
        self.command = ["pytest", *map(str, config.invocation_params.args)]

    # the start

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Read the data and see that everything can be reached, before any worker starts."""
        self.session, self.began = session, time.perf_counter()
        self.config.add_cleanup(interrupted_by_termination())
        with self._told():
            self._start()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What a user can mend is one line of pytest's; a store that cannot be used is the verdict ERROR, too."""
        try:
            with exhaustion_told():
                yield
        except TrackingError as error:
            self.exit_code = Verdict.ERROR.exit_code
            document = unfinished(self.settings.to_dict(), command=self.command, reason=str(error))
            write_decision(self.report, document | {"verdict": Verdict.ERROR.value, "exit_code": self.exit_code})
            raise pytest.UsageError(str(error)) from None
        except NBAPropsError as error:
            raise pytest.UsageError(str(error)) from None

    def _start(self) -> None:
        if self.distributed and self.settings.dask is not None:
            raise SettingsError("--nbaprops-dask: the cluster makes the fits, so leave out -n, or the cluster")
        if self.decides:  # from here on no older verdict can be read by mistake
            reason = "session did not finish"
            write_decision(self.report, unfinished(self.settings.to_dict(), command=self.command, reason=reason))
            remove_old(self.report)
            if self.settings.tracking_uri.startswith("sqlite"):
                check_sqlite(sqlite_path(self.settings.tracking_uri).resolve())
            else:
                self._connected()  # a server that cannot be reached is known before anything else
        terminal.say(self.config, "reading the games and building the features")
        registered = registered_recipes(self.config)
        for name in self.settings.recipes:  # also where no candidate turns out to use them
            refuse_unknown_name(name, registered)
        self.context = prepare(self.config, self.settings, threads=thread_share(1))
        if not self.distributed:
            register_collector(self.config, self.context, pasted=self.pasted, worker=None)

    def _connected(self) -> Publication:
        """The way to the tracking store; imports MLflow and connects when it is first asked for."""
        if self.publication is not None:
            return self.publication
        with lasting():
            from pytest_nbaprops.registry.publication import Publication  # noqa: PLC0415 - see above

            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            self.publication = Publication(
                uri=self.settings.tracking_uri,
                experiment=self.settings.experiment,
                model_name=self.settings.model_name,
                tell=reporter.write_line if reporter is not None else None,
            )
            self.publication.store_at_hand()
        return self.publication

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the session's folder is."""
        if self.context is not None:
            node.workerinput[WORKER_INPUT] = str(self.context.folder)

    # between collection and the first fold

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.distributed:
            self._collected([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._collected(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported may hold a candidate: with --continue-on-collection-errors nobody knows."""
        if report.failed:
            note = self.uncollected.append if self.closing is None else self.closing.remarks.problem
            note(f"{report.nodeid or 'a test module'} could not be collected")

    def _collected(self, nodeids: list[str]) -> None:
        """Check what only the collected tests could tell; raises before the first fold runs."""
        if self.context is None or self.evidence is not None:
            return
        with self._told():
            self._look_at(self.context, nodeids)

    def _look_at(self, context: Context, nodeids: list[str]) -> None:
        """Read the plans, look for leaks, and say what stands against them."""
        planned, problems = read_plans(context)
        if problems:
            raise pytest.UsageError(problems[0])
        evidence = Evidence(planned, context.resources, nodeids, context.folder)
        if self.settings.shard is not None and self.settings.promote != "off":
            with lasting():  # what the deciding session would refuse is not fitted for it
                from pytest_nbaprops.session.closing import refuse_unstorable  # noqa: PLC0415 - imports MLflow

                refuse_unstorable(planned, self.settings.trusted_types)
        if not (self.distributed or self.config.option.collectonly):  # this process runs the folds
            fit_ahead(context, evidence, tell=partial(terminal.say, self.config))
        if self.decides:
            self.closing = self._closing(context)
            terminal.say(self.config, f"looking for leaks before the first of {len(nodeids)} folds")
            self.closing.announce(evidence)
        self.evidence = evidence  # from here on there is something to decide
        leaky = self.closing.leaks.leaky() if self.closing is not None else []
        if leaky and self.config.getoption("maxfail", 0) == 1:
            raise pytest.Session.Failed(f"stopping before the first fold: {', '.join(leaky)} leaks")
        show_progress(self.config, evidence.state_of, len(nodeids))

    def _closing(self, context: Context) -> Closing:
        """What takes the session to its verdict."""
        with lasting():
            from pytest_nbaprops.session.closing import Closing  # noqa: PLC0415 - imports MLflow

            closing = Closing(self.config, context, self._connected(), self.command, self.began)
        for problem in self.uncollected:
            closing.remarks.problem(problem)
        return closing

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Our scheduler where the user asked for none in particular."""
        if config.getoption("dist") != "load":
            return None
        from pytest_nbaprops.session.scheduling import FitScheduling  # noqa: PLC0415 - xdist may be switched off

        return FitScheduling(config, log, lambda nodeid: self.evidence.scope_of(nodeid) if self.evidence else nodeid)

    # the folds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.evidence is None:
            return
        if not self.counted and self.closing is not None:
            self.counted = True
            self.session.testscollected += self.closing.reported_count()  # or the progress would pass 100%
        brought = self.evidence.add(report)
        if brought is not None and self.closing is not None:
            self.closing.log.fold(*brought)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        return terminal.fold_status(report, self.evidence.state_of(report.nodeid) if self.evidence else None)

    # the end

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell a Ctrl-C from --maxfail: xdist stops at the latter with an interrupt of its own."""
        error = excinfo.value
        ours = type(error).__module__.startswith("xdist") and str(error).startswith("stopping after")
        self.stopped_by_maxfail = ours
        self.interrupted = not ours

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide, carry out, report; nothing that goes wrong here may hide pytest's own summary."""
        if self.closing is None or self.evidence is None:
            return
        if not self.evidence.candidates:
            if not session.testsfailed:
                write_decision(self.report, unfinished(self.settings.to_dict(), command=self.command, reason=NOTHING))
            return
        if session.shouldfail or session.shouldstop or self.interrupted:
            self.closing.context.resources.ahead.stop()
        if int(exitstatus) == pytest.ExitCode.INTERNAL_ERROR:
            self.closing.remarks.problem("pytest stopped with an internal error")
        if self.interrupted:
            self.closing.remarks.problem("the session was interrupted")
        try:
            self.exit_code = self.closing.close(session)
        except KeyboardInterrupt:  # pytest would end with a traceback, and not with its code
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            self.cut_off = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.settings.shard is not None and self.evidence is not None:
            terminalreporter.write_line(terminal.shard_line(self.settings.shard, self.evidence.candidates))
        if self.evidence is not None and not (self.evidence.candidates or self.session.testsfailed):
            terminalreporter.write_line(f"nbaprops: {NOTHING}")
        if self.cut_off:  # said however quiet the session is: there is no verdict
            terminalreporter.write_line("interrupted while the session ended: the next one finishes what was begun")
        if self.closing is not None and self.closing.document is not None:
            terminal.summary(terminalreporter, self.closing.document, self.closing.highlights())
            for line in tell_github(self.closing.document, self.closing.tables.places):
                terminalreporter.write_line(line)

    def pytest_report_header(self) -> list[str]:
        if self.context is None:
            return []
        settings, simulated = self.settings, self.context.simulated
        asked = {"target": settings.target, "test": settings.test, "promote": settings.promote}
        return terminal.header(self.context.dataset, **asked, simulated=simulated)

    def final_code(self, code: int) -> int:
        """The process's exit code: a verdict's code is not lost, and no failure from elsewhere becomes 0."""
        if self.exit_code is None:
            return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED and self._has_no_share() else code
        pytests_own = code in PYTESTS_OWN and not self.stopped_by_maxfail
        if pytests_own and self.exit_code != Verdict.ERROR.exit_code:
            return code
        return self.exit_code or code

    def _has_no_share(self) -> bool:
        """Whether there are more shares than fits, and this is one of those that have nothing to do."""
        if self.settings.shard is None or self.evidence is None:
            return False
        fits = sum(len({state.fold.fitted_at for state in candidate.folds}) for candidate in self.evidence.candidates)
        return 0 < fits < self.settings.shard[0]

    def pytest_unconfigure(self) -> None:
        if self.context is None:
            return
        self.context.resources.ahead.stop()
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.config.option.collectonly and self.evidence is not None and reporter is not None:
            store, uses_it = self.context.resources.store, self.settings.use_cache
            plan = terminal.plan_line(self.evidence.candidates, lambda key: uses_it and store.has_fold(key))
            reporter.write_line(plan)  # the last line of all
        shutil.rmtree(self.context.folder, ignore_errors=True)
        self.context.resources.store.evict()
