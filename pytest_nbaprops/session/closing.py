"""The end of a session: judge, log, carry out, report, in an order in which nothing is lost."""

from __future__ import annotations

import contextlib
import copy
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.errors import NBAPropsError, SettingsError
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.gate.verdict import Verdict
from pytest_nbaprops.metrics.point import point_metrics
from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.versions import record_of
from pytest_nbaprops.reports import criteria_tests, terminal
from pytest_nbaprops.reports.decision_file import ERROR, write_attribution, write_decision, write_tables, write_text
from pytest_nbaprops.reports.figures import worst_of
from pytest_nbaprops.reports.html import Tables, draw_ahead, write_page
from pytest_nbaprops.reports.summary import summary_text
from pytest_nbaprops.session.attribution import Attribution
from pytest_nbaprops.session.champion import SessionChampion
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.document import DecisionDocument
from pytest_nbaprops.session.evidence import Evidence
from pytest_nbaprops.session.guarding import LeakChecks
from pytest_nbaprops.session.judgement import Judge, Judgement, criteria_of
from pytest_nbaprops.session.market import SessionMarket
from pytest_nbaprops.session.remarks import Remarks
from pytest_nbaprops.session.reporting import report_tables
from pytest_nbaprops.session.runlog import RunLog, fold_table
from pytest_nbaprops.session.snapshot import FOLDER, write_snapshot
from pytest_nbaprops.tracking.artifacts import DECISION, SUMMARY
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.models import check_storable, loaders_refused
from pytest_nbaprops.tracking.tracker import Status
from pytest_nbaprops.walkforward.candidate import Candidate

OFF = "promotion is off: nothing was decided"


def refuse_unstorable(candidates: Sequence[Candidate], trusted_types: Sequence[str]) -> None:
    """See before the first fold that every recipe's model could be registered.

    Raises:
        SettingsError: one could not.
    """
    refusals: dict[str, None] = {}
    for recipe in (candidate.recipe for candidate in candidates):
        if recipe is not None:
            try:
                check_storable(recipe.estimator, trusted_types)
            except NBAPropsError as error:
                refusals[f"--nbaprops-recipe: {recipe.name!r}: {error}"] = None
    if refusals:
        raise SettingsError("; ".join(refusals))


class Closing:
    """Follows the candidates of one session to their verdict. `document` is decision.json, once there is one."""

    def __init__(
        self, config: pytest.Config, context: Context, publication: Publication, command: Sequence[str], began: float
    ) -> None:
        self.config, self.context, self.publication, self.command = config, context, publication, command
        self.began = began  # by the process's own clock
        self.settings, self.report = context.settings, Path(context.settings.report)
        self.decides = self.settings.promote != "off"
        self.remarks = Remarks()
        self.champion = SessionChampion(context, publication, self.remarks)
        self.log = RunLog(context, publication)
        self.leaks = LeakChecks(config, context)
        self.market = SessionMarket(context, self.remarks)
        self.evidence: Evidence
        self.decision: DecisionDocument
        self.tables = Tables()
        self.document: dict[str, Any] | None = None

    # before the first fold

    def announce(self, evidence: Evidence) -> None:
        """See that every recipe could be stored, and which candidates may have nothing new to log.

        Raises:
            SettingsError: a recipe's model could not be registered, or the date to rehearse is not tested.
        """
        self.evidence = evidence
        self.decision = DecisionDocument(
            context=self.context,
            evidence=evidence,
            publication=self.publication,
            champion=self.champion,
            leaks=self.leaks,
            market=self.market,
            remarks=self.remarks,
            command=self.command,
            commit=self.log.commit,
        )
        if self.decides:
            refuse_unstorable(evidence.candidates, self.settings.trusted_types)
        if self.decides and (refused := loaders_refused()) and any(s.recipe is None for s in evidence.candidates):
            terminal.remark(self.config, f"an estimator that a test hands over may not be storable: {refused}")
        tested = {str(day) for candidate in evidence.candidates for day in candidate.dates}
        if (day := self.settings.rehearse) is not None and day not in tested:
            raise SettingsError(
                f"--nbaprops-rehearse: {day} is none of the test dates; see them with --collect-only -q"
            )
        self.leaks.look(evidence.candidates)
        if (champion := self.champion.at_start) is not None:
            made_by = record_of(champion).identity
            self.log.deferred |= {candidate.name for candidate in evidence.candidates if candidate.identity == made_by}

    def reported_count(self) -> int:
        """How many criteria and leak checks the report will show as tests."""
        candidates = self.evidence.candidates
        judged = candidates if self.decides and not self.evidence.is_part else []
        return len(self.leaks.tests(candidates)) + sum(max(1, len(criteria_of(candidate))) for candidate in judged)

    # the end

    def close(self, session: pytest.Session) -> int | None:
        """Decide and carry out; the exit code, None where nothing was to be decided."""
        try:
            if self.settings.rehearse is not None:
                return self.leaks.rehearse_by_hand(self.evidence.candidates, self.settings.rehearse)
            return self._decide(session) if self.decides else self._only_log(session)
        except Exception as error:  # noqa: BLE001 - an exception here would kill pytest's own summary
            return self._broke(error)

    def _decide(self, session: pytest.Session) -> int:
        """Check, judge, log, register, report: what one step gives, the next one takes."""
        candidates = self.evidence.candidates
        self.leaks.rehearse(candidates)
        judge = Judge(self.config, self.champion, self.evidence, self.leaks, self.market)
        judgement = judge.judge()
        self.tables = report_tables(self.context, candidates, judgement.champion)
        for candidate, decided in judgement.of(candidates):
            if not (decided.identical_to and decided.verdict is Verdict.PROMOTE):  # else it is registered already
                self._log(candidate, decided.metrics)
        # Before the promotion: it may take long, and killed in it nothing is half done.
        effects = self._attribute(session)
        self.publication.flush()  # what MLflow refuses is known before the alias moves
        draw_ahead(self.tables)  # beside the final fit, which is under way
        judgement = judge.promote(judgement)
        if self.publication.error is not None:
            judgement = judgement.errored(self.publication.error)
        self.decision.remark(judgement.decision)
        self._write_decided(judgement, effects)  # said before anything else can break
        self._leave_snapshot()
        criteria_tests.send(session, judgement.decision, self.leaks.tests(candidates), part=self.evidence.is_part)
        for candidate, decided in judgement.of(candidates):
            if self.publication.run_id(candidate.name) is not None:
                self._finish_run(candidate, decided.standing)
        if self.publication.error is not None and judgement.decision.verdict is not Verdict.ERROR:
            judgement = judgement.errored(self.publication.error)
        self._end_runs_of_an_error()
        document = self._write_decided(judgement, effects, is_failed=session.testsfailed > 0)
        try:
            self.config.hook.pytest_nbaprops_decision(config=self.config, decision=copy.deepcopy(document))
        except Exception as error:
            error.add_note("raised by pytest_nbaprops_decision, which gets decision.json as a dict")
            raise
        code: int = document["exit_code"]
        return code

    def _only_log(self, session: pytest.Session) -> int | None:
        """Where promotion is off; an exit code only where that failed, or a leak test has."""
        leak_tests = self.leaks.tests(self.evidence.candidates)
        criteria_tests.send(session, None, leak_tests)
        for candidate in self.evidence.candidates:
            frame = candidate.predictions()
            metrics = dict[str, float]()
            if frame is not None:
                metrics = point_metrics(frame["actual"].to_numpy(), frame["predicted"].to_numpy())
                metrics |= candidate.side_metrics()
            judged = self.market.report(candidate.name, frame)
            self._log(candidate, metrics | (judged.metrics if judged is not None else {}))
        self.tables = report_tables(self.context, self.evidence.candidates, None)
        leaking = [test.name for test in leak_tests if test.leaks or test.unknown]
        said = f"; what the leak guard finds would stand against it: {', '.join(leaking)}" if leaking else ""
        self._write(self._undecided(f"{OFF}{said}") | {"exit_code": int(bool(leaking))})
        for candidate in self.evidence.candidates:
            self._finish_run(candidate, "none")
        self._end_runs_of_an_error()
        if self.publication.error is None:
            return 1 if leaking else None
        error = {"verdict": Verdict.ERROR.value, "exit_code": Verdict.ERROR.exit_code}
        self._write(self._undecided(f"not logged: {self.publication.error}") | error)
        return Verdict.ERROR.exit_code

    def _broke(self, error: Exception) -> int:
        """Fail closed on what should not happen; the traceback goes to the report folder, not over the summary."""
        trace = self.report / ERROR
        said = "; ".join([f"{type(error).__name__}: {one_line(error)}", *getattr(error, "__notes__", ())])
        reason = f"the session could not be finished: {said} (see {trace})"
        so_far = self.document or {}  # what was promoted before it broke stays said
        self.document = self._undecided(reason) | so_far | {"reasons": [reason, *so_far.get("reasons", [])]}
        self.document |= {"verdict": Verdict.ERROR.value, "exit_code": Verdict.ERROR.exit_code}
        with contextlib.suppress(NBAPropsError):  # decision.json says INCONCLUSIVE since the start
            write_text(trace, redact(traceback.format_exc()))
            write_decision(self.report, self.document)
        for candidate in self.evidence.candidates:
            self.publication.fail(candidate.name)
        return Verdict.ERROR.exit_code

    def _end_runs_of_an_error(self) -> None:
        """A run is left open for the next session only where the store is gone: it could not be ended."""
        if self.publication.error is not None:
            for candidate in self.evidence.candidates:
                self.publication.fail(candidate.name)

    # its steps

    def _log(self, candidate: Candidate, metrics: Mapping[str, float]) -> None:
        self.log.catch_up(candidate)
        self.log.results(candidate, metrics, self.champion.reference(candidate.lineage))
        if self.champion.walked is not None:
            self.log.champion(candidate.name, self.champion.walked)
        if self.settings.odds is not None:
            folder = self.log.fresh_folder("market")
            if self.market.write(folder, [candidate.name]):
                self.log.artifacts(candidate.name, folder)

    def _attribute(self, session: pytest.Session) -> dict[str, Sequence[Effect]]:
        """What each feature group brings, by candidate, where it was asked for; it changes no verdict."""
        effects: dict[str, Sequence[Effect]] = {}
        if self.settings.attribute is None:
            return effects
        attribution = Attribution(self.context, self.champion.lineage, tell=_telling(session.config))
        for candidate in self.evidence.candidates:
            try:
                effects[candidate.name] = attribution.effects(candidate)
            except Exception as error:  # noqa: BLE001 - a recipe may raise anything without a group it counts on
                why = f"{type(error).__name__}: {one_line(error)}"
                self.remarks.warn("session", f"no attribution of {candidate.name}: {why}")
        if any(effects.values()):
            write_attribution(self.report, effects)
            self.log.attribution(effects)
        return effects

    def _leave_snapshot(self) -> None:
        """Leave the version to beat as files, for sessions that cannot reach the registry; never an error."""
        if self.settings.promote != "enforce" or self.publication.error is not None:
            return
        try:
            if (snapshot := self.champion.snapshot_now()) is not None:
                write_snapshot(self.report / FOLDER, snapshot)
        except NBAPropsError as error:
            self.remarks.warn("session", f"no champion snapshot: {error}")

    def _finish_run(self, candidate: Candidate, verdict: str) -> None:
        status: Status = "FAILED" if verdict == Verdict.ERROR else "FINISHED"
        if self.remarks.texts("problem"):
            status = "KILLED"
        file, name = self.report / DECISION, candidate.name
        finish = self.publication.finish
        self.publication.attempt(lambda: finish(name, decision_file=file, verdict=verdict, status=status))

    # decision.json

    def _undecided(self, reason: str) -> dict[str, Any]:
        return self.decision.undecided(reason, seconds=time.perf_counter() - self.began)

    def _write_decided(
        self, judgement: Judgement, effects: Mapping[str, Sequence[Effect]], *, is_failed: bool = False
    ) -> dict[str, Any]:
        """`is_failed`: pytest ends with 1, whatever is decided, since another test has failed."""
        document = self.decision.decided(judgement, effects, seconds=time.perf_counter() - self.began)
        return self._write(document | {"exit_code": document["exit_code"] or int(is_failed)})

    def _write(self, document: dict[str, Any]) -> dict[str, Any]:
        """Write the report; each file is whole or not there."""
        self.document = document = redacted(document)  # a test's error may name the address of a database
        candidates = self.evidence.candidates
        write_tables(self.report, self.tables.predictions, fold_table(candidates))
        self.market.write(self.report, [candidate.name for candidate in candidates])
        write_text(self.report / SUMMARY, summary_text(document))
        write_page(self.report, document, self.tables)
        write_decision(self.report, document)
        return document

    def highlights(self) -> Mapping[str, pd.DataFrame]:
        """What the terminal shows of the predictions: the worst dates and the worst misses of all candidates."""
        frames = [frame for candidate in self.evidence.candidates if (frame := candidate.predictions()) is not None]
        return worst_of(frames, self.context.dataset.games)


def _telling(config: pytest.Config) -> Callable[[str], object]:
    """Where to tell progress: the terminal, unless it was switched off."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return lambda _: None
    reporter.write("\n")  # ends the line of the folds' progress, which ensure_newline does not know of
    write: Callable[[str], object] = reporter.write_line
    return write
