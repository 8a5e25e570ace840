"""summary.md: the decision for a job summary, a pull request's comment, a chat, or an MLflow run's description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pytest_nbaprops.gate.effect import effect_text
from pytest_nbaprops.leaks.leak import leak_text
from pytest_nbaprops.reports import wording
from pytest_nbaprops.reports.steps import next_steps
from pytest_nbaprops.reports.text import code, markdown

MARKS: Final = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "not_applicable": "➖", "skipped": "➖"}  # noqa: RUF001
MODES: Final = {"dry-run": "dry run, nothing registered", "enforce": "enforced", "off": "promotion off"}
MOST: Final = 20
"""Entries of one list; what is left out is counted."""


def summary_text(document: Mapping[str, Any]) -> str:
    """The whole decision as Markdown, the pull request's question first: did this change make it better?"""
    leader = wording.leading(document)
    lines = [f"## {markdown(wording.headline(document))}", ""]
    if document["simulated"]:
        lines += ["> Simulated sample league: the figures say nothing about the NBA.", ""]
    if leader is not None:
        lines += _question(document, leader)
    lines += _items(document["reasons"], "- ")
    lines += _items(document["warnings"], "- ⚠️ ")
    for candidate in document["candidates"]:
        lines += ["", *_candidate(candidate)]
    lines.append("")
    for step in next_steps(document)[:2]:
        lines += [f"{markdown(step.text)}{': ' + code(step.command, 1_000) if step.command else ''}", ""]
    lines += [_footer(document), ""]
    return "\n".join(lines)


def _question(document: Mapping[str, Any], leader: Mapping[str, Any]) -> list[str]:
    """The candidate against the champion, what changed, and what each change brought."""
    said = wording.by_how_much(document, leader)
    lines = [f"**{markdown(said)}**", ""] if said else []
    if document["champion"] is not None:
        changed = "; ".join(_changes(leader)) or "nothing in features and parameters"
        lines += [f"Changed since {markdown(wording.champion_label(document))}: {changed}.", ""]
    effects = leader.get("attribution") or []
    if effects:
        told = [f"{code(effect['group'])} ({effect['change']}): {markdown(effect_text(effect))}" for effect in effects]
        lines += ["What each feature group brings (change of MAE, below 0 helps):", ""]
        lines += [*(f"- {text}" for text in told[:MOST]), *_more(len(told)), ""]
    return lines


def _changes(candidate: Mapping[str, Any]) -> Iterable[str]:
    """Features and parameters that are not the champion's."""
    lineage = candidate["lineage"]
    for kind in ("added", "removed", "changed"):
        if names := lineage[kind]:
            more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
            yield f"features {kind} {', '.join(code(name, 80) for name in names[:MOST])}{more}"
    for name, (before, after) in list((lineage.get("parameters") or {}).items())[:MOST]:
        told = ["default" if value is None else value for value in (before, after)]
        yield f"{code(name, 80)} {code(told[0], 80)} → {code(told[1], 80)}"


def _candidate(candidate: Mapping[str, Any]) -> list[str]:
    folds, metrics = candidate["folds"], candidate["metrics"]
    done = folds["executed"] + folds["cached"]
    shown = ", ".join(f"{name} {wording.number(metrics.get(name))}" for name in ("mae", "rmse", "r2", "bias"))
    leaks = [f"- 🚫 leak in {markdown(leak_text(leak))}" for leak in candidate["leaks"]]
    compared = [*map(wording.compared, candidate["criteria"])]
    rows = [*map(_row, compared)]
    said = (candidate.get("market") or {}).get("said") or []
    head = f"| criterion | value | reference | difference | {wording.level_of(compared)} interval | outcome |"
    return [
        f"### {markdown(candidate['name'], 200)}: {candidate['verdict']}",
        "",
        f"{done} of {folds['planned']} folds ({folds['cached']} from the store), {shown}",
        *(["", *leaks[:MOST], *_more(len(leaks))] if leaks else []),
        *(["", head, "|---|---:|---:|---:|---|---|", *rows] if rows else []),
        *(["", "Against the market:", "", *_items(said, "- ")] if said else []),
    ]


def _row(row: wording.Compared) -> str:
    outcome = row.outcome.replace("_", " ")
    told = "" if row.said == outcome else f": {row.said}"
    why = "" if row.outcome in ("passed", "failed") else f": {markdown(row.reason)}"
    cells = (
        code(row.expression),
        wording.number(row.value, row.digits),
        wording.number(row.reference_value, row.digits),
        wording.number(row.difference, row.digits, "+"),
        wording.interval(row.low, row.high, row.digits),
        f"{MARKS.get(row.outcome, '')} {outcome}{told}{why}",
    )
    return "| " + " | ".join(cells) + " |"


def _footer(document: Mapping[str, Any]) -> str:
    mode = MODES.get(document["promote_mode"], document["promote_mode"])
    dataset, champion, guard = document["dataset"], document["champion"], document["leak_guard"]
    if dataset is None:
        return f"Mode: {mode}."
    version = f" v{markdown(champion['version'], 20)}" if champion and champion["version"] else ""
    against = f"champion {code(champion['name'], 80)}{version}" if champion else "no champion"
    looked = f" Leak guard: {wording.guard_line(guard)}." if guard else ""
    return (
        f"Mode: {mode}; {against}; test {markdown(document['test_window'], 200)}; "
        f"{dataset['rows']:,} player-games to {dataset['last_date']}, data `{dataset['digest'][:12]}`.{looked}"
    )


def _items(texts: Sequence[object], mark: str) -> list[str]:
    return [*(f"{mark}{markdown(text)}" for text in texts[:MOST]), *_more(len(texts))]


def _more(count: int) -> list[str]:
    return [f"- and {count - MOST} more, in `decision.json`"] if count > MOST else []
