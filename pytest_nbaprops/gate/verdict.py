"""What goes into the gate and what comes out: plain frozen values, no pytest, no MLflow, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pytest_nbaprops.market.report import MarketReport


PASSED = "PASSED"
"""In place of PROMOTE for a candidate that passed and was not chosen: never a session's verdict, so no exit code."""


class Verdict(StrEnum):
    """What a session or a candidate comes to."""

    PROMOTE = "PROMOTE"
    REJECT = "REJECT"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        return {"PROMOTE": 0, "REJECT": 1, "INCONCLUSIVE": 10, "ERROR": 11}[self.value]


class Outcome(StrEnum):
    """What one criterion comes to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class FoldCounts:
    """Every planned fold, counted once; `failed` are failed tests, crashes and skips are `missing`."""

    planned: int
    executed: int
    cached: int
    failed: int
    missing: int

    @property
    def evaluated(self) -> int:
        """Those with a result."""
        return self.executed + self.cached

    @property
    def complete(self) -> bool:
        return self.planned > 0 and self.evaluated == self.planned and not (self.failed or self.missing)

    def to_dict(self) -> dict[str, int]:
        return {name: int(count) for name, count in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version to beat; or the run, registered or not, whose `version` is None and whose `name` is its own.

    Attributes:
        content: identity of the model that it is.
        tags: what it says of itself; a run's tags are its own affair, and none of them is here.
        predictions: keys, actual and predicted; None as long as nobody asked for them.
        unavailable: why it cannot be compared with. Where there are versions and none of them is the one to beat,
            neither `version` nor `run_id` is known: the gate calls that inconclusive.
    """

    name: str
    alias: str | None = None
    version: str | None = None
    run_id: str | None = None
    content: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None
    unavailable: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a version or a run, comparable or not."""
        return self.version is not None or self.run_id is not None

    @property
    def label(self) -> str:
        """How people call it: `v4`."""
        if not self.is_known:
            return "unknown"
        return f"run {self.name}" if self.version is None else f"v{self.version}"

    def to_dict(self) -> dict[str, str | None]:
        return {"name": self.name, "alias": self.alias, "version": self.version, "run_id": self.run_id}


@dataclass(frozen=True, kw_only=True)
class CandidateEvidence:
    """All that is known of one candidate when the folds are done.

    `predictions` has the key columns, actual, predicted, baseline, with odds market (NaN where there is no line) and
    line (whether there is one), and the columns that slices read; `expected_rows` the keys and actual of every planned
    player-game.
    """

    name: str
    folds: FoldCounts
    predictions: pd.DataFrame | None
    expected_rows: pd.DataFrame | None
    registrable: bool
    problems: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    leaks: tuple[dict[str, Any], ...] = ()
    own_metrics: Mapping[str, float] = field(default_factory=dict)
    market: MarketReport | None = None
    unregistrable_reason: str | None = None
    identical_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class CriterionResult:
    """One criterion's row of the decision.

    Against a reference, `threshold` is the reference's value plus the margin, and the interval is the paired one of the
    difference, moved by the reference's value, so that `value`, interval and threshold can be read on one scale.
    `ci_level` is above 0.95 where several candidates were compared.
    """

    expression: str
    metric: str
    slice: str | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    threshold: float | None
    outcome: Outcome
    reason: str
    ci_level: float | None = None

    def to_dict(self) -> dict[str, str | float | None]:
        numbers = {name: finite(getattr(self, name)) for name in ("value", "ci_low", "ci_high", "threshold")}
        return {**asdict(self), **numbers, "outcome": self.outcome.value}


@dataclass(frozen=True, kw_only=True)
class CandidateDecision:
    """One candidate's row of the decision.

    `not_chosen` says why a candidate that passed is not the one to promote; `rows` are the player-games that it was
    judged on, with actual and predicted, None where they were not the planned ones.
    """

    name: str
    verdict: Verdict
    reasons: tuple[str, ...]
    folds: FoldCounts
    metrics: Mapping[str, float]
    criteria: tuple[CriterionResult, ...]
    leaks: tuple[dict[str, Any], ...]
    registrable: bool
    unregistrable_reason: str | None = None
    identical_to: str | None = None
    not_chosen: str | None = None
    rows: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    @property
    def standing(self) -> str:
        """Its verdict, or PASSED for one that could have been promoted and was not the best."""
        return PASSED if self.not_chosen else self.verdict.value

    @property
    def unable(self) -> str | None:
        """Why it could not be registered; None where it can, or is already."""
        if self.registrable or self.identical_to:
            return None
        return self.unregistrable_reason or "there is no model"

    def to_dict(self) -> dict[str, Any]:
        """The gate's part of a candidate in decision.json: exact builtins, NaN and infinity as None."""
        return {
            "name": self.name,
            "verdict": self.standing,
            "reasons": list(self.reasons),
            "unregistrable": self.unable,
            "folds": self.folds.to_dict(),
            "metrics": {name: finite(value) for name, value in self.metrics.items()},
            "criteria": [result.to_dict() for result in self.criteria],
            "leaks": [dict(leak) for leak in self.leaks],
        }


@dataclass(frozen=True, kw_only=True)
class SessionDecision:
    """The session's verdict; `winner` names the candidate to promote, None without one.

    `remarks` say on what the candidates were compared, where that goes without saying no longer.
    """

    verdict: Verdict
    winner: str | None
    candidates: tuple[CandidateDecision, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return self.verdict.exit_code

    def errored(self, reason: str, *, logged: bool = True, promoted: bool = False) -> SessionDecision:
        """The same decision, not carried out: ERROR replaces PROMOTE, or with `logged=False` any verdict.

        A winner that is `promoted` all the same stays that; another one is an ERROR, too.
        """
        if self.verdict is not Verdict.PROMOTE and logged:
            return replace(self, reasons=(reason, *self.reasons))
        kept = self if promoted else self._with_winner(Verdict.ERROR)
        return replace(kept, verdict=Verdict.ERROR, winner=None, reasons=(reason, *self.reasons))

    def overtaken(self, reason: str) -> SessionDecision:
        """The same decision, made against a champion that is none any more: INCONCLUSIVE."""
        kept = self._with_winner(Verdict.INCONCLUSIVE, reason)
        return replace(kept, verdict=Verdict.INCONCLUSIVE, winner=None, reasons=(reason, *self.reasons))

    def _with_winner(self, verdict: Verdict, *reasons: str) -> SessionDecision:
        candidates = tuple(
            replace(candidate, verdict=verdict, reasons=(*reasons, *candidate.reasons))
            if candidate.name == self.winner
            else candidate
            for candidate in self.candidates
        )
        return replace(self, candidates=candidates)


def finite(value: float | None) -> float | None:
    """The number as an exact builtin, None where JSON has none for it."""
    return float(value) if value is not None and math.isfinite(value) else None
