"""From evidence to verdict: one candidate, then the session. Pure functions that fail closed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import pandas as pd

from pytest_nbaprops.data.problems import listed
from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.gate.criteria import Criterion
from pytest_nbaprops.gate.evaluate import Subject, evaluate
from pytest_nbaprops.gate.rows import KEYS, checked_rows
from pytest_nbaprops.gate.statistics import MIN_DATES
from pytest_nbaprops.gate.verdict import (
    CandidateDecision,
    CandidateEvidence,
    Champion,
    CriterionResult,
    Outcome,
    SessionDecision,
    Verdict,
)
from pytest_nbaprops.leaks.leak import is_proven, leak_text
from pytest_nbaprops.metrics.point import STATISTICS, point_metrics

NAMED = 3
COMPARED = re.compile(r"\b(baseline|market|champion)\b")
OF_NOBODY = ("n_predictions", "n_bets", "market_mae", "market_brier")  # are the same whoever predicts, or mere counts
UNABLE = "nothing to register"
NO_QUALITY = "that says nothing of how good it is: ask for more, such as mae < baseline"

Case = tuple[CandidateEvidence, Sequence[Criterion]]


def judge_all(
    cases: Sequence[Case], champion: Champion | None, *, seed: int, champion_reason: str | None = None
) -> tuple[CandidateDecision, ...]:
    """Every candidate judged, the interval level corrected for their number by Holm's step-down rule.

    A candidate counts with the least convincing of its own criteria, since it needs them all, so the chance that any
    candidate is promoted that should not be stays at the nominal one however many are tried.
    """
    tried = [
        evidence.identical_to is None
        and evidence.folds.evaluated > 0
        and any(criterion.needs_interval for criterion in criteria)
        for evidence, criteria in cases
    ]
    comparisons = max(sum(tried), 1)
    while True:
        decisions = tuple(
            judge(evidence, criteria, champion, seed=seed, champion_reason=champion_reason, comparisons=comparisons)
            for evidence, criteria in cases
        )
        passed = sum(d.verdict is Verdict.PROMOTE for d, counts in zip(decisions, tried, strict=True) if counts)
        left = max(sum(tried) - passed, 1)
        if left >= comparisons:
            return decisions
        comparisons = left


def judge(  # noqa: PLR0913 - one candidate's evidence and what it is held against
    evidence: CandidateEvidence,
    criteria: Sequence[Criterion],
    champion: Champion | None,
    *,
    seed: int,
    champion_reason: str | None = None,
    comparisons: int = 1,
) -> CandidateDecision:
    """The candidate's verdict.

    `champion=None` with a `champion_reason` says that the registered model has no version at all; without a reason
    criteria on the champion are inconclusive, as they are for a champion that is `unavailable`. `comparisons` divides
    the 5% of the intervals.
    """
    rows, problems = _rows(evidence)
    incomplete = (*evidence.problems, *problems)
    subject = Subject(
        rows=rows,
        incomplete="; ".join(incomplete) or None,
        own_metrics=evidence.own_metrics,
        market=evidence.market,
        champion=champion,
        champion_reason=champion_reason,
        identical_to=evidence.identical_to,
        seed=seed,
        comparisons=comparisons,
    )
    results = tuple(evaluate(criterion, subject) for criterion in criteria)
    metrics = _metrics(evidence)
    verdict, reasons = _verdict(evidence, incomplete, metrics, results)
    return CandidateDecision(
        name=evidence.name,
        verdict=verdict,
        reasons=reasons,
        folds=evidence.folds,
        metrics=metrics,
        criteria=results,
        leaks=evidence.leaks,
        registrable=evidence.registrable,
        unregistrable_reason=evidence.unregistrable_reason,
        identical_to=evidence.identical_to,
        rows=rows,
    )


def decide(candidates: Sequence[CandidateDecision], *, enforce: bool) -> SessionDecision:
    """The session's verdict: the winner's, or without one the worst (the one with the highest exit code)."""
    judged = tuple(_registrable(candidate) if enforce else candidate for candidate in candidates)
    if not judged:
        nothing = ("there is no candidate",)
        return SessionDecision(verdict=Verdict.INCONCLUSIVE, winner=None, candidates=(), reasons=nothing)
    passing = [candidate for candidate in judged if candidate.verdict is Verdict.PROMOTE]
    if passing:  # those that have nothing to register win a dry run only where no other does
        return _won(judged, [candidate for candidate in passing if candidate.unable is None] or passing)
    verdict = max((candidate.verdict for candidate in judged), key=lambda verdict: verdict.exit_code)
    worst = [candidate for candidate in judged if candidate.verdict is verdict]
    return SessionDecision(verdict=verdict, winner=None, candidates=judged, reasons=_reasons(worst, judged))


def _reasons(worst: Sequence[CandidateDecision], judged: Sequence[CandidateDecision]) -> tuple[str, ...]:
    """Why, a line for each reason, though several candidates have it."""
    having: dict[str, list[CandidateDecision]] = {}
    for candidate in worst:
        for reason in candidate.reasons:
            having.setdefault(reason, []).append(candidate)
    return tuple(_of(candidates, reason, judged) for reason, candidates in having.items())


def tried_together(decision: SessionDecision) -> str | None:
    """What to say where several candidates were tried."""
    tried = sum(candidate.folds.evaluated > 0 for candidate in decision.candidates)
    if tried < 2:  # noqa: PLR2004 - one is no choice
        return None
    tested = {tuple(c.rows["GAME_DATE"].unique()) for c in decision.candidates if c.rows is not None}
    where = "the same dates" if len(tested) < 2 else f"{len(tested)} sets of dates"  # noqa: PLR2004 - two differ
    return f"{tried} candidates were tried on {where}: intervals of comparisons are Holm-corrected for their number"


def _rows(evidence: CandidateEvidence) -> tuple[pd.DataFrame | None, list[str]]:
    """The predicted rows, if they are the planned ones, and what is wrong with them and the folds that they are of."""
    folds, problems = evidence.folds, list[str]()
    if folds.planned <= 0:
        problems.append("no fold was planned")
    elif not folds.complete:
        problems.append(f"{folds.evaluated} of {folds.planned} folds were evaluated")
    try:
        return checked_rows(evidence.predictions, evidence.expected_rows), problems
    except InconclusiveError as problem:
        # Folds that did not run are why rows are missing: said once.
        return None, [*problems, str(problem)] if folds.complete else problems
    except Exception as problem:  # noqa: BLE001 - the gate fails closed, whatever a table of predictions holds
        return None, [*problems, f"the predictions cannot be read: {type(problem).__name__}: {problem}"]


def _metrics(evidence: CandidateEvidence) -> Mapping[str, float]:
    """The point metrics of whatever rows are there, the market's, and the user's own, which never stand in for them."""
    own = {name: _number(value) for name, value in evidence.own_metrics.items()}
    own |= evidence.market.metrics if evidence.market is not None else {}
    frame = evidence.predictions
    if frame is None or frame.empty:
        return own
    try:
        return own | point_metrics(frame["actual"].astype("float64"), frame["predicted"].astype("float64"))
    except (KeyError, TypeError, ValueError):
        return own | dict.fromkeys(STATISTICS, math.nan)


def _number(value: object) -> float:
    """A user's metric, NaN where it is no number at all."""
    try:
        return float(value)  # type: ignore[arg-type] # whatever a hook returned
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _verdict(
    evidence: CandidateEvidence,
    incomplete: tuple[str, ...],
    metrics: Mapping[str, float],
    results: tuple[CriterionResult, ...],
) -> tuple[Verdict, tuple[str, ...]]:
    """The rules of the design, in their order."""
    faults = [f"leak in {leak_text(leak)}" for leak in evidence.leaks if is_proven(leak)]
    if evidence.folds.failed and not evidence.failures:
        faults.append(f"{evidence.folds.failed} of {evidence.folds.planned} fold tests failed")
    if faults or evidence.failures:
        return Verdict.REJECT, (*faults, *evidence.failures, *incomplete)
    if incomplete:
        return Verdict.INCONCLUSIVE, incomplete
    said: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for result in results:
        said[result.outcome].append(f"{result.expression}: {result.reason}")
    if said[Outcome.FAILED]:
        return Verdict.REJECT, tuple(said[Outcome.FAILED])
    # NaN and infinite metrics; only r2 may be undefined, where the outcomes do not vary.
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    unknown = [f"{name} is {value}" for name, value in bad.items() if not (name == "r2" and math.isnan(value))]
    if said[Outcome.INCONCLUSIVE] or unknown:
        return Verdict.INCONCLUSIVE, (*said[Outcome.INCONCLUSIVE], *unknown)
    passed, skipped = said[Outcome.PASSED], said[Outcome.SKIPPED]
    if evidence.identical_to and (passed or skipped):
        passed, skipped = [f"already {evidence.identical_to}"], []
    of_nobody = all(result.metric in OF_NOBODY for result in results if result.outcome is Outcome.PASSED)
    says_nothing = of_nobody and not evidence.identical_to
    if passed and not skipped and not says_nothing:
        return Verdict.PROMOTE, tuple(passed)
    first = f"no criterion applies: {results[0].expression}: {results[0].reason}" if results else None
    counts = f"{passed[0]}: {NO_QUALITY}" if passed and not skipped else None
    return Verdict.INCONCLUSIVE, (counts or first or "there are no criteria",)


def _registrable(candidate: CandidateDecision) -> CandidateDecision:
    if candidate.verdict is not Verdict.PROMOTE or candidate.unable is None:
        return candidate
    return replace(candidate, verdict=Verdict.INCONCLUSIVE, reasons=(f"{UNABLE}: {candidate.unable}",))


def _won(judged: tuple[CandidateDecision, ...], passing: list[CandidateDecision]) -> SessionDecision:
    """The lowest MAE wins, on the player-games that all of those that pass have in common."""
    compared, remark = _compare(passing)
    if not compared:
        reason = f"{', '.join(c.name for c in passing)} passed and cannot be compared: {remark}"
        standing = "passed, not chosen (nothing to compare it on)"
        shown = tuple(replace(c, not_chosen=standing) if c in passing else c for c in judged)
        return SessionDecision(verdict=Verdict.INCONCLUSIVE, winner=None, candidates=shown, reasons=(reason,))
    winner = min(passing, key=lambda candidate: (compared[candidate.name], candidate.name))
    shown = tuple(candidate if candidate is winner else _beaten(candidate, winner, compared) for candidate in judged)
    reasons = tuple(_of([winner], reason, judged) for reason in winner.reasons)
    unable = None
    if winner.unable is not None:
        unable = f"{winner.name} would not be promoted under enforce: {UNABLE}: {winner.unable}"
    dates = 0 if winner.rows is None else winner.rows["GAME_DATE"].nunique()
    few = f"{winner.name} was judged on {dates} game dates, which say little of other nights"
    better = (
        f"{candidate.name} passes with a lower MAE ({candidate.metrics['mae']:.4f}, {winner.name} has "
        f"{winner.metrics['mae']:.4f}), and has {UNABLE}: {candidate.unable}"
        for candidate in judged
        if _passes_unable(candidate) and candidate.metrics["mae"] < winner.metrics["mae"]
    )
    alone = None
    passed = " ".join(row.expression for row in winner.criteria if row.outcome is Outcome.PASSED)
    if any(row.outcome is Outcome.NOT_APPLICABLE for row in winner.criteria) and not re.search(COMPARED, passed):
        alone = f"{winner.name} was compared with nobody: there is no champion yet; ask for `mae < baseline`, too"
    remarks = tuple(filter(None, (remark, unable, alone, few if dates < MIN_DATES else None, *better)))
    return SessionDecision(
        verdict=Verdict.PROMOTE, winner=winner.name, candidates=shown, reasons=reasons, remarks=remarks
    )


def _passes_unable(candidate: CandidateDecision) -> bool:
    """Whether all that speaks against a candidate is that it has nothing to register."""
    unable = f"{UNABLE}: {candidate.unable}"
    return candidate.unable is not None and (candidate.verdict is Verdict.PROMOTE or candidate.reasons == (unable,))


def _beaten(
    candidate: CandidateDecision, winner: CandidateDecision, compared: Mapping[str, float]
) -> CandidateDecision:
    passes_unable = _passes_unable(candidate)
    if candidate.verdict is not Verdict.PROMOTE and not passes_unable:
        said = f"{winner.name} is chosen; "
        criteria = tuple(
            replace(result, outcome=Outcome.SKIPPED, reason=f"{said}{result.outcome}: {result.reason}")
            for result in candidate.criteria
        )
        return replace(candidate, criteria=criteria)
    if passes_unable and candidate.name not in compared:
        standing, reason = f"passed, not chosen ({UNABLE})", f"{UNABLE}: {candidate.unable}"
    else:
        mae, best = compared[candidate.name], compared[winner.name]
        standing = f"passed, not chosen ({'higher' if mae > best else 'same'} MAE)"
        reason = f"{standing}: {mae:.4f}, {winner.name} has {best:.4f}"
    criteria = tuple(
        replace(result, reason=f"{standing}; {result.reason}") if result.outcome is Outcome.PASSED else result
        for result in candidate.criteria
    )
    reasons = tuple(dict.fromkeys((reason, *candidate.reasons)))
    return replace(candidate, reasons=reasons, criteria=criteria, not_chosen=standing)


def _compare(candidates: Sequence[CandidateDecision]) -> tuple[Mapping[str, float], str | None]:
    """MAE of each candidate by name, in the target's units, and what to say of the rows that it leaves out.

    All MAEs are of the same player-games. Nothing but the reason where all have predicted none, or where windows that
    differ have so few dates in common that who chose them may have chosen who wins.
    """
    own = {candidate.name: candidate.metrics["mae"] for candidate in candidates}
    rows = {candidate.name: candidate.rows for candidate in candidates if candidate.rows is not None}
    if len(candidates) == 1 or len(rows) < len(candidates):
        return own if len(candidates) == 1 else {}, None if len(candidates) == 1 else "not all have their player-games"
    keys = {name: pd.MultiIndex.from_frame(frame[KEYS]) for name, frame in rows.items()}
    common = reduce(lambda one, other: one.intersection(other), keys.values())
    if all(len(index) == len(common) for index in keys.values()):
        return own, None
    if not len(common):
        return {}, "they have no player-game in common; give them the same test window"
    dates = common.get_level_values("GAME_DATE").nunique()
    if dates < MIN_DATES:
        few = f"their test windows have {dates} of the dates in common, and to choose takes {MIN_DATES}"
        return {}, f"{few}; give them the same test window"
    same = {name: frame[keys[name].isin(common)] for name, frame in rows.items()}
    compared = {name: point_metrics(frame["actual"], frame["predicted"])["mae"] for name, frame in same.items()}
    # `candidates were compared on 1,204 player-games of 24 dates; left out: b 43 player-games of 2024-04-14`
    parts = []
    for name, frame in rows.items():
        left = frame[~keys[name].isin(common)]
        if len(left):
            days = sorted({f"{day:%Y-%m-%d}" for day in left["GAME_DATE"]})
            parts.append(f"{name} {len(left):,} player-games of {listed(days, NAMED)}")
    return compared, (
        f"candidates were compared on the {len(common):,} player-games of {dates} dates that all of them predicted; "
        f"left out: {'; '.join(parts)}"
    )


def _of(candidates: Sequence[CandidateDecision], reason: str, judged: Sequence[CandidateDecision]) -> str:
    """The reason of these among those that were judged."""
    if len(judged) == 1:
        return reason
    names = [candidate.name for candidate in candidates]
    is_all = 1 < len(names) == len(judged)
    return f"{f'all {len(names)} candidates' if is_all else listed(names, NAMED)}: {reason}"
