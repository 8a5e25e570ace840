"""From evidence to a decision that is carried out: what the gate is asked, and what is done about its answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.errors import ChampionMovedError, NBAPropsError, TrackingError
from pytest_nbaprops.features.baseline import slice_columns
from pytest_nbaprops.gate.criteria import Criterion, parse_criteria
from pytest_nbaprops.gate.decision import decide, judge_all
from pytest_nbaprops.gate.verdict import CandidateDecision, CandidateEvidence, Champion, SessionDecision, Verdict
from pytest_nbaprops.leaks.picked_metrics import picked_metrics
from pytest_nbaprops.session.champion import SessionChampion, content_of, version_record
from pytest_nbaprops.session.evidence import Evidence, counts_of, failures_of, problems_of
from pytest_nbaprops.session.fitting import final_fold
from pytest_nbaprops.session.guarding import LeakChecks
from pytest_nbaprops.session.market import SessionMarket
from pytest_nbaprops.session.succession import what_forbids_it
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.models import check_storable, warm_up
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.active import METRIC_NAME
from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.evaluate import fitted_model

EXAMPLE_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The decision, and what it was decided against.

    Attributes:
        versions: registered version of each candidate that has one now.
        promoted: whether the alias was moved.
    """

    decision: SessionDecision
    champion: Champion | None
    versions: Mapping[str, str]
    promoted: bool

    def of(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, CandidateDecision]]:
        """Each candidate with its decision."""
        by_name = {decided.name: decided for decided in self.decision.candidates}
        return [(candidate, by_name[candidate.name]) for candidate in candidates]

    def errored(self, reason: str) -> Judgement:
        """The same, but not logged: ERROR."""
        return replace(self, decision=self.decision.errored(reason, logged=False, promoted=self.promoted))


def criteria_of(candidate: Candidate) -> tuple[Criterion, ...]:
    """The candidate's criteria, parsed."""
    return parse_criteria(candidate.spec.criteria)


class Judge:
    """Asks the gate and carries its answer out. What stands against it all are the session's problems."""

    def __init__(
        self,
        config: pytest.Config,
        champion: SessionChampion,
        evidence: Evidence,
        leaks: LeakChecks,
        market: SessionMarket,
    ) -> None:
        self.config, self.champion, self.evidence, self.leaks = config, champion, evidence, leaks
        self.market, self.remarks = market, champion.remarks
        self.context, self.publication = champion.context, champion.publication
        self.settings = self.context.settings

    # the question

    def judge(self) -> Judgement:
        """The gate's decision on everything that is known."""
        candidates = self.evidence.candidates
        asked = any(
            criterion.reference == "champion" for candidate in candidates for criterion in criteria_of(candidate)
        )
        champion, reason = self.champion.now(candidates, asked=asked)
        for problem in self._forbidden(champion if asked else None):
            self.remarks.problem(problem)
        cases = [(self._evidence(candidate, champion), criteria_of(candidate)) for candidate in candidates]
        judged = judge_all(cases, champion, seed=self.settings.seed, champion_reason=reason)
        decision = decide(judged, enforce=self.settings.promote == "enforce")
        return Judgement(decision=decision, champion=champion, versions={}, promoted=False)

    def _forbidden(self, beaten: Champion | None) -> list[str]:
        if self.champion.snapshot is not None or self.publication.error is not None:
            return []
        target = "+".join(self.context.dataset.target_columns)
        asked = what_forbids_it(self.publication, self.settings, target, beaten)
        found: list[str] | None = self.publication.attempt(partial(list, asked))
        return found or []

    def _evidence(self, candidate: Candidate, champion: Champion | None) -> CandidateEvidence:
        predictions = candidate.predictions()
        logged = candidate.own_metrics()
        by_test = logged.keys() - candidate.side_metrics().keys()
        for name in dict.fromkeys(one.metric for one in criteria_of(candidate) if one.metric in by_test):
            said = f"{candidate.name}: its test logs {name} itself, and which games are in it is not checked"
            self.remarks.warn("session", said)
        unregistrable = self._unregistrable(candidate)
        problems = self.remarks.texts("problem")
        identical_to = None  # the champion's label if this candidate would be registered as the very same model
        content = content_of(self.context, candidate)
        standing = self.champion.rolled_back(content)
        if champion is not None and champion.version is not None and not champion.unavailable:
            at_start = self.champion.at_start
            if content is not None and at_start is not None and content == at_start.content:
                identical_to = f"v{champion.version}"
                standing = self.champion.lost_model(champion.version)
        return CandidateEvidence(
            name=candidate.name,
            folds=counts_of(candidate),
            predictions=self._with_slices(self.market.with_lines(predictions), criteria_of(candidate)),
            expected_rows=self.context.dataset.expected(candidate.plan),
            registrable=unregistrable is None,
            unregistrable_reason=unregistrable,
            problems=(*problems_of(candidate), *problems, *filter(None, [standing]), *self.leaks.problems(candidate)),
            failures=failures_of(candidate),
            leaks=self.leaks.of_candidate(candidate),
            own_metrics=logged | self._hook_metrics(predictions),
            market=self.market.report(candidate.name, predictions),
            identical_to=identical_to,
        )

    def _with_slices(self, predictions: pd.DataFrame | None, criteria: Sequence[Criterion]) -> pd.DataFrame | None:
        if predictions is None or not any(criterion.slice for criterion in criteria):
            return predictions
        games = self.context.dataset.games
        columns = slice_columns(games, self.context.dataset.target_columns)
        keyed = pd.concat([games[list(KEY_COLUMNS)], columns.drop(columns=list(KEY_COLUMNS), errors="ignore")], axis=1)
        return predictions.merge(keyed, on=list(KEY_COLUMNS), how="left", validate="many_to_one")

    def _hook_metrics(self, predictions: pd.DataFrame | None) -> dict[str, float]:
        """What the hooks compute, without what no criterion may rest on: then none on it can pass."""
        if predictions is None:
            return {}
        visible = predictions.drop(columns=["candidate", "fold"])
        try:
            metrics = self._asked_of_hooks(visible)
        except Exception as error:  # noqa: BLE001 - a user's hook may raise anything
            why = f"{type(error).__name__}: {one_line(error)}"
            self.remarks.warn("session", f"pytest_nbaprops_metrics gives no metric: {why}")
            return {}
        refused = {name: "is no name that MLflow takes" for name in metrics if not METRIC_NAME.fullmatch(name)}
        refused |= picked_metrics(visible, self._asked_of_hooks) if metrics else {}
        for name, why in refused.items():
            self.remarks.warn("session", f"pytest_nbaprops_metrics: {name!r} is left out: {why}")
        return {name: value for name, value in metrics.items() if name not in refused}

    def _asked_of_hooks(self, predictions: pd.DataFrame) -> dict[str, Any]:
        theirs = predictions.copy()  # whatever a hook does to it
        answers = self.config.hook.pytest_nbaprops_metrics(predictions=theirs)
        return {str(name): value for answer in answers for name, value in dict(answer).items()}

    def _unregistrable(self, candidate: Candidate) -> str | None:
        """Why the candidate could not be registered; recipes were checked before the first fold."""
        digest, problem = candidate.estimator()
        if digest is None or digest == estimators.RECIPE:
            return problem
        try:
            handed_over = estimators.handed_over(digest, self.context.folder / estimators.HANDED_OVER)
            check_storable(handed_over, self.settings.trusted_types)
        except NBAPropsError as error:
            return str(error)
        return None

    # the answer

    def promote(self, judgement: Judgement) -> Judgement:
        """Under `enforce` fit the winner through the last date, register it and move the alias.

        ERROR where that cannot be done, INCONCLUSIVE where another session was first.
        """
        decision = judgement.decision
        winner = next((c for c in decision.candidates if c.name == decision.winner), None)
        if self.settings.promote != "enforce" or winner is None or winner.identical_to:
            return judgement
        if self.publication.error is not None:
            return replace(judgement, decision=decision.errored(self.publication.error))
        candidate = next(candidate for candidate in self.evidence.candidates if candidate.name == winner.name)
        try:
            return self._promoted(judgement, candidate, winner)
        except ChampionMovedError as error:
            return replace(judgement, decision=decision.overtaken(str(error)))
        except TrackingError as error:
            found = self._as_it_stands(judgement, candidate)
            return replace(found, decision=decision.errored(str(error), promoted=found.promoted))

    def _as_it_stands(self, judgement: Judgement, candidate: Candidate) -> Judgement:
        """What an error left behind: the alias may have been set before it."""
        content = content_of(self.context, candidate)
        with contextlib.suppress(TrackingError):
            registry = self.publication.registry()
            version = registry.find_version(self.settings.model_name, content) if content is not None else None
            if version is not None:
                holds = registry.aliases(self.settings.model_name).get(self.settings.alias) == version
                return replace(judgement, versions={candidate.name: version}, promoted=holds)
        return judgement

    def _promoted(self, judgement: Judgement, candidate: Candidate, winner: CandidateDecision) -> Judgement:
        # Fitted on the window through the last game date.
        fold, dataset = final_fold(self.context, candidate), self.context.dataset
        digest, _ = candidate.estimator()
        if digest == estimators.RECIPE:
            if self.context.resources.ahead.is_under_way(candidate.fit_key(fold, dataset.digest)):
                warm_up()
            model, _ = fitted_model(candidate, fold, self.context.resources)
        else:
            unfitted = estimators.handed_over(str(digest), self.context.folder / estimators.HANDED_OVER)
            model = estimators.fit(unfitted, dataset.train(fold, candidate.columns), threads=self.context.threads)
        first = dataset.positions(fold.train_start, fold.fitted_at)[:EXAMPLE_ROWS]
        promotion = self.publication.promote(
            candidate.name,
            model=model,
            model_type=candidate.spec.recipe or type(model).__name__,
            example=dataset.rows(first, candidate.columns).X,
            content=content_of(self.context, candidate) or candidate.identity,
            trusted_types=self.settings.trusted_types,
            alias=self.settings.alias,
            expected=self.champion.holders,
            reason="; ".join(winner.reasons),
            record=replace(
                version_record(self.context, candidate),
                verdict=Verdict.PROMOTE.value,
                criteria=[result.to_dict() for result in winner.criteria],
                metrics=winner.to_dict()["metrics"],
                champion_version=(judgement.champion.version or "") if judgement.champion else "",
            ),
        )
        return replace(judgement, versions={candidate.name: promotion.version}, promoted=promotion.changed)
