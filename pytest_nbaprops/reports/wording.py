"""The decision in words: the same ones in the terminal, in Markdown and on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.gate.criteria import Criterion, parse_criterion

DASH: Final = "–"  # noqa: RUF001 - what is not known
_NAME: Final = 60
_LEVEL: Final = 0.95  # of an interval that does not say

LONG_WAIT: Final = 30  # seconds

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One criterion's row: the value, what it stands against, and the difference that decides.

    Attributes:
        reference: `champion`, `baseline`, `market`, or the number; `reference_value` without the margin.
        low, high: the interval of the difference; against a number that of value minus number.
        level: of that interval, 0.95 or more.
        margin: how much worse than the reference is still allowed, 0 where it must be better.
        criterion: what the expression says, None where it cannot be read.
    """

    expression: str
    metric: str
    reference: str
    value: float | None
    reference_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    level: float
    margin: float
    outcome: str
    reason: str
    criterion: Criterion | None

    @property
    def digits(self) -> int:
        """How many decimals its numbers are shown with: counts have none."""
        return 0 if self.metric.startswith("n_") else 4

    @property
    def said(self) -> str:
        """What the outcome says of the two models, in words that tell "not worse" from "better"."""
        criterion = self.criterion
        if self.outcome not in ("passed", "failed") or criterion is None:
            return self.outcome.replace("_", " ")
        if criterion.reference is None or self.low is None or self.high is None:
            return "holds" if self.outcome == "passed" else "does not hold"
        # positive: the candidate is better
        gain = (self.low, self.high) if criterion.wants_more else (-self.high, -self.low)
        allowed = abs(self.margin)
        if gain[0] > 0:
            return "better"
        if self.outcome == "passed" and gain[1] < 0:
            return f"worse, by no more than {allowed:g}"
        if self.outcome == "passed":
            return f"not worse by more than {allowed:g}, not clearly better" if allowed else "not worse"
        unclear = "not clearly better" if criterion.strict else "may be worse"
        if allowed:
            unclear = f"may be worse by {'' if criterion.strict else 'more than '}{allowed:g}"
        return "worse" if gain[1] < 0 else unclear


def compared(row: Mapping[str, Any]) -> Compared:
    """A criterion of decision.json, read with its own expression."""
    try:
        criterion = parse_criterion(row["expression"])
    except NBAPropsError:
        criterion = None
    margin = criterion.number if criterion is not None and criterion.reference else 0.0
    value, threshold = row["value"], row["threshold"]
    other = None if threshold is None else threshold - margin
    low, high = (None if other is None or row[end] is None else row[end] - other for end in ("ci_low", "ci_high"))
    named = criterion.reference if criterion is not None else None
    return Compared(
        **{name: row[name] for name in ("expression", "metric", "value", "outcome", "reason")},
        reference=named or (DASH if other is None else f"{other:g}"),
        reference_value=other,
        difference=None if value is None or other is None else value - other,
        low=low,
        high=high,
        level=row.get("ci_level") or _LEVEL,
        margin=margin,
        criterion=criterion,
    )


def level_of(rows: Sequence[Compared]) -> str:
    """The level of the rows' intervals; of several candidates each is wider."""
    levels = sorted({row.level for row in rows if row.low is not None} or {_LEVEL})
    return " or ".join(f"{100 * level:.4g}%" for level in levels)


def leading(document: Document) -> Mapping[str, Any] | None:
    """The candidate that the session's verdict is about: the winner, else the one that came closest."""
    candidates: Sequence[Mapping[str, Any]] = document["candidates"]
    if not candidates:
        return None
    same = [c for c in candidates if c["verdict"] == "PROMOTE"] or [
        c for c in candidates if c["verdict"] == document["verdict"]
    ]
    return min(same or candidates, key=lambda c: math.inf if (mae := c["metrics"].get("mae")) is None else mae)


def main_comparison(candidate: Mapping[str, Any]) -> Compared | None:
    """The comparison that matters most: a failed one; with champion, else market, else baseline; of MAE if there is."""
    rows = [compared(row) for row in candidate["criteria"]]
    known = [row for row in rows if row.difference is not None and row.reference in ("champion", "market", "baseline")]
    order = {"champion": 0, "market": 1, "baseline": 2}
    return min(
        known,
        key=lambda row: (row.outcome == "passed", order[row.reference], row.metric != "mae", "[" in row.expression),
        default=None,
    )


# the headline


def headline(document: Document) -> str:
    """The verdict in a few words, and what the decided candidates need to be used."""
    deciding = [c for c in document["candidates"] if c["verdict"] == document["verdict"]]
    needed = sorted({name for candidate in deciding for name in candidate.get("needs_lineups", ())})
    lineups = f" (needs lineups: {', '.join(needed)})" if needed else ""
    winner = next((c for c in document["candidates"] if c["verdict"] == "PROMOTE"), None)
    if document["verdict"] != "PROMOTE" or winner is None:
        return _not_promoted(document) + lineups
    if is_the_champion(winner):
        said = f"is already v{winner['model_version']}"
    elif document["promote_mode"] == "dry-run" and winner.get("unregistrable"):
        said = "passes, and has nothing to register (dry run)"
    elif document["promote_mode"] == "dry-run":
        said = "would be promoted (dry run)"
    else:
        moved = "is" if document["promoted"] else "already was"
        said = f"{moved} {document['settings']['alias']} as v{winner['model_version']}"
    return f"PROMOTE: {winner['name']} {said}{lineups}"


def _not_promoted(document: Document) -> str:
    told = {
        "REJECT": "is not promoted",
        "INCONCLUSIVE": "is not known to be better, so it is not promoted",
        "ERROR": "was judged, but the verdict could not be carried out or logged",
    }
    leader = leading(document)
    if leader is None or document["promote_mode"] == "off":
        return str(document["verdict"])
    if is_part(document):
        ran = sum(c["folds"]["planned"] - c["folds"]["missing"] for c in document["candidates"])
        planned = sum(c["folds"]["planned"] for c in document["candidates"])
        return f"INCONCLUSIVE: {ran} of {planned} folds ran, and a part is never a decision"
    others = len(document["candidates"]) - 1
    name = leader["name"] if not others else f"{leader['name']} (of {others + 1} candidates)"
    said = told.get(document["verdict"], "")
    if has_nothing_to_register(leader):
        said = "passes, and has nothing to register, so it is not promoted"
    return f"{document['verdict']}: {name} {said}".rstrip()


def has_nothing_to_register(candidate: Mapping[str, Any]) -> bool:
    """Whether that is all that speaks against it."""
    reasons = candidate.get("reasons") or [""]
    return (
        bool(candidate.get("unregistrable")) and len(reasons) == 1 and str(reasons[0]).startswith("nothing to register")
    )


def is_part(document: Document) -> bool:
    """Whether nothing is wrong but that only a part of the folds was selected."""
    reasons = [str(reason) for candidate in document["candidates"] for reason in candidate["reasons"]]
    parts = (": not selected", " folds were evaluated")
    chosen = any(reason.endswith(parts[0]) for reason in reasons)
    return document["verdict"] == "INCONCLUSIVE" and chosen and all(reason.endswith(parts) for reason in reasons)


def is_the_champion(candidate: Mapping[str, Any]) -> bool:
    """Whether it is the very model that is registered already."""
    return any(str(reason).startswith("already v") for reason in candidate["reasons"])


def champion_label(document: Document) -> str:
    """`v3`, `the run NAME` where a run is the champion, or `the champion`."""
    champion = document.get("champion") or {}
    if champion.get("version"):
        return f"v{champion['version']}"
    return f"the run {str(champion['name'])[:_NAME]}" if champion.get("run_id") else "the champion"


def by_how_much(document: Document, candidate: Mapping[str, Any]) -> str:
    """One sentence: how far the candidate and what it stands against are apart, and how sure that is."""
    row = main_comparison(candidate)
    if row is None:
        mae = candidate["metrics"].get("mae")
        return "" if mae is None else f"{candidate['name']} misses by {mae:.3f} on average."
    who = {"champion": champion_label(document), "baseline": "the last-10 mean", "market": "the market's line"}
    other = who.get(row.reference, row.reference)
    games = candidate["metrics"].get("n_predictions")
    same = f"On the same {games:,.0f} player-games, " if games and "[" not in row.expression else "On the same games, "
    _, bracket, rest = row.expression.partition("[")
    metric = metric_name(row.metric) + (f"[{rest.partition(']')[0]}]" if bracket else "")
    sure = (
        ""
        if row.low is None or row.high is None
        else f" ({level_of([row])} interval {row.low:+.3f} to {row.high:+.3f})"
    )
    allowed = f"{abs(row.margin):g}"
    concluded = {
        "better": f"It is better than {other} beyond chance.",
        "worse": f"It is worse than {other} beyond chance.",
        "not clearly better": f"It may be no better than {other}.",
        "not worse": f"It is not worse than {other}, and not clearly better.",
        f"not worse by more than {allowed}, not clearly better": (
            f"It is not worse than {other} by more than {allowed}, and not clearly better."
        ),
        f"worse, by no more than {allowed}": (
            f"It is worse than {other} beyond chance, by no more than the {allowed} allowed; what is allowed adds up "
            "from promotion to promotion."
        ),
        "may be worse": f"It may be worse than {other}.",
        f"may be worse by more than {allowed}": f"It may be worse than {other} by more than {allowed}.",
        f"may be worse by {allowed}": f"It may be worse than {other} by {allowed}.",
    }
    return (
        f"{same}{candidate['name']} has {metric} {row.value:.3f}, {other} {row.reference_value:.3f}: "
        f"a difference of {row.difference:+.3f}{sure}. {concluded.get(row.said, f'Against {other}: {row.said}.')}"
    )


def metric_name(name: str) -> str:
    return {"mae": "MAE", "rmse": "RMSE", "r2": "R²"}.get(name, name)


# pieces of lines


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """Decimals, a dash for what is not known; with the sign `+` also that of positive ones."""
    return DASH if value is None or math.isnan(value) else f"{value:{sign}.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 4) -> str:
    """`[low, high]`, a dash where there is none."""
    return DASH if low is None or high is None else f"[{low:+.{digits}f}, {high:+.{digits}f}]"


def slowest(spent: Mapping[str, float], seconds: float) -> str | None:
    """Where there was long to wait for several, how long, and for which of them most; in seconds."""
    if seconds < LONG_WAIT or len(spent) < 2:  # noqa: PLR2004 - of one there is no slowest
        return None
    most = sorted(spent, key=spent.__getitem__, reverse=True)[:2]
    return f"{seconds:.0f} s; the slowest: {', '.join(f'{name} {spent[name]:.0f} s' for name in most)}"


def guard_line(guard: Mapping[str, Any]) -> str:
    """How the leak guard looked, and what it cost."""
    known = f", {guard['groups_known']} known from before" if guard.get("groups_known") else ""
    cost = f"{guard['seconds']:.1f} s, {guard['share']:.0%} of the session"
    tested = guard.get("folds_tested", {})
    again = [
        (count, tested[name]) for name, count in guard.get("folds_run_again", {}).items() if count and name in tested
    ]
    folds = ", own tests in {} of {} folds".format(*min(again)) if again else ""
    groups, dates = guard["groups"], len(guard["dates"])
    asked = f"{groups} feature group{'s' * (groups != 1)} on {dates} date{'s' * (dates != 1)}"
    return f"{asked}{known}{folds}; {cost}"
