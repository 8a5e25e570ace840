"""The end of a session: decide, log, carry out, report, in an order in which nothing is lost."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.errors import NBAPropsError, SettingsError
from pytest_nbaprops.gate.decision import Verdict
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.metrics.point import point_metrics
from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.reports import criteria_tests, terminal
from pytest_nbaprops.reports.attribution import write_attribution
from pytest_nbaprops.reports.decision_file import ERROR, write_decision, write_tables, write_text
from pytest_nbaprops.reports.figures import worst_of
from pytest_nbaprops.reports.html import Tables, write_page
from pytest_nbaprops.reports.summary import summary_text
from pytest_nbaprops.session.attribution import Attribution
from pytest_nbaprops.session.champion import SessionChampion
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.document import DecisionDocument
from pytest_nbaprops.session.evidence import Evidence
from pytest_nbaprops.session.guarding import LeakChecks
from pytest_nbaprops.session.judgement import Judge, Judgement, criteria_of
from pytest_nbaprops.session.market import SessionMarket
from pytest_nbaprops.session.reporting import report_tables
from pytest_nbaprops.session.runlog import RunLog, fold_table
from pytest_nbaprops.session.snapshot import FOLDER, write_snapshot
from pytest_nbaprops.tracking.artifacts import SUMMARY
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.models import check_storable, loaders_refused
from pytest_nbaprops.tracking.provenance import git_commit
from pytest_nbaprops.tracking.tracker import Status
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState


class Closing:
    """Follows the candidates of one session to their verdict. `document` is decision.json, once there is one."""

    def __init__(self, config: pytest.Config, context: Context, publication: Publication) -> None:
        self.config, self.context, self.publication = config, context, publication
        self.settings = context.settings
        self.champion = SessionChampion(context, publication)
        self.log = RunLog(context, publication, git_commit(context.root))
        self.evidence: Evidence
        self.decision: DecisionDocument
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.effects: dict[str, list[Effect]] = {}
        self.tables = Tables()
        self.leaks = LeakChecks(config, context)
        self.market = SessionMarket(context)
        self.started = time.perf_counter()
        self.document: dict[str, Any] | None = None

    @property
    def decides(self) -> bool:
        return self.settings.promote != "off"

    # before the first fold

    def announce(self, evidence: Evidence) -> None:
        """See that every recipe could be stored, and which candidates may have nothing new to log.

        Raises:
            SettingsError: a recipe's model could not be registered.
        """
        self.evidence = evidence
        told_by = (evidence, self.publication, self.champion, self.leaks, self.market)
        self.decision = DecisionDocument(self.config, *told_by, commit=self.log.commit)
        for state in evidence.candidates:
            self._check_storable(state)
        if self.decides and (refused := loaders_refused()) and any(s.recipe is None for s in evidence.candidates):
            terminal.remark(self.config, f"an estimator that a test hands over may not be storable: {refused}")
        self.leaks.look(evidence.candidates)
        for state in evidence.candidates:
            if self.champion.candidate == state.identity:
                self.log.defer(state.name)

    def _check_storable(self, state: Candidate) -> None:
        recipe = state.recipe
        if recipe is None or not self.decides:
            return
        try:
            check_storable(recipe.estimator, self.settings.trusted_types)
        except NBAPropsError as error:
            raise SettingsError(f"--nbaprops-recipe: {recipe.name!r}: {error}") from None

    def reported_count(self) -> int:
        """How many criteria and leak checks the report will show as tests."""
        states = self.evidence.candidates
        criteria = (
            sum(max(1, len(criteria_of(state))) for state in states)
            if self.decides and not self.evidence.is_part
            else 0
        )
        return len(self.leaks.tests(states)) + criteria

    def log_fold(self, state: Candidate, fold: FoldState) -> None:
        self.log.fold(state, fold)

    # the end

    def close(self, session: pytest.Session) -> int | None:
        """Decide and carry out; the exit code, None where nothing was to be decided."""
        try:
            return self._close(session)
        except Exception as error:  # noqa: BLE001 - an exception here would kill pytest's own summary
            return self._broke(error)

    def _broke(self, error: Exception) -> int:
        """Fail closed on what should not happen; the traceback goes to the report folder, not over the summary."""
        trace = Path(self.settings.report) / ERROR
        reason = f"the session could not be finished: {type(error).__name__}: {one_line(error)} (see {trace})"
        so_far = self.document or {}  # what was promoted before it broke stays said
        self.document = self._undecided(reason) | so_far | {"reasons": [reason, *so_far.get("reasons", [])]}
        self.document |= {"verdict": Verdict.ERROR.value, "exit_code": Verdict.ERROR.exit_code}
        with contextlib.suppress(NBAPropsError):  # decision.json says INCONCLUSIVE since the start
            write_text(trace, redact(traceback.format_exc()))
            write_decision(trace.parent, self.document)
        for state in self.evidence.candidates:
            self.publication.fail(state.name)
        return Verdict.ERROR.exit_code

    def _close(self, session: pytest.Session) -> int | None:
        if self.settings.rehearse is not None:
            return self.leaks.rehearse_by_hand(self.evidence.candidates, self.settings.rehearse)
        if not self.decides:
            return self._close_undecided(session)
        self.leaks.rehearse(self.evidence.candidates)
        judge = Judge(self.config, self.champion, self.evidence, self.leaks, self.market)
        judgement = judge.judge(self.problems)
        self.notes += judge.notes
        self.tables = report_tables(self.context, self.evidence.candidates, judgement.champion)
        self._log_results(judgement)
        self._attribute(session)  # before the promotion: it may take long, and killed in it nothing is half done
        self.publication.flush()  # what MLflow refuses is known before the alias moves
        if self.settings.promote == "enforce":
            judgement = judge.promote(judgement)
        if self.publication.error is not None:
            judgement = judgement.errored(self.publication.error)
        self._write(self._document(judgement))  # said before anything else can break
        if self.settings.promote == "enforce":
            self._leave_snapshot()
        leak_tests = self.leaks.tests(self.evidence.candidates)
        criteria_tests.send(session, judgement.decision, leak_tests, part=self.evidence.is_part)
        self._finish_runs(judgement)
        if self.publication.error is not None and judgement.decision.verdict is not Verdict.ERROR:
            judgement = judgement.errored(self.publication.error)
        self._write(self._document(judgement))
        self._tell()
        return judgement.decision.exit_code

    def _attribute(self, session: pytest.Session) -> None:
        """What each feature group brings, where it was asked for; it changes no verdict."""
        if self.settings.attribute is None:
            return
        attribution = Attribution(self.context, self.champion.lineage, tell=_telling(session.config))
        for state in self.evidence.candidates:
            try:
                self.effects[state.name] = attribution.effects(state)
            except Exception as error:  # noqa: BLE001 - a recipe may raise anything without a group it counts on
                self.notes.append(f"no attribution of {state.name}: {type(error).__name__}: {one_line(error)}")
        if any(self.effects.values()):
            write_attribution(Path(self.settings.report), self.effects)
            self.log.attribution(self.effects)

    def _close_undecided(self, session: pytest.Session) -> int | None:
        criteria_tests.send(session, None, self.leaks.tests(self.evidence.candidates))
        for state in self.evidence.candidates:
            self.log.catch_up(state)
            overall = _overall(state) | self.market.metrics(state.name, state.predictions())
            self.log.results(state, overall, self.champion.reference(state.lineage))
            self.market.log(state.name, self.publication)
        self.tables = report_tables(self.context, self.evidence.candidates, None)
        self._write(self._undecided("promotion is off: nothing was decided"))
        for state in self.evidence.candidates:
            self._finish_run(state, "none")
        if self.publication.error is None:
            return None
        error = {"verdict": Verdict.ERROR.value, "exit_code": Verdict.ERROR.exit_code}
        self._write(self._undecided(f"not logged: {self.publication.error}") | error)
        return Verdict.ERROR.exit_code

    def _log_results(self, judgement: Judgement) -> None:
        for state, decided in judgement.of(self.evidence.candidates):
            if decided.identical_to and decided.verdict is Verdict.PROMOTE:
                continue  # already registered: nothing is written
            self.log.catch_up(state)
            self.log.results(state, decided.metrics, self.champion.reference(state.lineage))
            self.market.log(state.name, self.publication)

    def _finish_runs(self, judgement: Judgement) -> None:
        for state, decided in judgement.of(self.evidence.candidates):
            if self.publication.run_id(state.name) is not None:
                self._finish_run(state, decided.standing)

    def _finish_run(self, state: Candidate, verdict: str) -> None:
        decision_file = Path(self.settings.report) / "decision.json"
        failed = verdict == Verdict.ERROR
        status: Status = "KILLED" if self.problems else "FAILED" if failed else "FINISHED"
        self.log.finish(state, decision_file=decision_file, verdict=verdict, status=status)

    def _tell(self) -> None:
        if self.document is not None:
            self.config.hook.pytest_nbaprops_decision(config=self.config, decision=self.document)

    # decision.json

    def _undecided(self, reason: str) -> dict[str, Any]:
        return self.decision.undecided(reason, seconds=time.perf_counter() - self.started)

    def _document(self, judgement: Judgement) -> dict[str, Any]:
        seconds = time.perf_counter() - self.started
        return self.decision.decided(judgement, self.effects, self.notes, seconds=seconds)

    def _write(self, document: dict[str, Any]) -> None:
        """Write the report; each file is whole or not there."""
        self.document = document = redacted(document)  # a test's error may name the address of a database
        folder = Path(self.settings.report)
        states = self.evidence.candidates
        frames = [frame for state in states if (frame := state.predictions()) is not None]
        write_tables(folder, pd.concat(frames, ignore_index=True) if frames else None, fold_table(states))
        self.market.write(folder, [state.name for state in states])
        write_text(folder / SUMMARY, summary_text(document))
        write_page(folder, document, self.tables)
        write_decision(folder, document)

    def _leave_snapshot(self) -> None:
        """Leave the version to beat as files, for sessions that cannot reach the registry; never an error."""
        if self.publication.error is not None:
            return
        try:
            if (snapshot := self.champion.snapshot_now()) is not None:
                write_snapshot(Path(self.settings.report) / FOLDER, snapshot)
        except NBAPropsError as error:
            self.notes.append(f"no champion snapshot: {error}")

    def highlights(self) -> Mapping[str, pd.DataFrame]:
        """What the terminal shows of the predictions: the worst dates and the worst misses of all candidates."""
        frames = [frame for state in self.evidence.candidates if (frame := state.predictions()) is not None]
        return worst_of(frames, self.context.dataset.games)


def _telling(config: pytest.Config) -> Callable[[str], object]:
    """Where to tell progress: the terminal, unless it was switched off."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return lambda _: None
    reporter.write("\n")  # ends the line of the folds' progress, which ensure_newline does not know of
    write: Callable[[str], object] = reporter.write_line
    return write


def _overall(state: Candidate) -> dict[str, float]:
    frame = state.predictions()
    if frame is None:
        return {}
    return point_metrics(frame["actual"].to_numpy(), frame["predicted"].to_numpy()) | state.side_metrics()
