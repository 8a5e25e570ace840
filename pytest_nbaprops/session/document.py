"""decision.json of one session, as a plain document: what is known of the session, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pytest

from pytest_nbaprops.errors import NBAPropsError, TrackingError
from pytest_nbaprops.features.lineage import lineage_difference
from pytest_nbaprops.gate.criteria import parse_criteria, weaker_than
from pytest_nbaprops.gate.decision import CandidateDecision, SessionDecision, tried_together
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.versions import criteria_of_champion
from pytest_nbaprops.reports.decision_file import unfinished
from pytest_nbaprops.session.champion import SessionChampion
from pytest_nbaprops.session.evidence import Evidence
from pytest_nbaprops.session.guarding import LeakChecks
from pytest_nbaprops.session.judgement import Judgement, criteria_of
from pytest_nbaprops.session.market import SessionMarket
from pytest_nbaprops.session.reporting import parameter_changes
from pytest_nbaprops.walkforward.candidate import Candidate


class DecisionDocument:
    """Writes down what the parts of a session know of it."""

    def __init__(  # noqa: PLR0913, PLR0917 - everybody who has something to say
        self,
        config: pytest.Config,
        evidence: Evidence,
        publication: Publication,
        champion: SessionChampion,
        leaks: LeakChecks,
        market: SessionMarket,
        *,
        commit: str | None,
    ) -> None:
        self.context, self.evidence, self.publication = champion.context, evidence, publication
        self.champion, self.leaks, self.market = champion, leaks, market
        self.command = ["pytest", *map(str, config.invocation_params.args)]
        self.commit = commit

    def undecided(self, reason: str, *, seconds: float) -> dict[str, Any]:
        """What is said whatever the verdict; `seconds` are those of the session so far."""
        digest, dates = self.context.dataset.digest, self.context.dataset.game_dates
        games = self.context.dataset.games
        guard = self.leaks.to_dict(self.evidence.candidates)
        return unfinished(self.context.settings.to_dict(), command=self.command, reason=reason) | {
            "simulated": self.context.simulated,
            "git_commit": self.commit,
            "dataset": {
                "digest": digest.full,
                "rows": len(games),
                "players": int(games["PLAYER_ID"].nunique()),
                "first_date": dates[0].day.isoformat(),
                "last_date": dates[-1].day.isoformat(),
                "source": self.context.source,
            },
            # The option's text, or where markers say otherwise all of theirs.
            "test_window": ", ".join(dict.fromkeys(state.spec.test for state in self.evidence.candidates)),
            "warnings": [],
            "leak_guard": {**guard, "share": round(guard["seconds"] / max(seconds, 1e-9), 3)},
        }

    def decided(
        self, judgement: Judgement, effects: Mapping[str, Sequence[Effect]], notes: Sequence[str], *, seconds: float
    ) -> dict[str, Any]:
        """All of it, with what the groups of each candidate bring and what else there is to say."""
        decision, champion = judgement.decision, judgement.champion
        return self.undecided("", seconds=seconds) | {
            "warnings": [*self._warnings(decision), *notes],
            "verdict": decision.verdict.value,
            "exit_code": decision.exit_code,
            "promoted": judgement.promoted,
            "reasons": list(decision.reasons),
            "champion": champion.to_dict() if champion is not None and champion.is_known else None,
            "candidates": [
                self._candidate(state, decided, judgement, effects.get(state.name, ()))
                for state, decided in judgement.of(self.evidence.candidates)
            ],
        }

    def _candidate(
        self, state: Candidate, decided: CandidateDecision, judgement: Judgement, effects: Sequence[Effect]
    ) -> dict[str, Any]:
        lineage = state.lineage
        existing = decided.identical_to.removeprefix("v") if decided.identical_to else None
        champion_run = judgement.champion.run_id if existing and judgement.champion else None
        return {
            **decided.to_dict(),
            "run_id": self.publication.run_id(state.name) or champion_run,
            "run_url": self.publication.run_url(state.name),
            "lineage": {
                "feature_version": lineage.feature_version,
                **lineage_difference(lineage, self.champion.reference(lineage)),
                "parameters": parameter_changes(state, self.champion.told),
            },
            "attribution": [effect.to_dict() for effect in effects],
            "market": self.market.to_dict(state.name),
            "needs_lineups": self.leaks.needs_lineups(state),
            "model_version": judgement.versions.get(state.name) or existing,
        }

    def _warnings(self, decision: SessionDecision) -> list[str]:
        """What is said beside the verdict."""
        return [
            *self._weaker(),
            *(f"games: {remark}" for remark in self.context.remarks),
            *self.leaks.warnings(),
            *self.champion.notes,
            *([said] if (said := tried_together(decision)) else []),
            *decision.remarks,
            *([said] if (said := self._tested_before) else []),
            *self.market.warnings(),
        ]

    @cached_property
    def _tested_before(self) -> str | None:
        """What to say of earlier decisions on these dates; that they cannot be read is no error of this session."""
        if self.publication.error is not None:
            return None
        try:
            return self.champion.tested_before(self.evidence.candidates)
        except TrackingError as error:
            return f"whether these dates decided earlier promotions is not known: {error}"

    def _weaker(self) -> list[str]:
        """Criteria that the champion had to pass and that nobody asks for now: allowed, but said."""
        champion = self.champion.at_start
        expressions = None if champion is None else criteria_of_champion(champion)
        if champion is None or expressions is None:
            return []
        try:
            before = parse_criteria(expressions)
        except NBAPropsError:
            return [f"what the champion {champion.label} had to pass cannot be read from its tags"]
        return [
            f"{state.name}: the champion {champion.label} had to pass {expression!r}, which is not asked now"
            for state in self.evidence.candidates
            for expression in weaker_than(criteria_of(state), before)
        ]
