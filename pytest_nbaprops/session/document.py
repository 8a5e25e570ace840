"""decision.json of one session, as a plain document: what is known of the session, and what it came to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.features.lineage import lineage_difference
from pytest_nbaprops.gate.criteria import parse_criteria, weaker_than
from pytest_nbaprops.gate.decision import tried_together
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.gate.verdict import SessionDecision
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.versions import criteria_of_champion
from pytest_nbaprops.reports.decision_file import unfinished
from pytest_nbaprops.session.champion import SessionChampion
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import Evidence
from pytest_nbaprops.session.guarding import LeakChecks
from pytest_nbaprops.session.holdout import used_before
from pytest_nbaprops.session.judgement import Judgement, criteria_of
from pytest_nbaprops.session.market import SessionMarket
from pytest_nbaprops.session.remarks import Remarks
from pytest_nbaprops.walkforward.candidate import Candidate

SPEC_SETTINGS = ("recipe", "train_window", "refit", "step", "seed")


@dataclass(frozen=True, kw_only=True)
class DecisionDocument:
    """Writes down what the parts of a session know of it."""

    context: Context
    evidence: Evidence
    publication: Publication
    champion: SessionChampion
    leaks: LeakChecks
    market: SessionMarket
    remarks: Remarks
    command: Sequence[str]
    commit: str | None

    def undecided(self, reason: str, *, seconds: float) -> dict[str, Any]:
        """What is said whatever the verdict; `seconds` are those of the session so far."""
        digest, dates = self.context.dataset.digest, self.context.dataset.game_dates
        games = self.context.dataset.games
        guard = self.leaks.to_dict(self.evidence.candidates)
        return unfinished(self.context.settings.to_dict(), command=self.command, reason=reason) | {
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
            "test_window": ", ".join(dict.fromkeys(candidate.spec.test for candidate in self.evidence.candidates)),
            "warnings": [],
            "leak_guard": {**guard, "share": round(guard["seconds"] / max(seconds, 1e-9), 3)},
        }

    def decided(
        self, judgement: Judgement, effects: Mapping[str, Sequence[Effect]], *, seconds: float
    ) -> dict[str, Any]:
        """All of it, with what the groups of each candidate bring and what else there is to say."""
        decision, champion = judgement.decision, judgement.champion
        rows = []
        for candidate, decided in judgement.of(self.evidence.candidates):
            existing = decided.identical_to.removeprefix("v") if decided.identical_to else None
            champion_run = champion.run_id if existing and champion else None
            rows.append(
                {
                    **decided.to_dict(),
                    "run_id": self.publication.run_id(candidate.name) or champion_run,
                    "run_url": self.publication.run_url(candidate.name),
                    "lineage": {
                        "feature_version": candidate.lineage.feature_version,
                        **lineage_difference(candidate.lineage, self.champion.reference(candidate.lineage)),
                        "parameters": self._parameter_changes(candidate),
                    },
                    "attribution": [effect.to_dict() for effect in effects.get(candidate.name, ())],
                    "market": self.market.to_dict(candidate.name),
                    "needs_lineups": self.leaks.needs_lineups(candidate),
                    "model_version": judgement.versions.get(candidate.name) or existing,
                }
            )
        return self.undecided("", seconds=seconds) | {
            "warnings": self.remarks.texts("warning"),
            "verdict": decision.verdict.value,
            "exit_code": decision.exit_code,
            "promoted": judgement.promoted,
            "reasons": list(decision.reasons),
            "champion": champion.to_dict() if champion is not None and champion.is_known else None,
            "candidates": rows,
        }

    def _parameter_changes(self, candidate: Candidate) -> dict[str, list[Any]]:
        """Settings and hyperparameters that differ from the champion's, as its tags tell them: [its, ours]."""
        told = {} if self.champion.at_start is None else self.champion.at_start.tags
        if "spec" not in told:
            return {}
        before, after = json.loads(told["spec"]), candidate.spec.to_dict()
        ours = {name: after.get(name) for name in SPEC_SETTINGS}
        theirs = {name: before.get(name) for name in SPEC_SETTINGS}
        recipe = candidate.recipe
        other = json.loads(told.get("recipe", "null"))
        if recipe is not None and other is not None:
            ours |= {"estimator": recipe.import_path, **recipe.identity()["parameters"]}
            theirs |= {"estimator": other["import_path"], **other["parameters"]}
        return parameter_changes(theirs, ours)

    def remark(self, decision: SessionDecision) -> None:
        """Add what there is to say beside the verdict and nobody has said yet."""
        champion = self.champion.at_start
        expressions = None if champion is None else criteria_of_champion(champion)
        if champion is not None and expressions is not None:
            # Criteria that the champion had to pass and that nobody asks for now: allowed, but said.
            try:
                before = parse_criteria(expressions)
            except NBAPropsError:
                said = f"what the champion {champion.label} had to pass cannot be read from its tags"
                self.remarks.warn("criteria", said)
                before = ()
            for candidate in self.evidence.candidates:
                for expression in weaker_than(criteria_of(candidate), before):
                    said = f"the champion {champion.label} had to pass {expression!r}, which is not asked now"
                    self.remarks.warn("criteria", f"{candidate.name}: {said}")
        self.remarks.warn("games", *(f"games: {remark}" for remark in self.context.remarks))
        self.remarks.warn("leaks", *self.leaks.warnings())
        self.remarks.warn("candidates", *filter(None, [tried_together(decision)]), *decision.remarks)
        publication = self.champion.publication
        if not publication.is_untouched:
            winner = next((one for one in decision.candidates if one.name == decision.winner), None)
            used = used_before(publication, self.evidence.candidates, winner)
            self.remarks.warn("test dates", *used)


def parameter_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs, as [before, after]; an estimator is its class and the head of its code's digest.

    What holds other estimators, such as the steps of a pipeline, is left out: each of them stands for itself.
    """
    pairs = {name: [before.get(name), after.get(name)] for name in {**before, **after}}
    return {
        name: [_readable(value) for value in pair]
        for name, pair in pairs.items()
        if pair[0] != pair[1]
        and not any(isinstance(part, list) for value in pair if isinstance(value, list) for part in value)
    }


def _readable(value: Any) -> Any:
    made_by = re.fullmatch(r"[\w.]+:([\w.]+):([0-9a-f]{8})[0-9a-f]{8}", value) if isinstance(value, str) else None
    return value if made_by is None else f"{made_by[1]} ({made_by[2]})"
